/**
 * A real, empty store for a test of any workspace: `await using test = await openTestStore()`. On SQLite in a temp folder; in vitest's project `postgres` on
 * the server that `test/postgres-setup.ts` has started, so that the same test files judge both engines. Each begins as a copy of one that was migrated once:
 * migrations take as long as most tests. So the feeds of all of them have one epoch.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPostgresStore } from './postgres.ts';
import { reachPostgres } from './postgres-server.ts';
import { openSqliteStore } from './sqlite.ts';
import type { Store } from './store.ts';

export interface TestStore extends AsyncDisposable {
  store: Store;
}
interface Options {
  now?: () => number;
  changesKept?: number;
  /** On SQLite: what is committed is on disk, as of users' stores. */
  isSynced?: boolean;
}

/** Folder of the server and its database that holds a migrated store, told by it. */
export const TEST_SERVER = 'CUPOLA_TEST_POSTGRES';
export const TEST_TEMPLATE = 'cupola_template';

export function openTestStore(options: Options = {}): Promise<TestStore> {
  return process.env.CUPOLA_TEST_STORE === 'postgres' ? onPostgres(options) : onSqlite(options);
}

/** The file of a migrated store, for all tests of this process. */
let migrated: Promise<Buffer> | undefined;

async function migrateOnce(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'cupola-store-'));
  const path = join(folder, 'store.db');
  await (await openSqliteStore({ path, isSynced: false })).close();
  const file = await readFile(path);
  await rm(folder, { recursive: true });
  return file;
}

async function onSqlite(options: Options): Promise<TestStore> {
  migrated ??= migrateOnce();
  const file = await migrated;
  const folder = await mkdtemp(join(tmpdir(), 'cupola-store-'));
  const path = join(folder, 'store.db');
  await writeFile(path, file);
  const store = await openSqliteStore({ path, isSynced: false, ...options });
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function onPostgres(options: Options): Promise<TestStore> {
  const server = reachPostgres(process.env[TEST_SERVER] ?? '');
  const database = await server.database({ template: TEST_TEMPLATE });
  const store = await openPostgresStore({ url: server.url(database), ...options });
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await server.drop(database);
    },
  };
}
