import { type RedisServer, startRedis } from '@cupola/redis/redis-server';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { LogsUnavailableError } from './errors.ts';
import { aLine, logStoreContract } from './log-store.contract.ts';
import type { LogLine, LogStore } from './log-store.ts';
import { withRecent } from './recent.ts';
import { openRedisLogs, type RedisLogsOptions } from './redis.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server[Symbol.asyncDispose]());

async function openEmpty(options: Omit<RedisLogsOptions, 'url'> = {}) {
  await server.command('FLUSHALL');
  const opened: LogStore[] = [];
  /** As another process would. */
  const open = () => {
    const logs = openRedisLogs({ url: server.url, ...options });
    opened.push(logs);
    return logs;
  };
  return {
    logs: open(),
    open,
    reopen: async () => {
      await opened[0]?.close();
      return open();
    },
    [Symbol.asyncDispose]: async () => {
      for (const logs of opened) await logs.close();
    },
  };
}

describe('LogStore on Redis', () => logStoreContract(openEmpty));

const all = { appGuid: 'app-1', limit: 100_000, descending: false };
const DROPPED = /^(\d+) older log lines were dropped/;
const LOST = /^(\d+) log lines were lost/;
const lines = (count: number, { first = 0, appGuid = 'app-1' } = {}): LogLine[] =>
  Array.from({ length: count }, (_, at) =>
    aLine(String(first + at).padStart(100, '.'), { appGuid, offsetNs: first + at }),
  );
const numberOf = ({ line }: LogLine): number => Number(line.replace(/^\.+/, ''));
const texts = (said: readonly LogLine[]): string[] => said.map(({ line }) => line);

describe('the budgets', () => {
  test('the oldest lines of an app go, and what is left says how many: nothing is lost silently', async () => {
    await using opened = await openEmpty({ maxBytesPerApp: 64 * 1024 });
    for (let first = 0; first < 3_000; first += 50) await opened.logs.append(lines(50, { first }));
    const [notice, ...kept] = await opened.logs.read(all);
    const dropped = Number(DROPPED.exec(notice?.line ?? '')?.[1]);
    expect(dropped).toBeGreaterThan(2_000);
    expect(kept.map(numberOf)).toEqual(Array.from({ length: 3_000 - dropped }, (_, at) => dropped + at));
    const whole = await opened.logs.read({ ...all, descending: true });
    expect(whole.filter(({ line }) => DROPPED.test(line))).toEqual([whole.at(-1)]);
    const behind = await opened.logs.read({ ...all, startNs: kept[0]?.timestampNs ?? 0n });
    expect(behind).toEqual(kept);
  });

  test('the budget of all takes from the app with the most: a quiet app keeps what it said', async () => {
    await using opened = await openEmpty({ maxBytesPerApp: 64 * 1024, maxBytesTotal: 100 * 1024 });
    await opened.logs.append(lines(5, { appGuid: 'quiet' }));
    for (const appGuid of ['loud-1', 'loud-2', 'loud-3'])
      for (let first = 0; first < 500; first += 50) await opened.logs.append(lines(50, { first, appGuid }));
    expect((await opened.logs.read({ ...all, appGuid: 'quiet' })).map(numberOf)).toEqual([0, 1, 2, 3, 4]);
    expect(Number(await server.command('GET', 'cupola:{logs}:total'))).toBeLessThanOrEqual(100 * 1024);
  });

  test('remove() gives back what the app took', async () => {
    await using opened = await openEmpty();
    await opened.logs.append(lines(50));
    await opened.logs.remove('app-1');
    expect(await server.command('GET', 'cupola:{logs}:total')).toBe('0');
  });
});

describe('several APIs', () => {
  test('lines of one app from two of them have unique, rising times, and any of them answers', async () => {
    await using opened = await openEmpty();
    const other = opened.open();
    await Promise.all(
      Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? opened.logs : other).append([aLine(`${at}`)])),
    );
    const [here, there] = await Promise.all([opened.logs.read(all), other.read(all)]);
    expect(here).toEqual(there);
    expect(new Set(texts(here)).size).toBe(100);
    expect(here.every((line, at) => at === 0 || line.timestampNs > (here[at - 1]?.timestampNs ?? 0n))).toBe(true);
  });

  test('follow() at one hears what is appended at another, in order, each line once', async () => {
    await using opened = await openEmpty();
    const other = opened.open();
    const told: LogLine[] = [];
    opened.logs.follow('app-1', said => told.push(...said));
    await opened.logs.read(all);
    for (let at = 0; at < 50; at++) await other.append([aLine(`${at}`, { offsetNs: at })]);
    await vi.waitFor(() => expect(told).toHaveLength(50), 30_000);
    expect(told).toEqual(await other.read(all));
  });

  test('a window of recent lines over it misses none of them', async () => {
    await using opened = await openEmpty();
    const other = opened.open();
    await other.append([aLine('before')]);
    await using recent = withRecent(opened.logs);
    recent.follow('app-1', () => undefined);
    await other.append([aLine('after', { offsetNs: 9 })]);
    expect(texts(await recent.read({ ...all, startNs: 0n }))).toEqual(['before', 'after']);
    await vi.waitFor(async () => expect(texts(await recent.read({ ...all, startNs: 0n }))).toHaveLength(2), 30_000);
  });
});

