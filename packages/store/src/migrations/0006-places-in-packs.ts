/** Where files lie in a pack, in order: when the next pack starts from it, ranges of them move on. */
import { type Kysely, sql } from 'kysely';
import { makeIndexes } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeIndexes(db, 'index', [['resources', 'blob_digest, data_offset']]);
  await sql`drop index resources_blob_digest`.execute(db);
}
