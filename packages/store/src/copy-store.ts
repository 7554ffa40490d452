/** Moves what one store holds into another, empty one, of the same engine or not: all of it or nothing. Guids, revision and sealed columns stay as they are. */
import { type Kysely, sql } from 'kysely';
import type { Database } from './schema.ts';
import type { Store } from './store.ts';

/** Rows read at once, and inserted by one statement: of 60 columns at most they stay below SQLite's 32,766 parameters. */
const ROWS = 500;
/** Triggers list what comes by where it lies (migration 0008): that has to be there before. */
const FIRST = ['organizations', 'spaces', 'apps', 'builds'];
/** The feed begins anew, writers are processes; the others are what triggers keep. */
const LEFT_OUT = ['counter', 'changes', 'writers', 'listed', 'list_counts'];
/** Of tables without a guid that may be large: by what they are read a page at a time. A window of figures holds those of all apps. */
const PAGED: Readonly<Record<string, { readonly keys: readonly string[]; readonly rows: number }>> = {
  metric_windows: { keys: ['at', 'source'], rows: 20 },
  metric_packs: { keys: ['app_guid', 'step_s', 'at'], rows: ROWS },
};

type Table = keyof Database;
type Row = Record<string, unknown>;

/** Throws when `to` holds users already. `from` may be in use: what is committed at this moment is moved. */
export async function copyStore(from: Store, to: Store): Promise<void> {
  await from.read.transaction().execute(async source => {
    const tables = await tablesOf(source);
    const { revision } = await source.selectFrom('counter').select('revision').executeTakeFirstOrThrow();
    await to.note(async ({ db }) => {
      if ((await db.selectFrom('users').select('guid').limit(1).execute()).length > 0)
        throw new Error('There is a platform in that database already: an empty one is needed.');
      for (const table of tables) await copyTable(source, db, table);
      await db.updateTable('counter').set({ revision }).execute();
    });
  });
  await to.newEpoch();
}

async function tablesOf(db: Kysely<Database>): Promise<{ name: Table; hasGuid: boolean }[]> {
  const rank = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const tables = await db.introspection.getTables();
  return tables
    .filter(({ name, isView }) => !isView && !name.startsWith('sqlite_') && !LEFT_OUT.includes(name))
    .toSorted((a, b) => rank(a.name) - rank(b.name))
    .map(({ name, columns }) => ({ name: name as Table, hasGuid: columns.some(column => column.name === 'guid') }));
}

async function copyTable(
  source: Kysely<Database>,
  target: Kysely<Database>,
  { name, hasGuid }: { name: Table; hasGuid: boolean },
): Promise<void> {
  // What a migration has written there is there in `source` as well, maybe changed since.
  await target.deleteFrom(name).execute();
  const write = async (rows: readonly Row[]): Promise<void> => {
    if (rows.length > 0)
      await target
        .insertInto(name)
        .values(rows as never)
        .execute();
  };
  const paged = hasGuid ? { keys: ['guid'], rows: ROWS } : PAGED[name];
  if (paged !== undefined) {
    for await (const page of pagesOf(source, { name, ...paged })) await write(page);
    return;
  }
  const rows: Row[] = await source.selectFrom(name).selectAll().execute();
  for (let at = 0; at < rows.length; at += ROWS) await write(rows.slice(at, at + ROWS));
}

/** In the order of the keys, which no two rows share. */
async function* pagesOf(
  source: Kysely<Database>,
  { name, keys, rows: limit }: { name: Table; keys: readonly string[]; rows: number },
): AsyncIterable<Row[]> {
  const columns = sql.join(keys.map(key => sql.ref(key)));
  for (let last: Row | undefined, isOver = false; !isOver; ) {
    const behind: Row | undefined = last;
    const rows: Row[] = await source
      .selectFrom(name)
      .selectAll()
      .$if(behind !== undefined, query =>
        query.where(sql<boolean>`(${columns}) > (${sql.join(keys.map(key => behind?.[key]))})`),
      )
      .orderBy(columns)
      .limit(limit)
      .execute();
    yield rows;
    last = rows.at(-1);
    isOver = rows.length < limit;
  }
}
