/** Who had claimed the build last: its last lines may come when it has ended and `stager` is null again. */
import type { Kysely } from 'kysely';
import { addColumns } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await addColumns(db, 'builds', { last_stager: 'text?' });
}
