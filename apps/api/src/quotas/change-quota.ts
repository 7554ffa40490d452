/** Making, changing, applying and deleting organization quotas inside a mutation (CF: organization_quotas_create.rb, organization_quota_apply.rb). */
import { randomUUID } from 'node:crypto';
import type { QuotaLimits } from '@cupola/contract/v3/organization-quota';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordEvent } from '../events/record.ts';
import { among } from '../pages/filters.ts';
import { limitColumns, NO_LIMITS, type QuotaRow } from './quota-limits.ts';

/** @throws NotFoundError */
export async function foundQuota(db: Kysely<Database>, guid: string): Promise<QuotaRow> {
  const quota = await db.selectFrom('organization_quotas').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (quota === undefined) throw new NotFoundError('Organization quota');
  return quota;
}

export async function createQuota(
  mutation: Mutation,
  actor: Actor,
  asked: QuotaLimits & { name: string; relationships?: { organizations?: { data: Array<{ guid: string }> } } },
): Promise<QuotaRow> {
  const { db, now } = mutation;
  await requireFreeName(db, asked.name);
  const quota: QuotaRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    ...NO_LIMITS,
    ...limitColumns(asked),
    name: asked.name,
  };
  checkPorts(quota);
  await db.insertInto('organization_quotas').values(quota).execute();
  await record(mutation, actor, quota, { verb: 'create', data: { request: asked } });
  const guids = asked.relationships?.organizations?.data.map(({ guid }) => guid) ?? [];
  if (guids.length > 0) await applyQuota(mutation, actor, quota, guids);
  return quota;
}

export async function updateQuota(
  mutation: Mutation,
  actor: Actor,
  quota: QuotaRow,
  asked: QuotaLimits,
): Promise<QuotaRow> {
  const { db, now } = mutation;
  if (asked.name !== undefined) await requireFreeName(db, asked.name, quota.guid);
  const row = { ...limitColumns(asked), name: asked.name ?? quota.name, updated_at: now };
  const updated = { ...quota, ...row };
  checkPorts(updated);
  await db.updateTable('organization_quotas').set(row).where('guid', '=', quota.guid).execute();
  await record(mutation, actor, updated, { verb: 'update', data: { request: asked } });
  return updated;
}

async function requireFreeName(db: Kysely<Database>, name: string, exceptGuid = ''): Promise<void> {
  const other = await db
    .selectFrom('organization_quotas')
    .select('guid')
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', eb.fn<string>('lower', [eb.val(name)])))
    .executeTakeFirst();
  if (other !== undefined && other.guid !== exceptGuid)
    throw new UnprocessableError(`Organization Quota '${name}' already exists.`);
}

/** @throws UnprocessableError for more ports than routes. */
export function checkPorts({
  total_reserved_ports: ports,
  total_routes: routes,
}: Pick<QuotaRow, 'total_reserved_ports' | 'total_routes'>): void {
  if (ports !== null && routes !== null && ports > routes)
    throw new UnprocessableError(
      'Total reserved ports must be -1, 0, or a positive integer, and must be less than or equal to total routes.',
    );
}

/** Each organization has one quota: the former one counts no longer. @throws UnprocessableError for one that is not there. */
export async function applyQuota(
  mutation: Mutation,
  actor: Actor,
  quota: QuotaRow,
  organizationGuids: readonly string[],
): Promise<void> {
  const { db, now, changed } = mutation;
  const found = await db
    .selectFrom('organizations')
    .select(['guid', 'name'])
    .where(among('guid', organizationGuids))
    .execute();
  const missing = organizationGuids.filter(guid => !found.some(organization => organization.guid === guid));
  if (missing.length > 0)
    throw new UnprocessableError(
      `Organizations with guids [${missing.map(guid => `"${guid}"`).join(', ')}] do not exist`,
    );
  for (const { guid, name } of found) {
    await db
      .updateTable('organizations')
      .set({ quota_guid: quota.guid, updated_at: now })
      .where('guid', '=', guid)
      .execute();
    changed('organization', guid, { organizationGuid: guid });
    const data = { organization_guid: guid, organization_name: name };
    await record(mutation, actor, quota, { verb: 'apply', organizationGuid: guid, data });
  }
}

/** @throws UnprocessableError while an organization has it. */
export async function deleteQuota(mutation: Mutation, actor: Actor, quota: QuotaRow): Promise<void> {
  const { db } = mutation;
  const user = await db
    .selectFrom('organizations')
    .select('guid')
    .where('quota_guid', '=', quota.guid)
    .executeTakeFirst();
  if (user !== undefined)
    throw new UnprocessableError(
      'This quota is applied to one or more organizations. Apply different quotas to those organizations before deleting.',
    );
  // New organizations need one to be given.
  const other = await db
    .selectFrom('organization_quotas')
    .select('guid')
    .where('guid', '!=', quota.guid)
    .executeTakeFirst();
  if (other === undefined)
    throw new UnprocessableError('This is the last quota, and every organization needs one. Make another one first.');
  await db.deleteFrom('organization_quotas').where('guid', '=', quota.guid).execute();
  await record(mutation, actor, quota, { verb: 'delete', data: {} });
}

function record(
  mutation: Mutation,
  actor: Actor,
  { guid, name }: QuotaRow,
  event: { verb: 'create' | 'update' | 'apply' | 'delete'; organizationGuid?: string; data: Record<string, unknown> },
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.organization_quota.${event.verb}`,
    actor,
    target: { type: 'organization_quota', guid, name },
    spaceGuid: null,
    organizationGuid: event.organizationGuid ?? null,
    data: event.data,
  });
}
