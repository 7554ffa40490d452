/** The isolation segment that a cell is in, by name as the operator gave it; null: it is everybody's. */
import type { Kysely } from 'kysely';
import { addColumns } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await addColumns(db, 'cells', { segment: 'text?' });
}
