/** Moves what one store holds into another, empty one, of the same engine or not: all of it or nothing. Guids, revision and sealed columns stay as they are. */
import type { Kysely } from 'kysely';
import type { Database } from './schema.ts';
import type { Store } from './store.ts';

/** Rows read at once, and inserted by one statement: of 60 columns at most they stay below SQLite's 32,766 parameters. */
const ROWS = 500;
/** Triggers list what comes by where it lies (migration 0008): that has to be there before. */
const FIRST = ['organizations', 'spaces', 'apps', 'builds'];
/** The feed begins anew, writers are processes, figures of apps over time are large and begin anew too; the others are what triggers keep. */
const LEFT_OUT = ['counter', 'changes', 'writers', 'metric_windows', 'metric_packs', 'listed', 'list_counts'];

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
  if (!hasGuid) {
    const rows: Row[] = await source.selectFrom(name).selectAll().execute();
    for (let at = 0; at < rows.length; at += ROWS) await write(rows.slice(at, at + ROWS));
    return;
  }
  for (let after = '', isOver = false; !isOver; ) {
    const rows: Row[] = await source
      .selectFrom(name as 'apps')
      .selectAll()
      .where('guid', '>', after)
      .orderBy('guid')
      .limit(ROWS)
      .execute();
    await write(rows);
    after = String(rows.at(-1)?.guid ?? '');
    isOver = rows.length < ROWS;
  }
}
