import type { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { NewerSchemaError } from './errors.ts';
import * as foundation from './migrations/0001-foundation.ts';

/** All migrations, forward only. */
const MIGRATIONS: Record<string, Migration> = { '0001-foundation': { up: foundation.up } };

/** Brings the schema to what this version knows; throws NewerSchemaError when it is further than that. Safe to repeat. */
export async function migrate(db: Kysely<unknown>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const newer = /previously executed migration (\S+) is missing/.exec(String(error))?.[1];
  throw newer === undefined ? error : new NewerSchemaError(newer);
}
