/** How often the caches of builds have been thrown away. */
import type { Kysely } from 'kysely';
import { makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, { cache_clearings: { app_guid: 'key', generation: 'int' } });
}
