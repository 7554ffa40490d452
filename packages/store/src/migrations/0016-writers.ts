/** What each process that writes to a PostgreSQL server has committed last, by its own count: asked when the answer to a COMMIT was lost. */
import type { Kysely } from 'kysely';
import { makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, { writers: { guid: 'key', commits: 'int', seen_at: 'int' } });
}
