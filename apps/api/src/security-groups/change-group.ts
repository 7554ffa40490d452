/** Making, changing, binding and deleting security groups inside a mutation (CF: security_group_create.rb, security_group_apply.rb). */
import { randomUUID } from 'node:crypto';
import type { CreateSecurityGroup, UpdateSecurityGroup } from '@cupola/contract/v3/security-group';
import { ForbiddenError, NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database, SecurityGroupSpacesTable, SecurityGroupsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import { maySeeSpace } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { among, type Condition, inSeenSpace } from '../pages/filters.ts';
import { findSpace, requireInSpace } from '../spaces/find-space.ts';
import { requireWithinLimits } from './group-egress.ts';

export type GroupRow = Selectable<SecurityGroupsTable>;
export type Phase = SecurityGroupSpacesTable['phase'];

/** Those of all spaces, and those of a space that the actor may see. */
export function seenGroups(actor: Actor): Condition {
  const bound = sql`select security_group_guid from security_group_spaces where ${inSeenSpace(actor, 'security_group_spaces.space_guid')}`;
  return actor.isAdmin
    ? sql<SqlBool>`1 = 1`
    : sql<SqlBool>`(security_groups.running_default = 1 or security_groups.staging_default = 1 or security_groups.guid in (${bound}))`;
}

/** @throws NotFoundError */
export async function seenGroup(db: Kysely<Database>, actor: Actor, guid: string): Promise<GroupRow> {
  const group = await db
    .selectFrom('security_groups')
    .selectAll()
    .where('guid', '=', guid)
    .where(seenGroups(actor))
    .executeTakeFirst();
  if (group === undefined) throw new NotFoundError('Security group');
  return group;
}

export async function createGroup(mutation: Mutation, asked: CreateSecurityGroup): Promise<GroupRow> {
  const { db, now, changed } = mutation;
  await requireFreeName(db, asked.name);
  const group: GroupRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    rules_json: JSON.stringify(asked.rules ?? []),
    running_default: asked.globally_enabled?.running === true ? 1 : 0,
    staging_default: asked.globally_enabled?.staging === true ? 1 : 0,
  };
  await db.insertInto('security_groups').values(group).execute();
  changed('security_group', group.guid);
  for (const phase of ['running', 'staging'] as const) {
    const guids = asked.relationships?.[`${phase}_spaces`]?.data.map(({ guid }) => guid) ?? [];
    const found = await db.selectFrom('spaces').select('guid').where(among('guid', guids)).execute();
    const missing = guids.filter(guid => !found.some(space => space.guid === guid));
    if (missing.length > 0) throw new UnprocessableError(`Spaces with guids ${listOf(missing)} do not exist.`);
    await bind(mutation, group, { phase, spaceGuids: guids });
  }
  await requireWithinLimits(db);
  return group;
}

const listOf = (guids: readonly string[]): string => `[${guids.map(guid => `"${guid}"`).join(', ')}]`;

async function requireFreeName(db: Kysely<Database>, name: string, exceptGuid = ''): Promise<void> {
  const other = await db.selectFrom('security_groups').select('guid').where('name', '=', name).executeTakeFirst();
  if (other !== undefined && other.guid !== exceptGuid)
    throw new UnprocessableError(`Security group with name '${name}' already exists.`);
}

export async function updateGroup(
  { db, now, changed }: Mutation,
  group: GroupRow,
  asked: UpdateSecurityGroup,
): Promise<GroupRow> {
  if (asked.name !== undefined) await requireFreeName(db, asked.name, group.guid);
  const { running, staging } = asked.globally_enabled ?? {};
  const row = {
    name: asked.name ?? group.name,
    rules_json: asked.rules === undefined ? group.rules_json : JSON.stringify(asked.rules),
    running_default: running === undefined ? group.running_default : running ? 1 : 0,
    staging_default: staging === undefined ? group.staging_default : staging ? 1 : 0,
    updated_at: now,
  } as const;
  await db.updateTable('security_groups').set(row).where('guid', '=', group.guid).execute();
  changed('security_group', group.guid);
  await requireWithinLimits(db);
  return { ...group, ...row };
}

async function bind(
  { db, changed }: Mutation,
  group: GroupRow,
  { phase, spaceGuids }: { phase: Phase; spaceGuids: readonly string[] },
): Promise<void> {
  for (const space_guid of spaceGuids)
    await db
      .insertInto('security_group_spaces')
      .values({ security_group_guid: group.guid, space_guid, phase })
      .onConflict(conflict => conflict.columns(['security_group_guid', 'space_guid', 'phase']).doNothing())
      .execute();
  changed('security_group', group.guid);
}

/** For those who manage each of the spaces. @throws UnprocessableError for a space that is not there or hidden, ForbiddenError */
export async function bindGroup(
  mutation: Mutation,
  actor: Actor,
  group: GroupRow,
  asked: { phase: Phase; spaceGuids: readonly string[] },
): Promise<void> {
  const missing: string[] = [];
  for (const guid of asked.spaceGuids) {
    const space = await findSpace(mutation.db, guid);
    if (space === undefined || !maySeeSpace(actor, { spaceGuid: guid, organizationGuid: space.organization_guid }))
      missing.push(guid);
    else requireInSpace(actor, space, ['space_manager']);
  }
  if (missing.length > 0)
    throw new UnprocessableError(
      `Spaces with guids ${listOf(missing)} do not exist, or you do not have access to them.`,
    );
  await bind(mutation, group, asked);
  await requireWithinLimits(mutation.db);
}

/** @throws UnprocessableError when the space is not bound to it, ForbiddenError */
export async function unbindGroup(
  { db, changed }: Mutation,
  actor: Actor,
  group: GroupRow,
  { phase, spaceGuid }: { phase: Phase; spaceGuid: string },
): Promise<void> {
  const space = await findSpace(db, spaceGuid);
  const unbound = new UnprocessableError(
    `Unable to unbind security group from space with guid '${spaceGuid}'. Ensure the space is bound to this security group.`,
  );
  if (space === undefined) throw unbound;
  if (!maySeeSpace(actor, { spaceGuid, organizationGuid: space.organization_guid })) throw new ForbiddenError();
  requireInSpace(actor, space, ['space_manager']);
  const gone = await db
    .deleteFrom('security_group_spaces')
    .where('security_group_guid', '=', group.guid)
    .where('space_guid', '=', spaceGuid)
    .where('phase', '=', phase)
    .returning('space_guid')
    .executeTakeFirst();
  if (gone === undefined) throw unbound;
  changed('security_group', group.guid);
}

/** With its bindings. */
export async function deleteGroup({ db, changed }: Mutation, group: GroupRow): Promise<void> {
  await db.deleteFrom('security_group_spaces').where('security_group_guid', '=', group.guid).execute();
  await db.deleteFrom('security_groups').where('guid', '=', group.guid).execute();
  changed('security_group', group.guid);
}
