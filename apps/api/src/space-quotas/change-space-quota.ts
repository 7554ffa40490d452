/** Making, changing, applying and deleting space quotas inside a mutation (CF: space_quotas_create.rb, space_quota_apply.rb). */
import { randomUUID } from 'node:crypto';
import type { CreateSpaceQuota, SpaceQuotaLimits } from '@cupola/contract/v3/organization-quota';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database, SpaceQuotasTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import { holdsInOrganization, maySeeSpace, visible } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordEvent } from '../events/record.ts';
import { requireInOrganization } from '../organizations/find-organization.ts';
import { among } from '../pages/filters.ts';
import { checkPorts } from '../quotas/change-quota.ts';
import { limitColumns, NO_LIMITS } from '../quotas/quota-limits.ts';

export type SpaceQuotaRow = Selectable<SpaceQuotasTable>;

/** Managers see all of their organization; who works in a space sees the quota of that space. @throws NotFoundError */
export async function seenSpaceQuota(db: Kysely<Database>, actor: Actor, guid: string): Promise<SpaceQuotaRow> {
  const quota = await db.selectFrom('space_quotas').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (quota === undefined) throw new NotFoundError('Space quota');
  if (holdsInOrganization(actor, quota.organization_guid, ['organization_manager'])) return quota;
  const own = await db
    .selectFrom('spaces')
    .select('guid')
    .where('quota_guid', '=', guid)
    .where(among('guid', visible(actor).spaceGuids))
    .executeTakeFirst();
  if (own === undefined) throw new NotFoundError('Space quota');
  return quota;
}

/** For managers of its organization. @throws NotFoundError, ForbiddenError */
export async function managedSpaceQuota(db: Kysely<Database>, actor: Actor, guid: string): Promise<SpaceQuotaRow> {
  const quota = await seenSpaceQuota(db, actor, guid);
  requireInOrganization(actor, quota.organization_guid, ['organization_manager']);
  return quota;
}

export async function createSpaceQuota(
  mutation: Mutation,
  actor: Actor,
  asked: CreateSpaceQuota,
): Promise<SpaceQuotaRow> {
  const { db, now } = mutation;
  const organizationGuid = asked.relationships.organization.data.guid;
  await requireFreeName(db, organizationGuid, asked.name);
  const { total_domains: _none, ...unlimited } = NO_LIMITS;
  const quota: SpaceQuotaRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    ...unlimited,
    ...limitColumns(asked),
    name: asked.name,
    organization_guid: organizationGuid,
  };
  checkPorts(quota);
  await db.insertInto('space_quotas').values(quota).execute();
  await record(mutation, actor, quota, { verb: 'create', data: { request: asked } });
  const guids = asked.relationships.spaces?.data.map(({ guid }) => guid) ?? [];
  const found = await db
    .selectFrom('spaces')
    .select('guid')
    .where(among('guid', guids))
    .where('organization_guid', '=', organizationGuid)
    .execute();
  const missing = guids.filter(guid => !found.some(space => space.guid === guid));
  if (missing.length > 0)
    throw new UnprocessableError(
      `Spaces with guids ${listOf(missing)} do not exist within the organization specified, or you do not have access to them.`,
    );
  if (guids.length > 0) await applySpaceQuota(mutation, actor, quota, guids);
  return quota;
}

const listOf = (guids: readonly string[]): string => `[${guids.map(guid => `"${guid}"`).join(', ')}]`;

export async function updateSpaceQuota(
  mutation: Mutation,
  actor: Actor,
  quota: SpaceQuotaRow,
  asked: SpaceQuotaLimits,
): Promise<SpaceQuotaRow> {
  const { db, now } = mutation;
  if (asked.name !== undefined) await requireFreeName(db, quota.organization_guid, asked.name, quota.guid);
  const row = { ...limitColumns(asked), name: asked.name ?? quota.name, updated_at: now };
  const updated = { ...quota, ...row };
  checkPorts(updated);
  await db.updateTable('space_quotas').set(row).where('guid', '=', quota.guid).execute();
  await record(mutation, actor, updated, { verb: 'update', data: { request: asked } });
  return updated;
}

async function requireFreeName(
  db: Kysely<Database>,
  organizationGuid: string,
  name: string,
  exceptGuid = '',
): Promise<void> {
  const other = await db
    .selectFrom('space_quotas')
    .select('guid')
    .where('organization_guid', '=', organizationGuid)
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst();
  if (other !== undefined && other.guid !== exceptGuid)
    throw new UnprocessableError(`Space Quota '${name}' already exists.`);
}

