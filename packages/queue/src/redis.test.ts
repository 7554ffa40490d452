import { type RedisServer, startRedis } from '@cupola/redis/redis-server';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildQueueContract } from './build-queue.contract.ts';
import type { BuildQueue } from './build-queue.ts';
import { openRedisQueue } from './redis.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server[Symbol.asyncDispose]());

async function openEmpty() {
  await server.command('FLUSHALL');
  const queue = openRedisQueue({ url: server.url });
  // BullMQ tells Redis the time of this machine; timers are left alone.
  vi.useFakeTimers({ toFake: ['Date'] });
  return {
    queue,
    pass: async (ms: number) => {
      vi.setSystemTime(Date.now() + ms);
    },
    [Symbol.asyncDispose]: async () => {
      vi.useRealTimers();
      await queue.close();
    },
  };
}

const LEASE_MS = 60_000;
const next = (queue: BuildQueue) => queue.next('s', LEASE_MS);
const waiting = () => server.command('ZCARD', '{cupola}:builds:prioritized');

describe('BuildQueue on Redis', () => {
  buildQueueContract(openEmpty);

  test('organizations take turns when priorities count their unfinished builds: A B C A B C', async () => {
    await using opened = await openEmpty();
    const offers = ['A1', 'A2', 'A3', 'B1', 'B2', 'C1', 'C2'];
    for (const guid of offers) await opened.queue.offer({ buildGuid: guid, priority: Number(guid[1]) });
    const order: string[] = [];
    for (let hint = await next(opened.queue); hint !== null; hint = await next(opened.queue))
      order.push(hint.buildGuid);
    expect(order).toEqual(['A1', 'B1', 'C1', 'A2', 'B2', 'C2', 'A3']);
  });

  test('an offer by one API wakes who waits at another, and is given once', async () => {
    await using one = await openEmpty();
    const other = openRedisQueue({ url: server.url });
    const found = Promise.withResolvers<unknown>();
    other.onOffer(() => void next(other).then(hint => hint !== null && found.resolve(hint)));
    await one.queue.offer({ buildGuid: 'b1', priority: 1 });
    expect(await found.promise).toEqual({ buildGuid: 'b1', priority: 1 });
    expect(await next(one.queue)).toBeNull();
    await other.close();
  });

  test('nothing but guids is kept, and nothing of a build that is done', async () => {
    await using opened = await openEmpty();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    expect(await server.command('HGET', '{cupola}:builds:build-b1', 'data')).toBe('{"buildGuid":"b1"}');
    await next(opened.queue);
    await opened.queue.done('b1');
    expect(await server.command('EXISTS', '{cupola}:builds:build-b1')).toBe(0);
  });

  test('a hint whose API died before it was put off is given again', async () => {
    await using opened = await openEmpty();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    // As a killed API leaves it: taken, its lock over, in nobody's hands.
    await server.command('ZREM', '{cupola}:builds:prioritized', 'build-b1');
    await server.command('LPUSH', '{cupola}:builds:active', 'build-b1');
    await vi.waitFor(async () => expect(await next(opened.queue)).toMatchObject({ buildGuid: 'b1' }), 30_000);
  });
});

describe('a Redis that is away', () => {
  test('offer() fails within seconds, next() finds nothing and done() is no error; all of it goes on when Redis is back', async () => {
    await using opened = await openEmpty();
    await opened.queue.offer({ buildGuid: 'kept', priority: 1 });
    await server.kill();
    const began = performance.now();
    await expect(opened.queue.offer({ buildGuid: 'b1', priority: 1 })).rejects.toThrow(/^Redis at .* does not answer/);
    expect(await next(opened.queue)).toBeNull();
    await opened.queue.done('b1');
    expect(performance.now() - began).toBeLessThan(30_000);
    await server.start();
    await vi.waitFor(() => opened.queue.offer({ buildGuid: 'b1', priority: 2 }), 30_000);
    expect([await next(opened.queue), await next(opened.queue)]).toMatchObject([
      { buildGuid: 'kept' },
      { buildGuid: 'b1' },
    ]);
  });

  test('offer() fails within seconds on a frozen Redis', async () => {
    await using opened = await openEmpty();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    server.signal('SIGSTOP');
    const began = performance.now();
    await expect(opened.queue.offer({ buildGuid: 'b2', priority: 1 })).rejects.toThrow('does not answer');
    expect(performance.now() - began).toBeLessThan(30_000);
    server.signal('SIGCONT');
    await vi.waitFor(() => opened.queue.offer({ buildGuid: 'b2', priority: 1 }), 30_000);
  });

  test('a queue that is opened without Redis serves when it comes', async () => {
    await server.kill();
    const queue = openRedisQueue({ url: server.url });
    const woken = vi.fn();
    queue.onOffer(woken);
    await expect(queue.offer({ buildGuid: 'b1', priority: 1 })).rejects.toThrow('does not answer');
    await server.start();
    await vi.waitFor(() => queue.offer({ buildGuid: 'b1', priority: 1 }), 30_000);
    await vi.waitFor(() => expect(woken).toHaveBeenCalled(), 30_000);
    await queue.close();
  });

  test('close() ends while it is away', async () => {
    const opened = await openEmpty();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    await server.kill();
    await opened.queue.close();
    await server.start();
  });

  test('after FLUSHALL an offer is taken as new', async () => {
    await using opened = await openEmpty();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    await server.command('FLUSHALL');
    expect(await next(opened.queue)).toBeNull();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    expect(await next(opened.queue)).toEqual({ buildGuid: 'b1', priority: 1 });
    expect(await waiting()).toBe(0);
  });
});

test('openRedisQueue() says what is wrong with an address', () => {
  expect(() => openRedisQueue({ url: 'http://here' })).toThrow('redis://[USER:PASSWORD@]HOST');
});
