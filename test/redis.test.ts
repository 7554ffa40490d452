/** A platform whose build queue and logs lie in a real Redis that is killed while a push goes on. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisServer, startRedis } from '@cupola/redis/redis-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appFolder, type Platform, startPlatform, until } from './platform.ts';

describe('build queue and logs in Redis', () => {
  let work: string;
  let redis: RedisServer;
  let platform: Platform;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-on-redis-'));
    redis = await startRedis();
    platform = await startPlatform([], { env: { CUPOLA_REDIS_URL: redis.url } });
    await platform.login();
  });
  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  });

  const push = (name: string) => platform.cupola(['push', name], { cwd: appFolder(work, name) });
  const logOf = async (name: string): Promise<string> => (await platform.cupola(['logs', name, '--recent'])).stdout;
  const served = async (name: string): Promise<number> => (await platform.ask(`${name}.localhost`)).status;

  test('a push is staged by a hint from Redis, and its lines are read from there', async () => {
    await push('hello');
    expect(await served('hello')).toBe(200);
    await until('its line', async () => (await logOf('hello')).includes('listening on'));
    expect(await redis.command('HLEN', 'cupola:{logs}:newest')).toBeGreaterThan(0);
  });

  test('a push while Redis is away is accepted, and staged once it is back; apps answer all the time', async () => {
    await redis.kill();
    const pushing = push('later');
    pushing.catch(() => undefined);
    await until('its build waits', async () => {
      const { body } = await platform.api('GET', '/v3/builds?states=STAGING');
      return (body as { resources: unknown[] }).resources.length > 0;
    });
    expect(await served('hello')).toBe(200);
    await redis.start();
    await pushing;
    expect(await served('later')).toBe(200);
    await until('lines are read again', async () => (await logOf('later')).includes('listening on'));
  });

  test.each(['cell', 'router'])('the part %s is not told where Redis is', async part => {
    const environment = readFileSync(`/proc/${await platform.pidOf(part)}/environ`, 'utf8');
    expect(environment).toContain('CUPOLA_DOMAIN=');
    expect(environment).not.toContain('CUPOLA_REDIS_URL');
  });

  test('what is no address of Redis is refused at the start, with the form', async () => {
    const up = platform.cupola(['up', '--data', join(work, 'refused'), '--port', '0', '--api-port', '0'], {
      env: { CUPOLA_REDIS_URL: 'localhost:6379' },
    });
    await expect(up).rejects.toThrow(/CUPOLA_REDIS_URL is no address of Redis. Write redis:/);
  });
});
