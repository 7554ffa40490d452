/** Canary deployments: their steps, and the one they are at. */
import type { Kysely } from 'kysely';
import { addColumns } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await addColumns(db, 'deployments', { canary_weights_json: 'text?', canary_step: 'int?' });
}
