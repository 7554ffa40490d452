/** The command itself: in the foreground until Ctrl-C, two platforms side by side, `restart`, and what it says when something is wrong. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT, startPlatform, traces, until } from './platform.ts';

const run = promisify(execFile);
const CUPOLA = join(ROOT, 'cupola');
const HELLO = join(ROOT, 'examples/node-hello');

test('`up FOLDER` in the foreground pushes it, prints where everything is, and Ctrl-C leaves nothing running', async () => {
  const data = mkdtempSync(join(tmpdir(), 'cupola-'));
  const child = spawn(CUPOLA, ['up', HELLO, '--data', data, '--port', '0', '--api-port', '0', '--no-install'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const exited = new Promise<number | null>(resolve => child.once('exit', code => resolve(code)));
  await until('it says how to stop', async () => printed.includes('Ctrl-C'));
  const password = readFileSync(join(data, 'admin-password'), 'utf8').trim();
  expect(printed).toMatch(/app +http:\/\/node-hello\.localhost:\d+/);
  expect(printed).toMatch(/API +http:\/\/localhost:\d+/);
  expect(printed).toContain(`cf login -a http://localhost:`);
  expect(printed).toContain(`-u admin -p ${password} -o cupola -s dev`);
  expect(statSync(join(data, 'admin-password')).mode & 0o777).toBe(0o600);

  child.kill('SIGINT');
  expect(await exited).toBe(0);
  expect(traces(data)).toMatchObject({ processes: [], mounts: [] });
  rmSync(data, { recursive: true, force: true });
});

test('two platforms on two data folders do not know of each other', async () => {
  await using one = await startPlatform();
  await using two = await startPlatform();
  await one.login();
  await two.login();
  await one.cupola(['push'], { cwd: HELLO });
  expect((await one.ask('node-hello.localhost')).status).toBe(200);
  expect((await two.ask('node-hello.localhost')).status).toBe(404);
  await two.cupola(['push'], { cwd: HELLO });
  await one.down();
  expect((await two.ask('node-hello.localhost')).status).toBe(200);
});

test('`restart` swaps every part while a client is answered each time', async () => {
  await using platform = await startPlatform();
  await platform.login();
  await platform.cupola(['push'], { cwd: HELLO });
  const before = (await platform.status()).parts.map(({ pid }) => pid);
  let on = true;
  const answers: number[] = [];
  const client = (async () => {
    while (on) answers.push((await platform.ask('node-hello.localhost')).status);
  })();
  await platform.cupola(['restart', '--data', platform.data]);
  const after = (await platform.status()).parts.map(({ pid }) => pid);
  on = false;
  await client;
  expect(after.filter(pid => before.includes(pid))).toEqual([]);
  expect(answers.filter(status => status !== 200)).toEqual([]);
  const [instance, ...more] = await until('the API lists what runs', async () => {
    const { instances } = await platform.status();
    return instances.some(({ state }) => state === 'RUNNING') && instances;
  });
  expect([instance, more]).toEqual([expect.objectContaining({ state: 'RUNNING', crashes: 0 }), []]);
});

test('a taken port, and a second `up` on the same data, are refused with what helps', async () => {
  await using platform = await startPlatform();
  const data = mkdtempSync(join(tmpdir(), 'cupola-'));
  const refused = run(CUPOLA, [
    'up',
    '--data',
    data,
    '--port',
    String(platform.facts.port),
    '--api-port',
    '0',
    '--no-install',
  ]);
  await expect(refused).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/is taken.*--port/) });
  const again = platform.cupola(['up', '--data', platform.data, '--no-install']);
  await expect(again).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/runs already.*cupola down/) });
  rmSync(data, { recursive: true, force: true });
});

test('`down`, `status` and `restart` without a platform say how to start one', async () => {
  const data = mkdtempSync(join(tmpdir(), 'cupola-'));
  const status = run(CUPOLA, ['status', '--data', data]);
  await expect(status).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('./cupola up') });
  const restart = run(CUPOLA, ['restart', '--data', data]);
  await expect(restart).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('./cupola up') });
  expect((await run(CUPOLA, ['down', '--data', data])).stdout).toContain('No platform runs');
  rmSync(data, { recursive: true, force: true });
});

test('`doctor` says which sandboxes work here, and which one is used', async () => {
  const data = mkdtempSync(join(tmpdir(), 'cupola-'));
  const { stdout } = await run(CUPOLA, ['doctor', '--data', data]);
  expect(stdout).toMatch(/works, used/);
  const { rungs } = JSON.parse((await run(CUPOLA, ['doctor', '--data', data, '--json'])).stdout) as {
    rungs: Array<{ name: string; usable: boolean }>;
  };
  expect(rungs.filter(({ usable }) => usable).map(({ name }) => name)).not.toContain('process');
  rmSync(data, { recursive: true, force: true });
});
