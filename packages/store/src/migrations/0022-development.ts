/** Development apps: which app is one, whose, and until when; what its files have become since its droplet was made; what an instance has taken of that. */
import type { Kysely } from 'kysely';
import { addColumns, makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    development_apps: { app_guid: 'key', user_guid: 'text', hours: 'int', expires_at: 'int', created_at: 'int' },
    development_changes: {
      app_guid: 'text',
      droplet_guid: 'text',
      sequence: 'int',
      digest: 'text',
      size_bytes: 'int',
      created_at: 'int',
    },
  });
  await makeIndexes(db, 'unique index', [['development_changes', 'droplet_guid, sequence']]);
  await makeIndexes(db, 'index', [
    ['development_apps', 'expires_at'],
    ['development_changes', 'app_guid'],
  ]);
  await addColumns(db, 'copies', { applied_change: 'int?' });
}
