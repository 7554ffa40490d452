/** `cupola dev` as somebody at a terminal has it: a folder, an app of their own that follows it, and nothing left when they leave. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { killPart, PART_KINDS, type Platform, ROOT, startPlatform, until } from './platform.ts';

interface Event {
  type: string;
  [field: string]: unknown;
}

let platform: Platform;
let work: string;
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cupola-dev-'));
  platform = await startPlatform();
  await platform.login();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

const HOST = 'shop-dev.localhost';
const server = (answer: string): string =>
  `require('http').createServer((_, response) => response.end(${answer})).listen(process.env.PORT);`;

/** `cupola dev` in a folder, and what it tells. */
function develop(folder: string): { child: ChildProcess; told: Event[]; tells(type: string): Promise<Event> } {
  const child = spawn(join(ROOT, 'cupola'), ['dev', '--json'], {
    cwd: folder,
    env: { ...process.env, CUPOLA_HOME: join(platform.data, 'cli-home') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const told: Event[] = [];
  let taken = 0;
  createInterface({ input: child.stdout }).on('line', line => void told.push(JSON.parse(line)));
  return {
    child,
    told,
    tells: type =>
      until(`cupola dev tells of ${type}, after ${JSON.stringify(told)}`, async () => {
        const at = told.findIndex((event, index) => index >= taken && event.type === type);
        if (at < 0) return null;
        taken = at + 1;
        return told[at] ?? null;
      }),
  };
}

const answers = (body: string) =>
  until(`${HOST} answers ${body}`, async () => (await platform.ask(HOST)).body === body);

test('what changes in the folder runs in an app beside the one that serves, which is gone in the end', async () => {
  const folder = join(work, 'shop');
  mkdirSync(folder);
  const write = (path: string, text: string): void => writeFileSync(join(folder, path), text);
  write('package.json', JSON.stringify({ name: 'shop', scripts: { start: 'node server.js' } }));
  write('server.js', server("'one'"));
  await platform.cupola(['push', 'shop', '-m', '64M'], { cwd: folder });
  const session = develop(folder);
  await session.tells('watching');
  await answers('one');

  write('server.js', server("require('fs').readFileSync('text', 'utf8')"));
  write('text', 'two');
  await session.tells('synced');
  await answers('two');

  // A broken one is no end: the next change mends it.
  write('server.js', 'this is no program');
  await session.tells('synced');
  write('server.js', server("'three'"));
  await session.tells('synced');
  await answers('three');

  // The agent that has brought them dies: the next one goes on.
  for (const part of PART_KINDS.filter(kind => kind.startsWith('cell'))) await killPart(platform, part);
  await answers('three');

  write('package.json', JSON.stringify({ name: 'shop', version: '2.0.0', scripts: { start: 'node server.js' } }));
  expect(await session.tells('building')).toMatchObject({ why: 'package.json' });
  await session.tells('pushed');
  await answers('three');
  expect((await platform.ask('shop.localhost')).body).toBe('one');

  const ended = once(session.child, 'exit');
  session.child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  const apps = (await platform.api('GET', '/v3/apps')).body as { resources: { name: string }[] };
  const routes = (await platform.api('GET', '/v3/routes')).body as { resources: { host: string }[] };
  expect([apps.resources.map(({ name }) => name), routes.resources.map(({ host }) => host)]).toEqual([
    ['shop'],
    ['shop'],
  ]);
});
