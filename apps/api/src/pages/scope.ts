/**
 * Lists of what lies in organizations and spaces, at the same cost however much there is (docs/decisions/0024): who asks, and for which organizations and
 * spaces, comes to a few places; counts of them are kept (`list_counts`), and their rows are in order in `listed`, one run for each place.
 */
import type { RoleType } from '@cupola/model/states';
import type { Database } from '@cupola/store/schema';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { among, type Condition } from './filters.ts';

/** What is listed by place (migration 0008). */
export type PlacedList =
  | 'apps'
  | 'processes'
  | 'packages'
  | 'builds'
  | 'droplets'
  | 'tasks'
  | 'deployments'
  | 'routes'
  | 'service_instances'
  | 'service_bindings'
  | 'audit_events';

/** Everything, or what lies in these organizations and in these spaces, none of which is in one of those organizations. */
export type Scope = 'all' | Places;
export interface Places {
  organizationGuids: readonly string[];
  spaceGuids: readonly string[];
}

interface Asked {
  organization_guids?: readonly string[] | undefined;
  space_guids?: readonly string[] | undefined;
}
/** Roles by which one sees what lies in a whole organization, and in a space. */
export interface Seeing {
  organization: readonly RoleType[];
  space: readonly RoleType[];
}
export const SEEING: Seeing = {
  organization: ['organization_manager'],
  space: ['space_developer', 'space_manager', 'space_auditor', 'space_supporter'],
};

const unique = (guids: readonly string[]): string[] => [...new Set(guids)];

/** Where what this actor may see of these organizations and spaces lies; those that it may not see, or that are none, are left out. */
export async function scopeOf(
  db: Kysely<Database>,
  actor: Actor,
  { asked = {}, seeing = SEEING, homesOf = homesOfSpaces }: { asked?: Asked; seeing?: Seeing; homesOf?: HomesOf } = {},
): Promise<Scope> {
  const { organization_guids: organizations, space_guids: spaces } = asked;
  if (actor.isAdmin && organizations === undefined && spaces === undefined) return 'all';
  const isAsked = (organizationGuid: string | null): boolean =>
    organizations === undefined || (organizationGuid !== null && organizations.includes(organizationGuid));
  const roles = actor.roles.filter(role => isAsked(role.organizationGuid));
  const whole = actor.isAdmin
    ? (organizations ?? [])
    : roles.flatMap(role => (seeing.organization.includes(role.type) ? (role.organizationGuid ?? []) : []));
  const own = roles.flatMap(role =>
    seeing.space.includes(role.type) && !whole.includes(role.organizationGuid ?? '') ? (role.spaceGuid ?? []) : [],
  );
  if (spaces === undefined) return { organizationGuids: unique(whole), spaceGuids: unique(own) };
  const homes = await homesOf(db, unique(spaces));
  const isSeen = (guid: string, organizationGuid: string): boolean =>
    actor.isAdmin || own.includes(guid) || whole.includes(organizationGuid);
  const seen = homes.filter(({ guid, organization_guid: home }) => isAsked(home) && isSeen(guid, home));
  return { organizationGuids: [], spaceGuids: seen.map(({ guid }) => guid) };
}

/** Which organizations spaces are in. Those that are none are left out. */
type HomesOf = (
  db: Kysely<Database>,
  spaceGuids: readonly string[],
) => Promise<Array<{ guid: string; organization_guid: string }>>;

const homesOfSpaces: HomesOf = (db, guids) =>
  db.selectFrom('spaces').select(['guid', 'organization_guid']).where(among('guid', guids)).execute();

/** How many rows of `list` there are in `scope`: from what is kept, not counted. */
export async function keptCount(db: Kysely<Database>, list: PlacedList, scope: Scope): Promise<number> {
  const guids = scope === 'all' ? [''] : [...scope.organizationGuids, ...scope.spaceGuids];
  const { rows } = await sql<{ count: number | null }>`
    select cast(sum(count) as bigint) as count from list_counts
    where list = ${list} and ${among('scope_guid', guids)}`.execute(db);
  return rows[0]?.count ?? 0;
}

/**
 * How rows are found of which something else is asked too. `sought`: by what lies in the places, then put in order. `walked`: in order by an index on that, and
 * those elsewhere are left out: it ends with the page, so it is the better one where much is seen. `picked`: by what is asked, which only few rows fulfil.
 */
export type Way = 'sought' | 'walked' | 'picked';
/** These say themselves which space they are in. */
const IN_SPACES: readonly PlacedList[] = ['apps', 'routes', 'service_instances'];

/** A row of `list`, which is the table asked too, lies in one of these places. */
export function inPlaces(list: PlacedList, { organizationGuids, spaceGuids }: Places, way: Way): Condition {
  const organizations = among('organization_guid', organizationGuids);
  const spaces = among('space_guid', spaceGuids);
  // Audit events know their places themselves. An expression, no column: no index will do.
  if (list === 'audit_events')
    return way === 'sought'
      ? sql`(${spaces} or ${organizations})`
      : sql`(${among(sql`(space_guid || '')`, spaceGuids)} or ${among(sql`(organization_guid || '')`, organizationGuids)})`;
  // A space and a name together have an index of their own.
  if (way === 'picked' && organizationGuids.length === 0 && IN_SPACES.includes(list))
    return among(`${list}.space_guid`, spaceGuids);
  return way === 'sought'
    ? sql`${sql.ref(`${list}.guid`)} in (
        select guid from listed where list = ${list} and ${spaces}
        union all select guid from listed where list = ${list} and ${organizations})`
    : sql`exists (
        select 1 from listed where list = ${list} and listed.guid = ${sql.ref(`${list}.guid`)} and (${spaces} or ${organizations}))`;
}

/** More runs than this are not merged: SQLite takes 500 in one statement. */
const RUNS_MAX = 400;

/** One run of rows that an index has in the order asked for, `key` and guid. */
export type Run = RawBuilder<{ guid: string; key: string | number }>;

/**
 * The runs whose merge is the list, or null where an order has none or there are too many. By the time of their making there is one for each place; by name,
 * for apps and service instances, one for each space.
 */
export async function runsOf(
  db: Kysely<Database>,
  { list, places, column, later }: { list: PlacedList; places: Places; column: string; later: Condition },
): Promise<Run[] | null> {
  const run = (table: string, where: Condition): Run =>
    sql`select guid, ${sql.ref(column)} as key from ${sql.table(table)} where ${where} and ${later}`;
  if (column === 'created_at') {
    const table = list === 'audit_events' ? list : 'listed';
    const ofList: Condition = list === 'audit_events' ? sql`1 = 1` : sql`list = ${list}`;
    const runs = [
      ...places.organizationGuids.map(guid => run(table, sql`${ofList} and organization_guid = ${guid}`)),
      ...places.spaceGuids.map(guid => run(table, sql`${ofList} and space_guid = ${guid}`)),
    ];
    return runs.length > RUNS_MAX ? null : runs;
  }
  if (column !== 'name' || (list !== 'apps' && list !== 'service_instances')) return null;
  const spaces = await db
    .selectFrom('spaces')
    .select('guid')
    .where(among('organization_guid', places.organizationGuids))
    .limit(RUNS_MAX + 1)
    .execute();
  const guids = [...spaces.map(({ guid }) => guid), ...places.spaceGuids];
  return guids.length > RUNS_MAX ? null : guids.map(guid => run(list, sql`space_guid = ${guid}`));
}