describe('a Redis that is away', () => {
  test('append() drops and counts, read() says so, and it goes on when Redis is back: the next line tells the loss', async () => {
    await using opened = await openEmpty();
    await opened.logs.append([aLine('before')]);
    await server.kill();
    const began = performance.now();
    await opened.logs.append([aLine('lost'), aLine('lost too')]);
    await expect(opened.logs.read(all)).rejects.toBeInstanceOf(LogsUnavailableError);
    await opened.logs.remove('app-2');
    expect(performance.now() - began).toBeLessThan(30_000);
    await server.start();
    await vi.waitFor(() => opened.logs.read(all), 30_000);
    await opened.logs.append([aLine('after')]);
    const [before, notice, after] = await opened.logs.read(all);
    expect([before?.line, LOST.exec(notice?.line ?? '')?.[1], after?.line]).toEqual(['before', '2', 'after']);
  });

  test('append() to a frozen Redis ends within seconds', async () => {
    await using opened = await openEmpty();
    await opened.logs.append([aLine('before')]);
    server.signal('SIGSTOP');
    const began = performance.now();
    await opened.logs.append([aLine('x')]);
    await expect(opened.logs.read(all)).rejects.toBeInstanceOf(LogsUnavailableError);
    expect(performance.now() - began).toBeLessThan(30_000);
    server.signal('SIGCONT');
    await vi.waitFor(() => opened.logs.read(all), 30_000);
  });

  test('follow() goes on where it was: what was said while its connection was lost is told too', async () => {
    await using opened = await openEmpty();
    const told: string[] = [];
    opened.logs.follow('app-1', said => told.push(...texts(said)));
    await opened.logs.append([aLine('1')]);
    await vi.waitFor(() => expect(told).toEqual(['1']), 30_000);
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await opened.logs.append([aLine('2')]);
    await vi.waitFor(() => expect(told).toEqual(['1', '2']), 30_000);
    await server.kill();
    await server.start();
    await vi.waitFor(async () => {
      await opened.logs.append([aLine('3')]);
      expect(told).toContain('3');
    }, 30_000);
  });

  test('follow() that began before Redis was there hears what comes', async () => {
    await server.kill();
    const logs = openRedisLogs({ url: server.url });
    const told: string[] = [];
    logs.follow('app-1', said => told.push(...texts(said)));
    await server.start();
    await vi.waitFor(async () => {
      await logs.append([aLine('came')]);
      expect(told).toContain('came');
    }, 30_000);
    await logs.close();
  });

  test('a full Redis drops and counts', async () => {
    await using opened = await openEmpty();
    await opened.logs.append([aLine('before')]);
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    await opened.logs.append(lines(3));
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await opened.logs.append([aLine('after')]);
    expect(LOST.exec((await opened.logs.read(all))[1]?.line ?? '')?.[1]).toBe('3');
  });

  test('follow() hears an app that begins anew, after it was removed or Redis was emptied', async () => {
    await using opened = await openEmpty();
    const told: string[] = [];
    opened.logs.follow('app-1', said => told.push(...texts(said)));
    await opened.logs.append([aLine('1', { offsetNs: 100 })]);
    // What is removed before it was heard is not told.
    await vi.waitFor(() => expect(told).toEqual(['1']), 30_000);
    await opened.logs.remove('app-1');
    await opened.logs.append([aLine('2')]);
    await vi.waitFor(() => expect(told).toEqual(['1', '2']), 30_000);
    await server.command('FLUSHALL');
    await opened.logs.append([aLine('3', { offsetNs: 200 })]);
    await vi.waitFor(() => expect(told).toEqual(['1', '2', '3']), 30_000);
  });
});
