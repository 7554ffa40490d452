/** Which signatures have logged somebody in over SSH: each counts once. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, { ssh_logins: { guid: 'key', key_guid: 'text', seen_at: 'int' } });
  await makeIndexes(db, 'index', [['ssh_logins', 'key_guid, seen_at']]);
}
