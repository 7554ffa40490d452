/** The outbox over a real Redis that loses what it was told, or is not there. */
import { openRedisQueue } from '@cupola/queue/redis';
import { startRedis } from '@cupola/redis/redis-server';
import { aBuild } from '@cupola/store/fixtures';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { createBuildLeases } from './leases.ts';
import { startOutbox } from './outbox.ts';

const LEASE_MS = 60_000;

async function open() {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const { store } = stack.use(await openTestStore());
  const queue = openRedisQueue({ url: redis.url });
  stack.defer(() => queue.close());
  const logs = { remove: async () => undefined };
  const leases = createBuildLeases(() => performance.now());
  stack.use(startOutbox({ store, queue, leases, logs, log: pino({ level: 'silent' }), now: Date.now }));
  return {
    redis,
    /** Of a build that somebody has just asked for. */
    build: async () => (await aBuild(store, { created_at: Date.now() })).guid,
    /** The next hint, waited for as the API does it: until there is one. */
    hint: () =>
      vi.waitFor(async () => {
        const found = await queue.next('s', LEASE_MS);
        expect(found).not.toBeNull();
        return found?.buildGuid;
      }, 30_000),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('a Redis that was emptied is filled again', async () => {
  await using test = await open();
  const guid = await test.build();
  expect(await test.hint()).toBe(guid);
  await test.redis.command('FLUSHALL');
  expect(await test.hint()).toBe(guid);
});

test('what is asked for while Redis is away is offered when it is back', async () => {
  await using test = await open();
  await test.redis.kill();
  const guid = await test.build();
  await test.redis.start();
  expect(await test.hint()).toBe(guid);
});

test('a Redis that refuses to write is offered the same again', async () => {
  await using test = await open();
  await test.redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  await test.redis.command('CONFIG', 'SET', 'maxmemory', '1');
  const guid = await test.build();
  await test.redis.command('CONFIG', 'SET', 'maxmemory', '0');
  expect(await test.hint()).toBe(guid);
});
