/** What an app's pushes by git do: one row for each app that has other settings than the usual ones. */
import type { Kysely } from 'kysely';
import { makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, { git_settings: { app_guid: 'key', branch: 'text?', on_failure: 'text', submodules: 'text' } });
}
