/** A platform that is backed up while it works, and comes to life elsewhere with everything in it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appFolder, type Platform, ROOT, startPlatform, until } from './platform.ts';

const run = promisify(execFile);

interface Resources {
  resources: { guid: string; name: string }[];
}

describe('backup and restore', () => {
  let work: string;
  let file: string;
  let first: Platform;
  let second: Platform;
  let pushedMeanwhile: string;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-backup-'));
    file = join(work, 'platform.backup');
    first = await startPlatform();
    await first.login();
    await first.cupola(['push', 'hello'], { cwd: folder('hello') });
    await first.cupola(['set-env', 'hello', 'SECRET', 'sealed']);
    await first.cupola(['cups', 'db', '-p', '{"uri":"postgres://x"}']);
    await first.cupola(['bind-service', 'hello', 'db']);
    await first.cupola(['create-user', 'bob', 'bobs-password']);
    await first.cupola(['set-role', 'bob', 'SpaceDeveloper']);
    // It works while it is backed up: what is acknowledged before is in it, what comes after may be.
    const pushing = first.cupola(['push', 'meanwhile'], { cwd: folder('meanwhile') });
    await first.cupola(['backup', file, '--data', first.data]);
    await pushing;
    pushedMeanwhile = (await first.ask('meanwhile.localhost')).body;
    second = await startPlatform(['--https-port', '0'], { backup: file });
  });
  afterAll(async () => {
    await second?.[Symbol.asyncDispose]();
    await first?.[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  });

  const folder = (name: string): string => appFolder(work, name);

  test('the backup is readable by its owner alone, and the platform works on', async () => {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(pushedMeanwhile).toContain('Hello from instance 0');
    expect((await first.ask('hello.localhost')).status).toBe(200);
  });

  test('elsewhere the apps serve, with their guids, environment and services', async () => {
    await until('hello serves', async () => (await second.ask('hello.localhost')).status === 200);
    const [there, here] = await Promise.all(
      [first, second].map(async platform => (await platform.api('GET', '/v3/apps?names=hello')).body as Resources),
    );
    expect(here?.resources[0]?.guid).toBe(there?.resources[0]?.guid);
    await second.login();
    const { stdout } = await second.cupola(['env', 'hello', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ environment_variables: { SECRET: 'sealed' } });
    expect(stdout).toContain('postgres://x');
  });

  test('users log in with the passwords they had', async () => {
    const env = { CUPOLA_HOME: join(work, 'bob'), CUPOLA_PASSWORD: 'bobs-password' };
    const { stdout } = await second.cupola(['login', '-a', second.facts.api, '-u', 'bob'], { env });
    expect(stdout).toMatch(/space +dev/);
  });

  test('every droplet that came along can be started again', async () => {
    await second.login();
    await second.cupola(['restart', 'hello']);
    expect((await second.ask('hello.localhost')).status).toBe(200);
    const { body } = await second.api('GET', '/v3/droplets?states=STAGED');
    expect((body as Resources).resources.length).toBeGreaterThan(0);
  });

  test('a folder with a platform is not written over, a damaged file leaves nothing behind', async () => {
    await expect(run(join(ROOT, 'cupola'), ['restore', file, '--data', first.data])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('holds a platform already'),
    });
    const damaged = join(work, 'damaged');
    writeFileSync(damaged, readFileSync(file).subarray(0, 1_000));
    const empty = join(work, 'empty');
    await expect(run(join(ROOT, 'cupola'), ['restore', damaged, '--data', empty])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is no backup of Cupola, or is damaged'),
    });
    await expect(run(join(ROOT, 'cupola'), ['status', '--data', empty])).rejects.toMatchObject({ code: 1 });
  });

  test('`user reset-password` gives a new one, and the old one is over', async () => {
    const reset = await first.cupola(['user', 'reset-password', 'bob', '--data', first.data, '--json']);
    const { password } = JSON.parse(reset.stdout) as { password: string };
    const login = (as: string) =>
      first.cupola(['login', '-a', first.facts.api, '-u', 'bob'], {
        env: { CUPOLA_HOME: join(work, 'bob-2'), CUPOLA_PASSWORD: as },
      });
    await expect(login('bobs-password')).rejects.toMatchObject({ code: 3 });
    expect((await login(password)).stdout).toContain('bob');
    await expect(first.cupola(['user', 'reset-password', 'nobody', '--data', first.data])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no user nobody'),
    });
  });
});
