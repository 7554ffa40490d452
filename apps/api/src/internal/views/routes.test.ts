import { STOP_LINGER_MS } from '@cupola/model/limits';
import { aCopy, aDestination, aDomain, anApp, aPlacement, aProcess, aRoute, aRunSpec } from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import { expect, test } from 'vitest';
import { startTestApi } from '../../fixtures.ts';
import { openWatch, type TestWatch } from '../fixtures.ts';

/** A route to a started app with one healthy copy. */
async function aServedRoute(store: Store) {
  const domain = await aDomain(store, { name: 'apps.example' });
  const route = await aRoute(store, {
    domain_guid: domain.guid,
    host: 'shop',
    path: '/v1',
    options_json: '{"loadbalancing":"round-robin"}',
  });
  const app = await anApp(store, { name: 'shop', state: 'STARTED' });
  const process = await aProcess(store, { app_guid: app.guid });
  const spec = await aRunSpec(store, { app_guid: app.guid, process_guid: process.guid });
  await aDestination(store, { route_guid: route.guid, app_guid: app.guid });
  const ids = { app_guid: app.guid, process_guid: process.guid, run_spec_guid: spec.guid };
  const { guid, cell_id } = await aPlacement(store, ids);
  const copy = await aCopy(store, { ...ids, guid, cell_id });
  return { route, app, process, copy };
}

const open = (socketPath: string) => openWatch(socketPath, '/internal/routes/watch');
const endpointsOf = (watch: TestWatch, guid: string): string[] =>
  watch.items
    .get(guid)
    ?.destinations.flatMap((one: { endpoints: Array<{ instanceGuid: string }> }) =>
      one.endpoints.map(({ instanceGuid }) => instanceGuid),
    );

test('a route comes whole, with the copies that serve it', async () => {
  await using test = await startTestApi();
  const { route, app, process, copy } = await aServedRoute(test.deps.store);
  using watch = await open(test.socketPath);
  expect(watch.items.get(route.guid)).toEqual({
    guid: route.guid,
    host: 'shop',
    domain: 'apps.example',
    path: '/v1',
    destinations: [
      {
        appGuid: app.guid,
        appName: 'shop',
        spaceName: expect.any(String),
        organizationName: expect.any(String),
        processGuid: process.guid,
        processType: 'web',
        endpoints: [{ instanceGuid: copy.guid, index: 0, host: '127.0.0.1', port: 61_001 }],
        holdMs: 0,
      },
    ],
    options: { loadbalancing: 'round-robin' },
  });
});

test('a copy leaves its routes when it is withdrawn, before its cell has stopped it', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { route, copy } = await aServedRoute(store);
  using watch = await open(test.socketPath);
  await store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('placements').where('guid', '=', copy.guid).execute();
    changed('placement', copy.guid);
  });
  await watch.next();
  expect(endpointsOf(watch, route.guid)).toEqual([]);
});

test('a copy that is gone leaves its routes, though nothing is left to look up', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { route, copy } = await aServedRoute(store);
  using watch = await open(test.socketPath);
  await store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('copies').where('guid', '=', copy.guid).execute();
    changed('copy', copy.guid);
  });
  await watch.next();
  expect(endpointsOf(watch, route.guid)).toEqual([]);
});

test('a copy of a lost cell serves on until the scheduler takes it away', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { route, copy } = await aServedRoute(store);
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('cells').set({ state: 'LOST' }).where('cell_id', '=', copy.cell_id).execute();
    changed('cell', copy.cell_id);
  });
  using watch = await open(test.socketPath);
  expect(endpointsOf(watch, route.guid)).toEqual([copy.guid]);
});

test('a deleted route is removed', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { route } = await aServedRoute(store);
  using watch = await open(test.socketPath);
  await store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('routes').where('guid', '=', route.guid).execute();
    changed('route', route.guid);
  });
  expect(await watch.next()).toMatchObject({ type: 'remove', guid: route.guid });
});

test('a stopped app lingers, then its route is told to lead nowhere: by time, without a change', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { route, app } = await aServedRoute(store);
  using watch = await open(test.socketPath);
  const stoppedAt = test.clock.now() - STOP_LINGER_MS + 20;
  await store.mutate(async ({ db, changed }) => {
    await db
      .updateTable('apps')
      .set({ state: 'STOPPED', stopped_at: stoppedAt })
      .where('guid', '=', app.guid)
      .execute();
    changed('app', app.guid);
  });
  // Nothing of the item has changed yet, so nothing is said until the clock says that its time is over.
  test.clock.pass(20);
  const line = await watch.next();
  expect(line).toMatchObject({ type: 'upsert', item: { guid: route.guid, destinations: [] } });
  expect(line.revision).toBe((await store.cursor()).revision);
});

test('what does not change a route is not told', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { copy, route } = await aServedRoute(store);
  using watch = await open(test.socketPath);
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('copies').set({ crash_count: 1 }).where('guid', '=', copy.guid).execute();
    changed('copy', copy.guid);
  });
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('routes').set({ host: 'other' }).where('guid', '=', route.guid).execute();
    changed('route', route.guid);
  });
  expect(await watch.next()).toMatchObject({ type: 'upsert', item: { host: 'other' } });
});
