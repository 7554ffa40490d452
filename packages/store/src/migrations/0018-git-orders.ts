/** Push events that were taken: each stands here until git's part has said how its deployment ended. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    git_orders: {
      guid: 'key',
      app_guid: 'text',
      webhook_guid: 'text',
      commit_id: 'text',
      forge: 'text',
      attempts: 'int',
      held_until: 'int',
      created_at: 'int',
    },
  });
  await makeIndexes(db, 'index', [
    ['git_orders', 'held_until'],
    ['git_orders', 'app_guid'],
  ]);
}
