import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyStore } from './copy-store.ts';
import {
  aBinding,
  aBuild,
  aDeployment,
  aDroplet,
  anApp,
  anInstance,
  aPackage,
  aProcess,
  aRoute,
  aTask,
  aUser,
  wrongCounts,
} from './fixtures.ts';
import { openPostgresStore } from './postgres.ts';
import { hasPostgres, type PostgresServer, startPostgres } from './postgres-server.ts';
import type { Store } from './store.ts';
import { openTestStore, type TestStore } from './test-store.ts';

type Open = () => Promise<TestStore>;

describe.skipIf(!hasPostgres())('copyStore()', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  const onPostgres: Open = async () => {
    const store = await openPostgresStore({ url: server.url(await server.database()) });
    return { store, [Symbol.asyncDispose]: () => store.close() };
  };

  test.each<[string, Open, Open]>([
    ['from SQLite to PostgreSQL', openTestStore, onPostgres],
    ['from PostgreSQL to SQLite', onPostgres, openTestStore],
    ['from SQLite to SQLite', openTestStore, openTestStore],
  ])('%s: every row, the revision, the counts of lists; cursors end', async (_, openFrom, openTo) => {
    await using from = await openFrom();
    await using to = await openTo();
    await fill(from.store);
    const before = await to.store.cursor();
    await copyStore(from.store, to.store);
    expect(await contentOf(to.store)).toEqual(await contentOf(from.store));
    expect((await to.store.cursor()).revision).toBe((await from.store.cursor()).revision);
    expect(await to.store.changesAfter(before, 1)).toBeNull();
    expect(await wrongCounts(to.store)).toEqual([]);
    // And it goes on from there.
    const app = await anApp(to.store, { name: 'later' });
    expect(
      await to.store.read.selectFrom('apps').select('name').where('guid', '=', app.guid).executeTakeFirst(),
    ).toEqual({ name: 'later' });
  });

  test('copies more rows than one statement takes', async () => {
    await using from = await openTestStore();
    await using to = await onPostgres();
    await Promise.all(Array.from({ length: 1_203 }, () => aUser(from.store)));
    await copyStore(from.store, to.store);
    expect(await contentOf(to.store)).toEqual(await contentOf(from.store));
  });

  test('refuses a store that is in use, and changes nothing there', async () => {
    await using from = await openTestStore();
    await using to = await onPostgres();
    await fill(from.store);
    await aUser(to.store, { username: 'theirs' });
    const before = await contentOf(to.store);
    await expect(copyStore(from.store, to.store)).rejects.toThrow('already');
    expect(await contentOf(to.store)).toEqual(before);
  });
});

async function fill(store: Store): Promise<void> {
  const app = await anApp(store, { name: 'shop' });
  const { guid: app_guid, space_guid } = app;
  await aUser(store);
  await aProcess(store, { app_guid });
  const { guid: package_guid } = await aPackage(store, { app_guid });
  const { guid: build_guid } = await aBuild(store, { app_guid, package_guid });
  await aDroplet(store, { app_guid, build_guid });
  await aRoute(store, { space_guid });
  await aTask(store, { app_guid });
  await aDeployment(store, { app_guid });
  const { guid: service_instance_guid } = await anInstance(store, { space_guid });
  await aBinding(store, { app_guid, service_instance_guid });
  // More than a page of windows.
  const windows = Array.from({ length: 45 }, (_, at) => ({
    at: Math.floor(at / 2),
    source: `api-${at % 2}`,
    apps_json: '{}',
  }));
  const packs = [10, 300].map(step_s => ({ app_guid, step_s, at: 0, size_bytes: 1, packed: 'x' }));
  await store.note(async ({ db }) => {
    await db.insertInto('metric_windows').values(windows).execute();
    await db.insertInto('metric_packs').values(packs).execute();
  });
  await store.note(({ db }) => db.insertInto('settings').values({ key: 'installation_guid', value: 'one' }).execute());
}

/** Every table but the feed, its rows in an order of their own. */
async function contentOf({ read }: Store): Promise<Record<string, string[]>> {
  const content: Record<string, string[]> = {};
  for (const { name } of await read.introspection.getTables()) {
    if (['changes', 'counter', 'writers'].includes(name)) continue;
    const rows: Record<string, unknown>[] = await read
      .selectFrom(name as 'apps')
      .selectAll()
      .execute();
    content[name] = rows.map(row => JSON.stringify(Object.entries(row).toSorted())).toSorted();
  }
  return content;
}
