import { STAGING_LIMITS } from '@cupola/model/limits';
import { embeddedQueue } from '@cupola/queue/embedded';
import { aBuild, aDroplet, anApp, anOrganization, aSpace } from '@cupola/store/fixtures';
import type { BuildsTable } from '@cupola/store/schema';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { createBuildLeases } from './leases.ts';
import { startOutbox } from './outbox.ts';

const START = 1_767_323_045_000;

/** A store, its queue, and an outbox that has not begun yet. */
async function open() {
  const clock = { ms: START };
  const now = (): number => clock.ms;
  const opened = await openTestStore({ now });
  const { store } = opened;
  const queue = embeddedQueue(store);
  const leases = createBuildLeases(now);
  const removed: string[] = [];
  const logs = { remove: async (guid: string) => void removed.push(guid) };
  const deps = { store, queue, leases, logs, log: pino({ level: 'silent' }), now };
  return {
    deps,
    /** Builds whose log was removed. */
    removed,
    store,
    queue,
    pass: (ms: number) => {
      clock.ms += ms;
    },
    build: (given: Partial<BuildsTable> = {}) => aBuild(store, { created_at: clock.ms, ...given }),
    row: (guid: string) => store.read.selectFrom('builds').selectAll().where('guid', '=', guid).executeTakeFirst(),
    hints: async () => (await store.read.selectFrom('build_queue').select(['build_guid', 'priority']).execute()) ?? [],
    touch: () => store.mutate(async ({ changed }) => changed('build', 'any')),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

test('a build that waits when the outbox starts is offered', async () => {
  await using test = await open();
  const { guid } = await test.build();
  await using _outbox = startOutbox(test.deps);
  await vi.waitFor(async () => expect(await test.hints()).toEqual([{ build_guid: guid, priority: 1 }]), 30_000);
});

test('a new build is offered at once', async () => {
  await using test = await open();
  await using _outbox = startOutbox(test.deps);
  const { guid } = await test.build();
  await vi.waitFor(async () => expect(await test.hints()).toMatchObject([{ build_guid: guid }]), 30_000);
});

test('a queue that was emptied is filled again', async () => {
  await using test = await open();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const { guid } = await test.build();
    await using _outbox = startOutbox(test.deps);
    await vi.waitFor(async () => expect(await test.hints()).toHaveLength(1), 30_000);
    await test.store.note(({ db }) => db.deleteFrom('build_queue').execute());
    vi.advanceTimersByTime(STAGING_LIMITS.outboxRepeatMs);
    await vi.waitFor(async () => expect(await test.hints()).toMatchObject([{ build_guid: guid }]), 30_000);
  } finally {
    vi.useRealTimers();
  }
});

test('organizations take turns: who has more unfinished builds waits longer', async () => {
  await using test = await open();
  const appOf = async (organization_guid: string): Promise<string> =>
    (await anApp(test.store, { space_guid: (await aSpace(test.store, { organization_guid })).guid })).guid;
  const [loud, quiet] = [await anOrganization(test.store), await anOrganization(test.store)];
  const builds = [
    await test.build({ app_guid: await appOf(loud.guid) }),
    await test.build({ app_guid: await appOf(loud.guid), created_at: START + 1 }),
    await test.build({ app_guid: await appOf(quiet.guid), created_at: START + 2 }),
  ];
  await using _outbox = startOutbox(test.deps);
  await vi.waitFor(async () => expect(await test.hints()).toHaveLength(3), 30_000);
  const priorities = new Map((await test.hints()).map(({ build_guid, priority }) => [build_guid, priority]));
  expect(builds.map(({ guid }) => priorities.get(guid))).toEqual([1, 2, 1]);
});

test('a claimed build is offered again when its lease is over, not before', async () => {
  await using test = await open();
  await test.build({ stager: 's1', fence: 1, attempts: 1 });
  await using _outbox = startOutbox(test.deps);
  const other = await test.build();
  await vi.waitFor(async () => expect(await test.hints()).toMatchObject([{ build_guid: other.guid }]), 30_000);
  test.pass(STAGING_LIMITS.leaseMs);
  await test.touch();
  await vi.waitFor(async () => expect(await test.hints()).toHaveLength(2), 30_000);
});

test('a build that was lost as often as is allowed is FAILED, with the reason', async () => {
  await using test = await open();
  const { guid } = await test.build({ fence: 2, attempts: STAGING_LIMITS.attemptsMax, error: 'the disk is full' });
  await test.queue.offer({ buildGuid: guid, priority: 1 });
  await using _outbox = startOutbox(test.deps);
  await vi.waitFor(async () => expect(await test.row(guid)).toMatchObject({ state: 'FAILED' }), 30_000);
  expect(await test.row(guid)).toMatchObject({
    error_title: 'StagerError',
    error: expect.stringContaining('the disk is full'),
    finished_at: START,
  });
  await vi.waitFor(async () => expect(await test.hints()).toEqual([]), 30_000);
});

test('a build whose time is over is FAILED, though its stager is heard', async () => {
  await using test = await open();
  const { guid } = await test.build({ stager: 's1', fence: 1, attempts: 1 });
  test.pass(STAGING_LIMITS.timeoutMs + STAGING_LIMITS.sweepAfterMs);
  await using _outbox = startOutbox(test.deps);
  await vi.waitFor(
    async () =>
      expect(await test.row(guid)).toMatchObject({ state: 'FAILED', error_title: 'StagingTimeExpired', stager: null }),
    30_000,
  );
});

test('what nobody asked for in time goes, with the droplet it made and its log; what was asked for stays', async () => {
  await using test = await open();
  const staged = await test.build({ adopted: 0, state: 'STAGED' });
  await aDroplet(test.store, { app_guid: staged.app_guid, build_guid: staged.guid });
  const asked = await test.build({ state: 'STAGED' });
  const kept = await aDroplet(test.store, { app_guid: asked.app_guid, build_guid: asked.guid });
  test.pass(STAGING_LIMITS.unadoptedMs);
  await using _outbox = startOutbox(test.deps);
  await vi.waitFor(() => expect(test.removed).toEqual([staged.guid]), 30_000);
  expect(await test.row(staged.guid)).toBeUndefined();
  expect(await test.store.read.selectFrom('droplets').select('guid').execute()).toEqual([{ guid: kept.guid }]);
  expect(await test.row(asked.guid)).toMatchObject({ state: 'STAGED' });
});

test('a running build that nobody asked for in time is cancelled first, and goes when its stager is off it', async () => {
  await using test = await open();
  const { guid } = await test.build({ adopted: 0, stager: 's1', fence: 1, attempts: 1 });
  test.pass(STAGING_LIMITS.unadoptedMs);
  await using _outbox = startOutbox(test.deps);
  await vi.waitFor(async () => expect(await test.row(guid)).toMatchObject({ cancelled: 1, state: 'STAGING' }), 30_000);
  test.pass(STAGING_LIMITS.leaseMs);
  await test.touch();
  await vi.waitFor(async () => expect(await test.row(guid)).toBeUndefined(), 30_000);
});

test('a build that was adopted between look and act is left alone', async () => {
  await using test = await open();
  const { guid } = await test.build({ adopted: 0 });
  test.pass(STAGING_LIMITS.unadoptedMs);
  // In the same group of mutations as the outbox's, and before it.
  const adopt = vi.fn(() =>
    test.store.mutate(async ({ db, changed }) => {
      await db.updateTable('builds').set({ adopted: 1 }).where('guid', '=', guid).execute();
      changed('build', guid);
    }),
  );
  const store = {
    ...test.store,
    mutate: (async work => {
      if (adopt.mock.calls.length === 0) await adopt();
      return test.store.mutate(work);
    }) satisfies typeof test.store.mutate,
  };
  await using _outbox = startOutbox({ ...test.deps, store });
  await vi.waitFor(() => expect(adopt).toHaveBeenCalledOnce(), 30_000);
  await vi.waitFor(async () => expect(await test.hints()).toHaveLength(1), 30_000);
  expect(await test.row(guid)).toMatchObject({ adopted: 1, state: 'STAGING' });
});

test('a queue that takes no hints keeps no build from being ended, and is asked once in a pass', async () => {
  await using test = await open();
  for (const created_at of [START, START + 1]) await test.build({ created_at });
  const { guid } = await test.build({ created_at: START + 2, attempts: STAGING_LIMITS.attemptsMax });
  const offer = vi.fn(async () => {
    throw new Error('no queue');
  });
  {
    await using _outbox = startOutbox({
      ...test.deps,
      queue: { ...test.queue, offer },
      store: { ...test.store, subscribe: () => () => undefined },
    });
    await vi.waitFor(async () => expect(await test.row(guid)).toMatchObject({ state: 'FAILED' }), 30_000);
  }
  expect(offer).toHaveBeenCalledOnce();
});
