import { aCopy, aDestination, aDomain, anApp, aPlacement, aProcess, aRoute } from '@cupola/store/fixtures';
import type { ChangeKind } from '@cupola/store/schema';
import type { Mutation, Store } from '@cupola/store/store';
import { openTestStore } from '@cupola/store/test-store';
import fc from 'fast-check';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { apply } from '../fixtures.ts';
import { startWatches, type Watches } from '../watches.ts';
import { routesView } from './routes.ts';

const log = pino({ level: 'silent' });
const NOW = 1_767_323_045_000;
const now = () => NOW;

/** Everything that may happen to what a route shows, each with the change that its writer puts on the feed and no other. */
const OPERATIONS: Record<string, (mutation: Mutation, n: number) => Promise<void>> = {
  start: (mutation, n) => update(mutation, 'apps', 'app', `app-${n % 2}`, { state: 'STARTED', stopped_at: null }),
  stop: (mutation, n) => update(mutation, 'apps', 'app', `app-${n % 2}`, { state: 'STOPPED', stopped_at: NOW }),
  rename: (mutation, n) => update(mutation, 'apps', 'app', `app-${n % 2}`, { name: `name-${n}` }),
  plan: (mutation, n) =>
    update(mutation, 'processes', 'process', `process-${n % 2}`, { planned_at: NOW, run_spec_guid: `spec-${n % 3}` }),
  crash: (mutation, n) => update(mutation, 'copies', 'copy', `copy-${n}`, { state: 'CRASHED', crash_count: n + 1 }),
  run: (mutation, n) => update(mutation, 'copies', 'copy', `copy-${n}`, { state: 'RUNNING', port: 61_000 + n }),
  unready: (mutation, n) => update(mutation, 'copies', 'copy', `copy-${n}`, { routable: 0 }),
  withdraw: (mutation, n) => remove(mutation, 'placements', 'placement', `copy-${n}`),
  gone: (mutation, n) => remove(mutation, 'copies', 'copy', `copy-${n}`),
  // Withdrawn and ended before anybody looked.
  vanish: async (mutation, n) => {
    await remove(mutation, 'placements', 'placement', `copy-${n}`);
    await remove(mutation, 'copies', 'copy', `copy-${n}`);
  },
  unroute: (mutation, n) => remove(mutation, 'routes', 'route', `route-${n % 3}`),
  unmap: async ({ db, changed }, n) => {
    await db
      .deleteFrom('route_destinations')
      .where('route_guid', '=', `route-${n % 3}`)
      .execute();
    changed('route', `route-${n % 3}`);
  },
  // A cell that comes back reports what was thought to be gone.
  reappear: async ({ db, changed }, n) => {
    const row = await db
      .selectFrom('copies')
      .selectAll()
      .where('app_guid', '=', `app-${n % 2}`)
      .executeTakeFirst();
    if (row === undefined) return;
    await db
      .insertInto('copies')
      .values({ ...row, guid: `copy-${n}` })
      .onConflict(conflict => conflict.doNothing())
      .execute();
    changed('copy', `copy-${n}`);
  },
};

async function update(
  { db, changed }: Mutation,
  table: 'apps' | 'processes' | 'copies',
  kind: ChangeKind,
  guid: string,
  row: object,
): Promise<void> {
  await db.updateTable(table).set(row).where('guid', '=', guid).execute();
  changed(kind, guid);
}

async function remove(
  { db, changed }: Mutation,
  table: 'placements' | 'copies' | 'routes',
  kind: ChangeKind,
  guid: string,
): Promise<void> {
  await db.deleteFrom(table).where('guid', '=', guid).execute();
  changed(kind, guid);
}

/** Two apps with three copies each, three routes that lead to one, the other and both. */
async function aWorld(store: Store): Promise<void> {
  const domain = await aDomain(store);
  for (const n of [0, 1]) {
    const app = await anApp(store, { guid: `app-${n}`, state: 'STARTED' });
    const process = await aProcess(store, { guid: `process-${n}`, app_guid: app.guid, instances: 3 });
    for (const index of [0, 1, 2]) {
      const ids = {
        app_guid: app.guid,
        process_guid: process.guid,
        run_spec_guid: `spec-${index}`,
        index_number: index,
      };
      const placement = await aPlacement(store, { ...ids, guid: `copy-${n + 2 * index}`, cell_id: 'cell' });
      await aCopy(store, { ...ids, guid: placement.guid, cell_id: 'cell' });
    }
  }
  for (const [route, apps] of [
    [0, [0]],
    [1, [1]],
    [2, [0, 1]],
  ] as const) {
    const { guid } = await aRoute(store, { guid: `route-${route}`, domain_guid: domain.guid });
    for (const app of apps) await aDestination(store, { route_guid: guid, app_guid: `app-${app}` });
  }
}

async function watchInto(watches: Watches<'routes'>): Promise<Map<string, unknown>> {
  const items = new Map<string, { guid: string }>();
  const send = (text: string): void => {
    for (const line of text.split('\n')) if (line !== '') apply(items, JSON.parse(line));
  };
  await watches.watch('routes', { audience: null, send }, null);
  return items;
}

test('whatever happens, a watcher knows what a fresh reading says: no change that concerns a route is overlooked', async () => {
  const step = fc.tuple(fc.constantFrom(...Object.keys(OPERATIONS)), fc.nat(5));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 15 }), async groups => {
      await using opened = await openTestStore({ now });
      const { store } = opened;
      await aWorld(store);
      using watches = startWatches({ routes: routesView({ store, now }) }, { store, log, now });
      const known = await watchInto(watches);
      for (const group of groups)
        await store.mutate(async mutation => {
          for (const [name, n] of group) await OPERATIONS[name]?.(mutation, n);
        });
      // Comes after all that the changes have set going, some of it in the next turn of the loop.
      await new Promise(resolve => setImmediate(resolve));
      await watchInto(watches);
      using fresh = startWatches({ routes: routesView({ store, now }) }, { store, log, now });
      expect(known).toEqual(await watchInto(fresh));
    }),
    { numRuns: 25 },
  );
});
