import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
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
  aSpace,
  aTask,
  wrongCounts,
} from './fixtures.ts';
import type { Database } from './schema.ts';
import type { Store } from './store.ts';
import { openTestStore } from './test-store.ts';

interface World {
  store: Store;
  spaces: string[];
  apps: string[];
  /** Counts up: names and numbers that are free. */
  next: number;
}
const of = (all: readonly string[], number: number): string => all[number % all.length] ?? '';

/** What makes a row in some space or app, told which by a number. */
const MAKERS: Record<string, (world: World, number: number) => Promise<unknown>> = {
  apps: async ({ store, spaces, apps }, number) => {
    apps.push((await anApp(store, { space_guid: of(spaces, number) })).guid);
  },
  spaces: async ({ store, spaces }) => {
    spaces.push((await aSpace(store)).guid);
  },
  routes: ({ store, spaces }, number) => aRoute(store, { space_guid: of(spaces, number) }),
  service_instances: ({ store, spaces }, number) => anInstance(store, { space_guid: of(spaces, number) }),
  processes: ({ store, apps }, number) => aProcess(store, { app_guid: of(apps, number) }),
  packages: ({ store, apps }, number) => aPackage(store, { app_guid: of(apps, number) }),
  builds: ({ store, apps }, number) => aBuild(store, { app_guid: of(apps, number), adopted: number % 2 === 0 ? 1 : 0 }),
  droplets: async ({ store, apps }, number) => {
    const app_guid = of(apps, number);
    const build = await store.read
      .selectFrom('builds')
      .select('guid')
      .where('app_guid', '=', app_guid)
      .executeTakeFirst();
    return aDroplet(store, { app_guid, build_guid: build?.guid ?? null });
  },
  tasks: (world, number) => aTask(world.store, { app_guid: of(world.apps, number), sequence_id: ++world.next }),
  deployments: ({ store, apps }, number) => aDeployment(store, { app_guid: of(apps, number) }),
  service_bindings: ({ store, apps }, number) => aBinding(store, { app_guid: of(apps, number) }),
  audit_events: ({ store, spaces }, number) =>
    store.mutate(({ db, now }) =>
      db
        .insertInto('audit_events')
        .values({
          guid: randomUUID(),
          created_at: now,
          type: 'x',
          actor_guid: '',
          actor_type: 'user',
          actor_name: '',
          target_guid: '',
          target_type: '',
          target_name: '',
          space_guid: number % 3 === 0 ? null : of(spaces, number),
          organization_guid: number % 5 === 0 ? null : of(spaces, number + 1),
          data_json: '{}',
        })
        .execute(),
    ),
};
type Table = Extract<keyof Database, 'apps' | 'routes' | 'builds' | 'spaces'>;

async function guidOf({ store }: World, table: Table, number: number): Promise<string> {
  const rows = await store.read.selectFrom(table).select('guid').orderBy('guid').execute();
  return of(
    rows.map(({ guid }) => guid),
    number,
  );
}

const CHANGES: Record<string, (world: World, number: number) => Promise<unknown>> = {
  'make one': (world, number) =>
    Object.values(MAKERS)[number % Object.keys(MAKERS).length]?.(world, number) ?? Promise.resolve(),
  'delete one': async (world, number) => {
    const table = Object.keys(MAKERS)[number % Object.keys(MAKERS).length] as Table;
    // A space or an app that goes takes nothing with it here: rows whose app or space is gone stay counted where they were made.
    if (table === 'spaces' || table === 'apps') return;
    const guid = await guidOf(world, table, number);
    await world.store.mutate(({ db }) => db.deleteFrom(table).where('guid', '=', guid).execute());
  },
  'delete all of an app': (world, number) => {
    const guid = of(world.apps, number);
    if (world.apps.length > 1) world.apps = world.apps.filter(app => app !== guid);
    return world.store.mutate(async ({ db }) => {
      for (const table of [
        'processes',
        'packages',
        'builds',
        'droplets',
        'tasks',
        'deployments',
        'service_bindings',
      ] as const)
        await db.deleteFrom(table).where('app_guid', '=', guid).execute();
      if (world.apps.length > 1) await db.deleteFrom('apps').where('guid', '=', guid).execute();
    });
  },
  'move a route': async (world, number) => {
    const guid = await guidOf(world, 'routes', number);
    const space_guid = of(world.spaces, number + 1);
    await world.store.mutate(({ db }) =>
      db.updateTable('routes').set({ space_guid }).where('guid', '=', guid).execute(),
    );
  },
  'adopt a build': async (world, number) => {
    const guid = await guidOf(world, 'builds', number);
    const adopted = number % 3 === 0 ? 0 : 1;
    await world.store.mutate(({ db }) => db.updateTable('builds').set({ adopted }).where('guid', '=', guid).execute());
  },
  'fail half-way': (world, number) =>
    world.store
      .mutate(async ({ db }) => {
        await db.deleteFrom('routes').where('space_guid', '=', of(world.spaces, number)).execute();
        throw new Error('on purpose');
      })
      .catch(() => undefined),
};

test('what is counted of each list in each space and organization is what count(*) says, whatever is done', async () => {
  const change = fc.tuple(fc.constantFrom('make one', ...Object.keys(CHANGES)), fc.nat({ max: 10_000 }));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 60 }), async changes => {
      await using opened = await openTestStore();
      const world: World = { store: opened.store, spaces: [], apps: [], next: 0 };
      for (let home = 0; home < 2; home++) await MAKERS.spaces?.(world, home);
      for (let app = 0; app < 2; app++) await MAKERS.apps?.(world, app);
      for (const [what, number] of changes) await CHANGES[what]?.(world, number);
      expect(await wrongCounts(opened.store)).toEqual([]);
    }),
    { numRuns: 25 },
  );
});