/** A space has one quota at most: the former one counts no longer. @throws UnprocessableError for a space that is not there, or elsewhere. */
export async function applySpaceQuota(
  mutation: Mutation,
  actor: Actor,
  quota: SpaceQuotaRow,
  spaceGuids: readonly string[],
): Promise<void> {
  const { db, now, changed } = mutation;
  const found = await db.selectFrom('spaces').selectAll().where(among('guid', spaceGuids)).execute();
  const isSeen = (space: (typeof found)[number]): boolean =>
    maySeeSpace(actor, { spaceGuid: space.guid, organizationGuid: space.organization_guid });
  const missing = spaceGuids.filter(guid => !found.some(space => space.guid === guid && isSeen(space)));
  if (missing.length > 0)
    throw new UnprocessableError(
      `Spaces with guids ${listOf(missing)} do not exist, or you do not have access to them.`,
    );
  if (found.some(space => space.organization_guid !== quota.organization_guid))
    throw new UnprocessableError('Space quotas cannot be applied outside of their owning organization.');
  if (quota.log_rate_limit_bytes !== null) await refuseUnlimitedLogs(db, spaceGuids);
  for (const space of found) {
    const row = { quota_guid: quota.guid, updated_at: now };
    await db.updateTable('spaces').set(row).where('guid', '=', space.guid).execute();
    changed('space', space.guid, { organizationGuid: space.organization_guid, spaceGuid: space.guid });
    const data = { space_guid: space.guid, space_name: space.name };
    await record(mutation, actor, quota, { verb: 'apply', spaceGuid: space.guid, data });
  }
}

async function refuseUnlimitedLogs(db: Kysely<Database>, spaceGuids: readonly string[]): Promise<void> {
  const unlimited = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .where(among('apps.space_guid', spaceGuids))
    .where('processes.log_rate_limit_bytes', '=', -1)
    .select('processes.guid')
    .executeTakeFirst();
  if (unlimited !== undefined)
    throw new UnprocessableError(
      'Current usage exceeds new quota values. The space(s) being assigned this quota contain apps running with an unlimited log rate limit.',
    );
}

/** @throws UnprocessableError when the space has another quota, or none. */
export async function removeSpaceQuota(
  mutation: Mutation,
  actor: Actor,
  quota: SpaceQuotaRow,
  spaceGuid: string,
): Promise<void> {
  const { db, now, changed } = mutation;
  const space = await db
    .updateTable('spaces')
    .set({ quota_guid: null, updated_at: now })
    .where('guid', '=', spaceGuid)
    .where('quota_guid', '=', quota.guid)
    .returning(['guid', 'name'])
    .executeTakeFirst();
  if (space === undefined)
    throw new UnprocessableError(
      `Unable to remove quota from space with guid '${spaceGuid}'. Ensure the space quota is applied to this space.`,
    );
  changed('space', spaceGuid, { organizationGuid: quota.organization_guid, spaceGuid });
  const data = { space_guid: space.guid, space_name: space.name };
  await record(mutation, actor, quota, { verb: 'remove', spaceGuid, data });
}

/** @throws UnprocessableError while a space has it. */
export async function deleteSpaceQuota(mutation: Mutation, actor: Actor, quota: SpaceQuotaRow): Promise<void> {
  const { db } = mutation;
  const user = await db.selectFrom('spaces').select('guid').where('quota_guid', '=', quota.guid).executeTakeFirst();
  if (user !== undefined)
    throw new UnprocessableError(
      'This quota is applied to one or more spaces. Remove this quota from all spaces before deleting.',
    );
  await db.deleteFrom('space_quotas').where('guid', '=', quota.guid).execute();
  await record(mutation, actor, quota, { verb: 'delete', data: {} });
}

function record(
  mutation: Mutation,
  actor: Actor,
  { guid, name, organization_guid }: SpaceQuotaRow,
  event: {
    verb: 'create' | 'update' | 'apply' | 'remove' | 'delete';
    spaceGuid?: string;
    data: Record<string, unknown>;
  },
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.space_quota.${event.verb}`,
    actor,
    target: { type: 'space_quota', guid, name },
    spaceGuid: event.spaceGuid ?? null,
    organizationGuid: organization_guid,
    data: event.data,
  });
}
