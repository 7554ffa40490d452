/** Making, changing and deleting a space inside a mutation (CF: space_create.rb, space_update.rb, space_delete.rb). */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { deleteApp } from '../apps/delete-app.ts';
import { recordEvent } from '../events/record.ts';
import { deleteMetadata, type MetadataBody, writeMetadata } from '../metadata/metadata.ts';
import type { OrganizationRow } from '../organizations/find-organization.ts';
import { deleteInstance } from '../services/change-instance.ts';
import { deleteRouteRows } from './delete-routes.ts';
import type { SpaceRow } from './find-space.ts';

/** @throws UnprocessableError when the name is taken in the organization. */
export async function createSpace(
  mutation: Mutation,
  actor: Actor,
  organization: OrganizationRow,
  asked: { name: string; metadata?: MetadataBody },
): Promise<SpaceRow> {
  const { db, now, changed } = mutation;
  if (await isTaken(mutation, organization.guid, asked.name))
    throw new UnprocessableError('Name must be unique per organization');
  const row = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    organization_guid: organization.guid,
    allow_ssh: 1,
    quota_guid: null,
    isolation_segment_guid: null,
  } as const;
  await db.insertInto('spaces').values(row).execute();
  changed('space', row.guid, { organizationGuid: organization.guid, spaceGuid: row.guid });
  await writeMetadata(mutation, 'space', row.guid, asked.metadata);
  const space: SpaceRow = { ...row, organization_name: organization.name };
  await record(mutation, actor, space, 'create', { request: asked });
  return space;
}

async function isTaken({ db }: Mutation, organizationGuid: string, name: string, exceptGuid = ''): Promise<boolean> {
  const other = await db
    .selectFrom('spaces')
    .select('guid')
    .where('organization_guid', '=', organizationGuid)
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', eb.fn<string>('lower', [eb.val(name)])))
    .executeTakeFirst();
  return other !== undefined && other.guid !== exceptGuid;
}

export async function updateSpace(
  mutation: Mutation,
  actor: Actor,
  space: SpaceRow,
  asked: { name?: string | null; metadata?: MetadataBody },
): Promise<SpaceRow> {
  const { db, now, changed } = mutation;
  const name = asked.name ?? space.name;
  if (await isTaken(mutation, space.organization_guid, name, space.guid))
    throw new UnprocessableError(
      `Organization '${space.organization_name}' already contains a space with name '${name}'.`,
    );
  await db.updateTable('spaces').set({ name, updated_at: now }).where('guid', '=', space.guid).execute();
  changed('space', space.guid, { organizationGuid: space.organization_guid, spaceGuid: space.guid });
  await writeMetadata(mutation, 'space', space.guid, asked.metadata);
  const updated = { ...space, name, updated_at: now };
  await record(mutation, actor, updated, 'update', { request: asked });
  return updated;
}

export async function allowSsh({ db, now, changed }: Mutation, space: SpaceRow, isAllowed: boolean): Promise<void> {
  await db
    .updateTable('spaces')
    .set({ allow_ssh: isAllowed ? 1 : 0, updated_at: now })
    .where('guid', '=', space.guid)
    .execute();
  changed('space', space.guid, { organizationGuid: space.organization_guid, spaceGuid: space.guid });
}

/** With its apps, routes and roles. */
export async function deleteSpace(
  mutation: Mutation,
  actor: Actor,
  space: SpaceRow,
  { recursive }: { recursive: boolean },
): Promise<void> {
  const { db, changed } = mutation;
  const scope = { organizationGuid: space.organization_guid, spaceGuid: space.guid };
  const apps = await db.selectFrom('apps').selectAll().where('space_guid', '=', space.guid).execute();
  for (const row of apps) {
    const app = {
      ...row,
      space_name: space.name,
      organization_guid: space.organization_guid,
      organization_name: space.organization_name,
    };
    await recordAppEvent(mutation, { actor, app, type: 'delete-request' });
    await deleteApp(mutation, app);
  }
  const instances = await db.selectFrom('service_instances').selectAll().where('space_guid', '=', space.guid).execute();
  for (const row of instances)
    await deleteInstance(mutation, actor, { ...row, organization_guid: space.organization_guid });
  const routes = await db.selectFrom('routes').selectAll().where('space_guid', '=', space.guid).execute();
  await deleteRouteRows(mutation, routes, scope);
  await db.deleteFrom('security_group_spaces').where('space_guid', '=', space.guid).execute();
  const roles = await db.deleteFrom('roles').where('space_guid', '=', space.guid).returning('guid').execute();
  for (const { guid } of roles) changed('role', guid, scope);
  await deleteMetadata(mutation, 'space', [space.guid]);
  await db.deleteFrom('spaces').where('guid', '=', space.guid).execute();
  changed('space', space.guid, scope);
  await record(mutation, actor, space, 'delete-request', { request: { recursive } });
}

function record(
  mutation: Mutation,
  actor: Actor,
  space: SpaceRow,
  verb: 'create' | 'update' | 'delete-request',
  data: Record<string, unknown>,
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.space.${verb}`,
    actor,
    target: { type: 'space', guid: space.guid, name: space.name },
    spaceGuid: space.guid,
    organizationGuid: space.organization_guid,
    data,
  });
}
