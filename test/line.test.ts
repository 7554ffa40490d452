/** The main line, from the outside: the README's first command and what a user does next. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { namespacesOf, PARTS, type Platform, ROOT, startPlatform, traces, until } from './platform.ts';

/** What a machine remembers, of either form. */
function installationOf(folder: string): string {
  const file = ['config.json', 'member.json'].map(name => join(folder, name)).find(path => existsSync(path)) ?? '';
  return (JSON.parse(readFileSync(file, 'utf8')) as { installation: string }).installation;
}

describe('one platform', () => {
  let platform: Platform;
  let installations: string[];

  beforeAll(async () => {
    platform = await startPlatform();
    installations = platform.machines.map(installationOf);
    await platform.login();
    await platform.cupola(['push'], { cwd: join(ROOT, 'examples/node-hello') });
    // Only root's sandboxes have networks: were they named otherwise, their end would be seen nowhere.
    expect(installations.flatMap(namespacesOf).length > 0).toBe(process.getuid?.() === 0);
  });
  afterAll(async () => {
    const { data } = platform;
    await platform[Symbol.asyncDispose]();
    const left = traces(data);
    expect(left.processes).toEqual([]);
    expect(left.mounts).toEqual([]);
    expect(installations.flatMap(namespacesOf)).toEqual([]);
    expect(existsSync(data)).toBe(false);
  });

  test('the pushed app answers through the router', async () => {
    const answer = await platform.ask('node-hello.localhost');
    expect(answer.status).toBe(200);
    expect(answer.body).toBe('Hello from instance 0, version 1\n');
  });

  test('an unknown host is 404 with the reason in a header', async () => {
    const answer = await platform.ask('nobody.localhost');
    expect(answer.status).toBe(404);
    expect(answer.headers['x-cf-routererror']).toBe('unknown_route');
  });

  test("every link of GET / starts with the API's own origin", async () => {
    const { body } = await platform.api('GET', '/');
    const links = Object.values((body as { links: Record<string, { href: string } | null> }).links).filter(
      link => link !== null,
    );
    expect(links.map(({ href }) => new URL(href).origin)).toEqual(links.map(() => platform.facts.api));
  });

  test('its status names the parts with their pids, and the instances', async () => {
    const status = await platform.status();
    expect(status.parts.map(({ name }) => name)).toEqual(PARTS);
    expect(status.parts.every(({ pid }) => pid > 0)).toBe(true);
    expect(status.instances).toMatchObject([{ app: 'node-hello', process: 'web', index: 0, state: 'RUNNING' }]);
    for (const machine of platform.machines) {
      const { stdout } = await platform.cupola(['status', '--data', machine]);
      expect(stdout).toMatch(/^router +\d+ +0$/m);
    }
  });

  test('scale to 3: every instance answers, then scale to 1: one is left', async () => {
    await platform.cupola(['scale', 'node-hello', '-i', '3']);
    await until('three instances answer', async () => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => platform.ask('node-hello.localhost')));
      return new Set(answers.map(({ body }) => body)).size === 3;
    });
    await platform.cupola(['scale', 'node-hello', '-i', '1']);
    await until('one instance is left', async () => (await platform.status()).instances.length === 1);
  });

  test('set-env takes effect at the restart, not before', async () => {
    await platform.cupola(['set-env', 'node-hello', 'GREETING', 'hi']);
    const env = await platform.cupola(['env', 'node-hello']);
    expect(env.stdout).toContain('GREETING');
    await platform.cupola(['restart', 'node-hello']);
    expect((await platform.ask('node-hello.localhost')).status).toBe(200);
  });

  test('logs --recent shows what the app printed, staging and requests', async () => {
    await until('the line of the app is there', async () => {
      const { stdout } = await platform.cupola(['logs', 'node-hello', '--recent']);
      return (
        /\[APP\/PROC\/WEB\/0\].*listening on/.test(stdout) && /\[STG\/0\]/.test(stdout) && /\[RTR\/0\]/.test(stdout)
      );
    });
  });

  test('stop ends the app, start brings it back', async () => {
    await platform.cupola(['stop', 'node-hello']);
    await until('nothing answers', async () => (await platform.ask('node-hello.localhost')).status === 404);
    await platform.cupola(['start', 'node-hello']);
    expect((await platform.ask('node-hello.localhost')).status).toBe(200);
  });

  test('`down` leaves nothing running, `up` brings the app back', async () => {
    await platform.down();
    expect(traces(platform.data).processes).toEqual([]);
    await platform.up();
    await until('the app answers again', async () => (await platform.ask('node-hello.localhost')).status === 200);
  });
});
