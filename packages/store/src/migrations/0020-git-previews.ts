/** Previews: which app is one, of which branch of which other app, and until when; what an app makes of its branches; what an order fetches. */
import type { Kysely } from 'kysely';
import { addColumns, makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    git_previews: {
      app_guid: 'key',
      of_app_guid: 'text',
      source: 'text',
      commit_id: 'text?',
      expires_at: 'int',
      created_at: 'int',
    },
  });
  await makeIndexes(db, 'unique index', [['git_previews', 'of_app_guid, source']]);
  await makeIndexes(db, 'index', [['git_previews', 'expires_at']]);
  await addColumns(db, 'git_settings', {
    previews: 'text?',
    preview_hours: 'int?',
    preview_variables_json: 'text?',
  });
  await addColumns(db, 'git_orders', { ref: 'text?' });
}
