/** What a change costs, however many watch, and what a reader costs who does not read. */
import { anApp, aSpace } from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import { expect, test } from 'vitest';
import { type Actor, NOBODY } from '../access/actor.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { hubOf } from './fixtures.ts';
import type { Watcher } from './watcher.ts';

const ALL = { kinds: null, organizationGuids: null, spaceGuids: null, appGuids: null };

/** The store, and how often it was asked. */
function counting(store: Store): { store: Store; asked(): number } {
  let asked = 0;
  const read = store.read.withPlugin({
    transformQuery: ({ node }) => {
      asked++;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  const counted: Store = {
    ...store,
    read,
    cursor: () => {
      asked++;
      return store.cursor();
    },
    changesAfter: (after, limit) => {
      asked++;
      return store.changesAfter(after, limit);
    },
  };
  return { store: counted, asked: () => asked };
}

interface Heard {
  watcher: Watcher;
  text(): string;
}

function aWatcher(actor: Actor, behindBytes: () => number = () => 0): Heard {
  const chunks: Buffer[] = [];
  const watcher: Watcher = {
    actor,
    filter: ALL,
    origin: 'https://api.example',
    form: 'messages',
    send: bytes => void chunks.push(bytes),
    behindBytes,
    end: () => void chunks.push(Buffer.from('over\n')),
  };
  return { watcher, text: () => Buffer.concat(chunks).toString() };
}

async function developers(api: TestApi, count: number): Promise<Actor[]> {
  const { spaceGuid, organizationGuid } = api.home;
  const users = await Promise.all(Array.from({ length: count }, () => api.userWith({ space_developer: spaceGuid })));
  return users.map(({ guid, username }) => ({
    ...NOBODY,
    kind: 'user',
    guid,
    name: username,
    roles: [{ type: 'space_developer', spaceGuid, organizationGuid }],
  }));
}

const until = (isSo: () => boolean) => expect.poll(isSo, { interval: 5, timeout: 20_000 }).toBe(true);

/** Of each: what the hub does by the clock (beats, figures) may come between, and costs the store something too. */
const TRIES = 3;

/** How often the store is asked for one change while so many watch. */
async function costOfChange(api: TestApi, actors: readonly Actor[], count: number): Promise<number> {
  const { store, asked } = counting(api.deps.store);
  await using hub = hubOf(api.deps, store);
  const heard = Array.from({ length: count }, (_, index) => aWatcher(actors[index % actors.length] as Actor));
  await Promise.all(heard.map(({ watcher }) => hub.join(watcher, null)));
  const settled = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await until(() => heard.every(({ text }) => text().includes(settled.guid)));
  const costs: number[] = [];
  while (costs.length < TRIES) {
    const before = asked();
    const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
    await until(() => heard.every(({ text }) => text().includes(app.guid)));
    costs.push(asked() - before);
  }
  return Math.min(...costs);
}

test('a change costs the store the same for a thousand watchers as for one', async () => {
  await using api = await startTestApi();
  const actors = await developers(api, 10);
  const one = await costOfChange(api, actors, 1);
  expect(await costOfChange(api, actors, 1_000)).toBe(one);
  expect(one).toBeLessThanOrEqual(8);
});

test('a thousand who come back at once cost the store as much as one', async () => {
  await using api = await startTestApi();
  const actors = await developers(api, 10);
  const { epoch, revision } = await api.deps.store.cursor();
  for (const name of ['a', 'b', 'c']) await anApp(api.deps.store, { space_guid: api.home.spaceGuid, name });
  const costs: number[] = [];
  for (const count of [1, 1_000]) {
    const { store, asked } = counting(api.deps.store);
    await using hub = hubOf(api.deps, store);
    // The first one opens the feed; those who come while it does are one batch.
    const heard = Array.from({ length: count }, (_, index) => aWatcher(actors[index % actors.length] as Actor));
    await Promise.all(heard.map(({ watcher }) => hub.join(watcher, `${revision}:${epoch}`)));
    expect(heard.every(({ text }) => text().split('"kind":"app"').length === 4)).toBe(true);
    costs.push(asked());
  }
  expect(costs[1]).toBe(costs[0]);
});

test('without watchers nothing is read', async () => {
  await using api = await startTestApi();
  const [actor] = (await developers(api, 1)) as [Actor];
  const { store, asked } = counting(api.deps.store);
  await using hub = hubOf(api.deps, store);
  const { watcher } = aWatcher(actor);
  (await hub.join(watcher, null))();
  const other = aWatcher(actor);
  const leave = await hub.join(other.watcher, null);
  leave();
  const before = asked();
  await aSpace(api.deps.store, { organization_guid: api.home.organizationGuid });
  await api.api('GET', '/v3/spaces', { token: api.admin });
  expect(asked()).toBe(before);
});

test('who does not read is cut with a reset, and the others go on', async () => {
  await using api = await startTestApi();
  const [actor] = (await developers(api, 1)) as [Actor];
  await using hub = hubOf(api.deps);
  let behind = 0;
  const slow = aWatcher(actor, () => behind);
  const quick = aWatcher(actor);
  await Promise.all([slow, quick].map(({ watcher }) => hub.join(watcher, null)));
  behind = 2 * 1024 * 1024;
  const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await until(() => quick.text().includes(app.guid));
  expect(slow.text()).toMatch(/"reason":"slow".*\n.*"type":"end","reason":"slow".*\nover\n$/);
  const next = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await until(() => quick.text().includes(next.guid));
  expect(slow.text()).not.toContain(next.guid);
});
