/** For vitest's project `postgres`: one server for all of its test files, and a migrated database that each store begins as a copy of. */
import { openPostgresStore } from '@cupola/store/postgres';
import { hasPostgres, type PostgresServer, startPostgres } from '@cupola/store/postgres-server';
import { TEST_SERVER, TEST_TEMPLATE } from '@cupola/store/test-store';

let server: PostgresServer | undefined;

export async function setup(): Promise<void> {
  if (!hasPostgres()) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  server = await startPostgres();
  await server.database({ name: TEST_TEMPLATE });
  const store = await openPostgresStore({ url: server.url(TEST_TEMPLATE) });
  await store.close();
  process.env[TEST_SERVER] = server.folder;
}

export async function teardown(): Promise<void> {
  await server?.[Symbol.asyncDispose]();
}
