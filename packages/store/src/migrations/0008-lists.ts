/**
 * Lists that cost the same however much there is, for those who see a part of it too (docs/decisions/0024): `listed` holds for each row of a list where it
 * lies and when it was made, so that a page is read in order from one index for each organization or space; `list_counts` how many there are in each of
 * them, and in all. Triggers keep both, in the transaction of what they tell of: nothing that writes a row has to know of it.
 */
import { type Kysely, sql } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';
import { makeTrigger } from './make-triggers.ts';

/** Rows that say themselves which space they are in. */
const IN_SPACES = ['apps', 'routes', 'service_instances'];
/** Rows that are where their app is. No app leaves its space. */
const OF_APPS = ['processes', 'packages', 'builds', 'droplets', 'tasks', 'deployments', 'service_bindings'];
/** What is in no list though it is there: builds that nobody has asked for, and what they made. */
const SHOWN: Record<string, string> = {
  builds: 'builds.adopted = 1',
  droplets: 'not exists (select 1 from builds where builds.guid = droplets.build_guid and builds.adopted = 0)',
};

/** Lists the rows of `list` that fulfil `where`. */
function listing(list: string, where: string): string {
  const home = IN_SPACES.includes(list) ? list : 'apps';
  const app = home === list ? '' : `left join apps on apps.guid = ${list}.app_guid`;
  return `insert into listed (list, guid, created_at, space_guid, organization_guid)
    select '${list}', ${list}.guid, ${list}.created_at, ${home}.space_guid, spaces.organization_guid
    from ${list} ${app} left join spaces on spaces.guid = ${home}.space_guid
    where ${[where, ...(SHOWN[list] === undefined ? [] : [SHOWN[list]])].join(' and ')}`;
}

const unlisting = (list: string, guids: string): string =>
  `delete from listed where list = '${list}' and guid in (${guids})`;

/** The row anew, wherever it is now. */
const relisting = (list: string): string[] => [unlisting(list, 'new.guid'), listing(list, `${list}.guid = new.guid`)];

/** A build makes its droplets seen, or not. */
const relistingDroplets = (row: 'new' | 'old'): string[] => [
  unlisting('droplets', `select guid from droplets where build_guid = ${row}.guid`),
  listing('droplets', `droplets.build_guid = ${row}.guid`),
];

/** `list` as SQL: a name in quotes, or a column of the row. */
function counting(list: string): string[] {
  const one = (guid: string, where: string): string =>
    `insert into list_counts (list, scope_guid, count) select ${list}, ${guid}, 1 where ${where}
      on conflict (list, scope_guid) do update set count = list_counts.count + 1`;
  return [
    one("''", '1 = 1'),
    ...['new.space_guid', 'new.organization_guid'].map(guid => one(guid, `${guid} is not null`)),
  ];
}

function uncounting(list: string): string[] {
  const where = `list = ${list} and scope_guid in ('', coalesce(old.space_guid, ''), coalesce(old.organization_guid, ''))`;
  return [
    `update list_counts set count = count - 1 where ${where}`,
    `delete from list_counts where count = 0 and ${where}`,
  ];
}

async function countAll(db: Kysely<unknown>, { from, list }: { from: string; list: string }): Promise<void> {
  for (const scope of ["''", 'space_guid', 'organization_guid'])
    await sql
      .raw(
        `insert into list_counts (list, scope_guid, count)
          select ${list}, ${scope}, count(*) from ${from} where ${scope} is not null group by 1, 2`,
      )
      .execute(db);
}

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    listed: { list: 'text', guid: 'text', created_at: 'int', space_guid: 'text?', organization_guid: 'text?' },
    list_counts: { list: 'text', scope_guid: 'text', count: 'int' },
  });
  for (const list of [...IN_SPACES, ...OF_APPS]) await sql.raw(listing(list, '1 = 1')).execute(db);
  await makeIndexes(db, 'unique index', [
    ['listed', 'list, guid'],
    ['list_counts', 'list, scope_guid'],
  ]);
  // Audit events know both places themselves. What these two begin with is no index of its own any more, nor are those that only counts were read from.
  for (const index of ['audit_events_space_guid_created_at', 'audit_events_organization_guid_created_at'])
    await db.schema.dropIndex(index).execute();
  for (const index of ['apps_ssh_enabled', 'processes_instances', 'routes_created_at', 'apps_space_guid_created_at'])
    await db.schema.dropIndex(index).execute();
  await makeIndexes(db, 'index', [
    ['listed', 'list, space_guid, created_at, guid'],
    ['listed', 'list, organization_guid, created_at, guid'],
    ['audit_events', 'space_guid, created_at, guid'],
    ['audit_events', 'organization_guid, created_at, guid'],
  ]);
  await countAll(db, { from: 'listed', list: 'list' });
  await countAll(db, { from: 'audit_events', list: "'audit_events'" });
  await makeTrigger(db, { table: 'listed', event: 'insert', statements: counting('new.list') });
  await makeTrigger(db, { table: 'listed', event: 'delete', statements: uncounting('old.list') });
  await makeTrigger(db, { table: 'audit_events', event: 'insert', statements: counting("'audit_events'") });
  await makeTrigger(db, { table: 'audit_events', event: 'delete', statements: uncounting("'audit_events'") });
  for (const list of [...IN_SPACES, ...OF_APPS]) await keepListed(db, list);
}

async function keepListed(db: Kysely<unknown>, list: string): Promise<void> {
  const isBuilds = list === 'builds';
  await makeTrigger(db, {
    table: list,
    event: 'insert',
    statements: [listing(list, `${list}.guid = new.guid`), ...(isBuilds ? relistingDroplets('new') : [])],
  });
  await makeTrigger(db, {
    table: list,
    event: 'delete',
    statements: [unlisting(list, 'old.guid'), ...(isBuilds ? relistingDroplets('old') : [])],
  });
  // Of what is in a space only routes are moved.
  const moved = { routes: 'space_guid, created_at', builds: 'adopted, created_at' }[list] ?? 'created_at';
  await makeTrigger(db, {
    table: list,
    event: `update of ${moved}`,
    statements: [...relisting(list), ...(isBuilds ? relistingDroplets('new') : [])],
  });
}
