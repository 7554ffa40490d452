/** Push events of forges: for each app where from, as whom and with which secret; and which deliveries have come, so that none counts twice. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    git_webhooks: {
      guid: 'key',
      app_guid: 'text',
      user_guid: 'text',
      repository_url: 'text',
      branch: 'text',
      secret_sealed: 'text',
      login_sealed: 'text?',
      created_at: 'int',
    },
    git_deliveries: { guid: 'key', seen_at: 'int' },
  });
  await makeIndexes(db, 'unique index', [['git_webhooks', 'app_guid']]);
  await makeIndexes(db, 'index', [['git_deliveries', 'seen_at']]);
}
