/** A platform whose state moves to a real PostgreSQL while it serves, lives through that server's death, and moves back. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasPostgres, type PostgresServer, startPostgres } from '@cupola/store/postgres-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appFolder, type Platform, startPlatform, until } from './platform.ts';

interface Resources {
  resources: { guid: string; name: string }[];
}

describe.skipIf(!hasPostgres())('state on PostgreSQL', () => {
  let work: string;
  let server: PostgresServer;
  let platform: Platform;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-on-postgres-'));
    server = await startPostgres({ durable: true });
    platform = await startPlatform();
    await platform.login();
    await platform.cupola(['push', 'hello'], { cwd: folder('hello') });
    await platform.cupola(['set-env', 'hello', 'SECRET', 'sealed']);
  });
  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  });

  const folder = (name: string): string => appFolder(work, name);

  const migrate = (to: string) => platform.cupola(['migrate', '--to', to, '--data', platform.data]);
  const appNames = async (): Promise<string[]> =>
    ((await platform.api('GET', '/v3/apps?order_by=name')).body as Resources).resources.map(({ name }) => name);
  const guidOf = async (name: string): Promise<string | undefined> =>
    ((await platform.api('GET', `/v3/apps?names=${name}`)).body as Resources).resources[0]?.guid;

  /** Asks the app some 30 times a second while `work` goes on (without pause it takes a processor of its own); the answers that were no 200. */
  async function askedMeanwhile(work: () => Promise<unknown>): Promise<{ asked: number; failed: number[] }> {
    const statuses: number[] = [];
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        statuses.push((await platform.ask('hello.localhost')).status);
        await new Promise(resolve => setTimeout(resolve, 25));
      }
    })();
    await work().finally(() => {
      isOver = true;
    });
    await asking;
    return { asked: statuses.length, failed: statuses.filter(status => status !== 200) };
  }

  test('what cannot be reached, or is no address, leaves the platform where it is, and says what to do', async () => {
    const unreachable = `postgres://cupola@/nowhere?host=${encodeURIComponent(work)}`;
    await expect(migrate('mysql://db')).rejects.toThrow(/postgres:\/\/USER:PASSWORD@HOST/);
    await expect(migrate(unreachable)).rejects.toThrow(
      /stays where it was: the database cannot be reached: connect E.*migrate --to/s,
    );
    await expect(migrate(server.url('missing'))).rejects.toThrow(/database "missing" does not exist/);
    expect(await appNames()).toEqual(['hello']);
  });

  test('moves while it serves: apps, guids and sealed variables are there, no request fails', async () => {
    const before = await guidOf('hello');
    const url = server.url(await server.database());
    const { asked, failed } = await askedMeanwhile(() => migrate(url));
    expect(asked).toBeGreaterThan(10);
    expect(failed).toEqual([]);
    expect(await guidOf('hello')).toBe(before);
    expect(existsSync(join(platform.data, 'state', 'store.db'))).toBe(false);
    const { stdout } = await platform.cupola(['env', 'hello', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ environment_variables: { SECRET: 'sealed' } });
    await platform.cupola(['push', 'there'], { cwd: folder('there') });
    expect((await platform.ask('there.localhost')).status).toBe(200);
  });

  test('while its server is away the API says so and when to come back, and apps answer; then it goes on', async () => {
    await server.stop('SIGKILL');
    const { failed } = await askedMeanwhile(async () => {
      const refused = await until('a refusal', async () => {
        const answer = await platform.api('POST', '/v3/organizations', { name: 'lost' }).catch(() => null);
        return answer?.status === 503 ? answer : null;
      });
      expect(refused.headers['retry-after']).toMatch(/^\d+$/);
      expect(JSON.stringify(refused.body)).toContain('The database cannot be reached at the moment');
    });
    expect(failed).toEqual([]);
    await server.start();
    await until('the API is back', async () => (await platform.api('GET', '/v3/organizations')).status === 200);
    await platform.cupola(['push', 'after'], { cwd: folder('after') });
    expect(await appNames()).toEqual(['after', 'hello', 'there']);
  });

  test('comes back with what it had after it was taken down, and a backup of it lives without the server', async () => {
    await platform.down();
    await platform.up();
    await until('hello serves', async () => (await platform.ask('hello.localhost')).status === 200);
    const file = join(work, 'platform.backup');
    await platform.cupola(['backup', file, '--data', platform.data]);
    await using other = await startPlatform(['--https-port', '0'], { backup: file });
    await until('it serves there', async () => (await other.ask('there.localhost')).status === 200);
    expect(existsSync(join(other.data, 'state', 'database'))).toBe(false);
  });

  test('moves back into its folder, with all that came since', async () => {
    const { failed } = await askedMeanwhile(() => migrate('embedded'));
    expect(failed).toEqual([]);
    await server.stop('SIGINT');
    expect(await appNames()).toEqual(['after', 'hello', 'there']);
    await platform.cupola(['push', 'last'], { cwd: folder('last') });
    expect((await platform.ask('last.localhost')).status).toBe(200);
  });
});
