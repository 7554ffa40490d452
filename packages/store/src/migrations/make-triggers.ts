/** Triggers on SQLite and PostgreSQL alike: after a row has come, gone or changed, these statements, which say `new.x` and `old.x` in both. */
import { type Kysely, SqliteAdapter, sql } from 'kysely';

/** `insert`, `delete`, `update of a, b`. */
type Event = 'insert' | 'delete' | `update of ${string}`;

export async function makeTrigger(
  db: Kysely<unknown>,
  { table, event, statements }: { table: string; event: Event; statements: readonly string[] },
): Promise<void> {
  const name = `${table}_after_${event.match(/[a-z_]+/g)?.join('_')}`;
  const body = statements.map(statement => `${statement};`).join('\n');
  const run = (text: string) => sql.raw(text).execute(db);
  if (db.getExecutor().adapter instanceof SqliteAdapter) {
    await run(`create trigger ${name} after ${event} on ${table} for each row begin\n${body}\nend`);
    return;
  }
  await run(`create function ${name}() returns trigger language plpgsql as $$ begin\n${body}\nreturn null; end $$`);
  await run(`create trigger ${name} after ${event} on ${table} for each row execute function ${name}()`);
}
