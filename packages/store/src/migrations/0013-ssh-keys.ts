/** Public keys by which users push over SSH. A key is one user's: it says who they are. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    ssh_keys: {
      guid: 'key',
      user_guid: 'text',
      name: 'text',
      algorithm: 'text',
      fingerprint: 'text',
      public_key: 'text',
      created_at: 'int',
    },
  });
  await makeIndexes(db, 'unique index', [['ssh_keys', 'fingerprint']]);
  await makeIndexes(db, 'index', [['ssh_keys', 'user_guid']]);
}
