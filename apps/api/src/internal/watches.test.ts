import { aBuild } from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { startTestApi } from '../fixtures.ts';
import { apply, openWatch } from './fixtures.ts';
import { buildsView } from './views/builds.ts';
import { startWatches } from './watches.ts';

const log = pino({ level: 'silent' });
const now = () => 0;

/** The same store, whose statements are counted; `fails` makes the next ones fail. */
function counted(store: Store) {
  const state = { statements: 0, fails: false };
  const read = store.read.withPlugin({
    transformQuery: ({ node }) => {
      state.statements++;
      if (state.fails) throw new Error('the disk is away');
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  return { state, store: { ...store, read } satisfies Store };
}

/** What a watcher knows, and how many lines it got. */
function aWatcher() {
  const items = new Map<string, { guid: string }>();
  let epoch = '';
  let types: string[] = [];
  return {
    items,
    types: () => types,
    epoch: () => epoch,
    audience: null,
    send: (text: string): void => {
      for (const line of text.split('\n').filter(one => one !== '')) {
        const said = JSON.parse(line);
        apply(items, said);
        epoch = said.epoch;
        types = [...types, said.type];
      }
    },
  };
}

test('a change costs the same for a thousand watchers as for one', async () => {
  await using opened = await openTestStore();
  const { state, store } = counted(opened.store);
  using watches = startWatches({ builds: buildsView({ store }) }, { store, log, now });
  const one = aWatcher();
  await watches.watch('builds', one, null);
  const costOfOne = await costOfChange();
  const many = Array.from({ length: 999 }, aWatcher);
  await Promise.all(many.map(watcher => watches.watch('builds', watcher, null)));
  expect(await costOfChange()).toBe(costOfOne);
  expect(many.every(({ items }) => items.size === 2)).toBe(true);

  async function costOfChange(): Promise<number> {
    const before = state.statements;
    const { guid } = await aBuild(opened.store);
    await vi.waitFor(() => expect(one.items.has(guid)).toBe(true), 30_000);
    return state.statements - before;
  }
});

test('a watcher that resumes is told what it missed alone', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aBuild(store);
  using other = await openWatch(test.socketPath, '/internal/builds/watch');
  await aBuild(store);
  const watch = await openWatch(test.socketPath, '/internal/builds/watch');
  watch[Symbol.dispose]();
  const { guid } = await aBuild(store);
  await other.until(line => line.type === 'upsert' && line.item.guid === guid);
  using again = await openWatch(test.socketPath, '/internal/builds/watch', watch);
  await again.until(({ type }) => type === 'synced');
  expect([...again.items.keys()].sort()).toEqual([...other.items.keys()].sort());
  expect(again.items.size).toBe(3);
});

test('a restored store is another epoch: every watcher gets a snapshot', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  using watches = startWatches({ builds: buildsView({ store }) }, { store, log, now });
  const watcher = aWatcher();
  await watches.watch('builds', watcher, null);
  await store.newEpoch();
  await aBuild(store);
  const cursor = await store.cursor();
  await vi.waitFor(() => expect(watcher.items.size).toBe(1), 30_000);
  expect(watcher.types().slice(0, 2)).toEqual(['snapshot', 'snapshot']);
  expect(watcher.epoch()).toBe(cursor.epoch);
});

test('a watcher that is too far behind for the feed gets a snapshot', async () => {
  await using opened = await openTestStore({ changesKept: 2 });
  const { store } = opened;
  using watches = startWatches({ builds: buildsView({ store }) }, { store, log, now });
  const watcher = aWatcher();
  await watches.watch('builds', watcher, null);
  await store.mutate(async ({ changed }) => {
    for (let n = 0; n < 9; n++) changed('job', `j${n}`);
  });
  const { guid } = await aBuild(store);
  await vi.waitFor(() => expect(watcher.items.has(guid)).toBe(true), 30_000);
});

test('a view that could not be read is read whole again, and misses nothing', async () => {
  await using opened = await openTestStore();
  const { state, store } = counted(opened.store);
  using watches = startWatches({ builds: buildsView({ store }) }, { store, log, now });
  const watcher = aWatcher();
  await watches.watch('builds', watcher, null);
  state.fails = true;
  const lost = await aBuild(opened.store);
  const before = state.statements;
  await vi.waitFor(() => expect(state.statements).toBeGreaterThan(before), 30_000);
  state.fails = false;
  const next = await aBuild(opened.store);
  await vi.waitFor(() => expect([...watcher.items.keys()].sort()).toEqual([lost.guid, next.guid].sort()), 30_000);
});

test('a watcher that has left is told nothing more', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  using watches = startWatches({ builds: buildsView({ store }) }, { store, log, now });
  const [gone, stays] = [aWatcher(), aWatcher()];
  const leave = await watches.watch('builds', gone, null);
  await watches.watch('builds', stays, null);
  leave();
  await aBuild(store);
  await vi.waitFor(() => expect(stays.items.size).toBe(1), 30_000);
  expect(gone.items.size).toBe(0);
});

test('empty lines and synced ones come by themselves', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    await using opened = await openTestStore();
    const { store } = opened;
    using watches = startWatches({ builds: buildsView({ store }) }, { store, log, now });
    const texts: string[] = [];
    await watches.watch('builds', { audience: null, send: text => void texts.push(text) }, null);
    vi.advanceTimersByTime(5_000);
    expect(texts.at(-1)).toBe('\n');
    vi.advanceTimersByTime(25_000);
    await vi.waitFor(() => expect(texts.filter(text => text.includes('"synced"'))).toHaveLength(2), 30_000);
  } finally {
    vi.useRealTimers();
  }
});
