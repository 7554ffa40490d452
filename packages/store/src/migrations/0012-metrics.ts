/** Figures of apps over time: what has come in lately, a row for all apps; and what is over, packed, a row for each app and hour. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    metric_windows: { at: 'int', source: 'text', apps_json: 'text' },
    metric_packs: { app_guid: 'text', step_s: 'int', at: 'int', size_bytes: 'int', packed: 'text' },
  });
  await makeIndexes(db, 'unique index', [
    ['metric_windows', 'at, source'],
    ['metric_packs', 'app_guid, step_s, at'],
  ]);
  await makeIndexes(db, 'index', [['metric_packs', 'step_s, at']]);
}
