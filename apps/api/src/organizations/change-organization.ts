/** Making, changing and deleting an organization inside a mutation (CF: organization_create.rb, organization_delete.rb). */
import { randomUUID } from 'node:crypto';
import type { CreateOrganization } from '@cupola/contract/v3/organization';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { deleteDomain } from '../domains/change-domain.ts';
import { recordEvent } from '../events/record.ts';
import { deleteMetadata, writeMetadata } from '../metadata/metadata.ts';
import { addRole } from '../roles/change-role.ts';
import { deleteSpace } from '../spaces/change-space.ts';
import type { OrganizationRow } from './find-organization.ts';

/** The quota of organizations that are given none. */
const DEFAULT_QUOTA = 'default';

/** Who is no admin becomes its manager. @throws UnprocessableError when the name is taken. */
export async function createOrganization(
  mutation: Mutation,
  actor: Actor,
  asked: CreateOrganization,
): Promise<OrganizationRow> {
  const { db, now, changed } = mutation;
  if (await isTaken(mutation, asked.name)) throw new UnprocessableError(`Organization '${asked.name}' already exists.`);
  const quota = await db
    .selectFrom('organization_quotas')
    .select('guid')
    .orderBy(eb => eb.case().when('name', '=', DEFAULT_QUOTA).then(0).else(1).end())
    .orderBy('created_at')
    .executeTakeFirstOrThrow();
  const organization: OrganizationRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    default_isolation_segment_guid: null,
    suspended: asked.suspended === true ? 1 : 0,
    quota_guid: quota.guid,
  };
  await db.insertInto('organizations').values(organization).execute();
  changed('organization', organization.guid, { organizationGuid: organization.guid });
  await writeMetadata(mutation, 'organization', organization.guid, asked.metadata);
  await record(mutation, actor, organization, 'create', { request: asked });
  if (actor.kind === 'user' && !actor.isAdmin)
    for (const type of ['organization_user', 'organization_manager'] as const)
      await addRole(mutation, {
        actor,
        type,
        user: { guid: actor.guid, username: actor.name },
        place: { kind: 'organization', organization },
      });
  return organization;
}

async function isTaken({ db }: Mutation, name: string, exceptGuid = ''): Promise<boolean> {
  const other = await db
    .selectFrom('organizations')
    .select('guid')
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', eb.fn<string>('lower', [eb.val(name)])))
    .executeTakeFirst();
  return other !== undefined && other.guid !== exceptGuid;
}

export async function updateOrganization(
  mutation: Mutation,
  actor: Actor,
  organization: OrganizationRow,
  asked: { name?: string | null; suspended?: boolean | null; metadata?: CreateOrganization['metadata'] },
): Promise<OrganizationRow> {
  const { db, now, changed } = mutation;
  const name = asked.name ?? organization.name;
  if (await isTaken(mutation, name, organization.guid))
    throw new UnprocessableError(`Organization name '${name}' is already taken.`);
  const suspended = (asked.suspended ?? null) === null ? organization.suspended : asked.suspended === true ? 1 : 0;
  const row = { name, suspended, updated_at: now } as const;
  await db.updateTable('organizations').set(row).where('guid', '=', organization.guid).execute();
  changed('organization', organization.guid, { organizationGuid: organization.guid });
  await writeMetadata(mutation, 'organization', organization.guid, asked.metadata);
  const updated = { ...organization, ...row };
  await record(mutation, actor, updated, 'update', { request: asked });
  return updated;
}

/** With its spaces, their apps, its roles and domains. @throws UnprocessableError while a domain of it is shared with others. */
export async function deleteOrganization(
  mutation: Mutation,
  actor: Actor,
  organization: OrganizationRow,
): Promise<void> {
  const { db, changed } = mutation;
  const scope = { organizationGuid: organization.guid };
  const domains = await db
    .selectFrom('domains')
    .selectAll()
    .where('organization_guid', '=', organization.guid)
    .execute();
  for (const domain of domains) {
    const share = await db
      .selectFrom('domain_shares')
      .select('organization_guid')
      .where('domain_guid', '=', domain.guid)
      .executeTakeFirst();
    if (share !== undefined)
      throw new UnprocessableError(
        `Deletion of organization ${organization.name} failed because one or more resources within could not be deleted.\n\nDomain '${domain.name}' is shared with other organizations. Unshare before deleting.`,
      );
  }
  const spaces = await db.selectFrom('spaces').selectAll().where('organization_guid', '=', organization.guid).execute();
  for (const space of spaces)
    await deleteSpace(mutation, actor, { ...space, organization_name: organization.name }, { recursive: true });
  for (const domain of domains) await deleteDomain(mutation, domain);
  for (const table of ['isolation_segment_organizations', 'space_quotas'] as const)
    await db.deleteFrom(table).where('organization_guid', '=', organization.guid).execute();
  await db.deleteFrom('domain_shares').where('organization_guid', '=', organization.guid).execute();
  const roles = await db
    .deleteFrom('roles')
    .where('organization_guid', '=', organization.guid)
    .returning('guid')
    .execute();
  for (const { guid } of roles) changed('role', guid, scope);
  await db.deleteFrom('resources').where('organization_guid', '=', organization.guid).execute();
  await deleteMetadata(mutation, 'organization', [organization.guid]);
  await db.deleteFrom('organizations').where('guid', '=', organization.guid).execute();
  changed('organization', organization.guid, scope);
  await record(mutation, actor, organization, 'delete-request', { request: { recursive: true } });
}

function record(
  mutation: Mutation,
  actor: Actor,
  { guid, name }: OrganizationRow,
  verb: 'create' | 'update' | 'delete-request',
  data: Record<string, unknown>,
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.organization.${verb}`,
    actor,
    target: { type: 'organization', guid, name },
    spaceGuid: null,
    organizationGuid: guid,
    data,
  });
}
