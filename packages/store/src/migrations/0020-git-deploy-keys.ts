/** Webhooks over SSH: a key for each, and by what the forge's host is known again. */
import type { Kysely } from 'kysely';
import { addColumns } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await addColumns(db, 'git_webhooks', { deploy_key_sealed: 'text?', deploy_key: 'text?', known_hosts: 'text?' });
}
