/**
 * Apps that reach each other past the router, on one machine and on others: by names under apps.internal, where a network policy says so. As root alone:
 * others' apps share one network.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, shimPids, startPlatform, until } from './platform.ts';

/** `/ask/HOST` says what that host answers on port 8080, or why it does not; `/resolve/NAME` its addresses, by a query of its own. */
const FRONT = `
const dns = require('node:dns/promises');
const http = require('node:http');
const ask = host => new Promise((resolve, reject) =>
  http.get({ host, port: 8080, agent: false, timeout: 10_000 }, response => {
    let body = '';
    response.on('data', chunk => { body += chunk; });
    response.on('end', () => resolve(body));
  }).on('timeout', function () { this.destroy(new Error('timed out')); }).on('error', reject));
http.createServer((request, response) => {
  const [, what, name] = request.url.split('/');
  const answer = what === 'ask' ? ask(name) : what === 'resolve' ? dns.resolve4(name).then(String) : Promise.resolve('front');
  answer.then(text => response.end(text), error => response.end(error.code ?? error.message));
}).listen(process.env.PORT);
`;

describe.runIf(process.getuid?.() === 0)('apps that reach each other', () => {
  let platform: Platform;
  const folder = mkdtempSync(join(tmpdir(), 'cupola-peers-'));
  const front = async (path: string): Promise<string> => (await platform.ask('front.localhost', path)).body;
  const says = (path: string, answer: string | RegExp) =>
    until(`front says ${answer} of ${path}`, async () => {
      const said = await front(path);
      if (typeof answer === 'string' ? said === answer : answer.test(said)) return true;
      throw new Error(`it says ${said}`);
    });
  const guidOf = async (name: string): Promise<string> =>
    ((await platform.api('GET', `/v3/apps?names=${name}`)).body as { resources: [{ guid: string }] }).resources[0].guid;

  beforeAll(async () => {
    mkdirSync(join(folder, 'front'));
    writeFileSync(join(folder, 'front/server.js'), FRONT);
    writeFileSync(join(folder, 'front/package.json'), '{ "scripts": { "start": "node server.js" } }');
    platform = await startPlatform();
    await platform.login();
    await Promise.all([
      platform.cupola(['push', 'front'], { cwd: join(folder, 'front') }),
      platform.cupola(['push', 'node-hello'], { cwd: join(ROOT, 'examples/node-hello') }),
    ]);
    await platform.cupola(['map-route', 'node-hello', 'apps.internal', '--hostname', 'back']);
  });
  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('a policy opens the way to instances that run already, and its removal shuts it; the router knows no such name', async () => {
    await says('/resolve/back.apps.internal', /^10\.254\.\d+\.\d+$/);
    expect(await front('/ask/back.apps.internal')).toBe('ECONNREFUSED');
    expect(await front('/resolve/nobody.apps.internal')).toBe('ENOTFOUND');
    expect((await platform.ask('back.apps.internal')).status).toBe(404);

    const [source, id] = [await guidOf('front'), await guidOf('node-hello')];
    const destination = { id, protocol: 'tcp', ports: { start: 8080, end: 8080 } };
    const body = { policies: [{ source: { id: source }, destination }] };
    expect((await platform.api('POST', '/networking/v1/external/policies', body)).status).toBe(200);
    await says('/ask/back.apps.internal', 'Hello from instance 0, version 1\n');
    // An instance that starts later is reached too, also by its index.
    await platform.cupola(['scale', 'node-hello', '-i', '2']);
    await says('/ask/1.back.apps.internal', 'Hello from instance 1, version 1\n');
    await says('/resolve/back.apps.internal', /^10\.254\.\d+\.\d+,10\.254\.\d+\.\d+$/);
    // Three instances with no machine left out: in a cluster one of those that were reached is on another machine than who asked.
    await says('/ask/0.back.apps.internal', 'Hello from instance 0, version 1\n');
    expect(platform.machines.filter(machine => shimPids(machine).length === 0)).toEqual([]);

    expect((await platform.api('POST', '/networking/v1/external/policies/delete', body)).status).toBe(200);
    await says('/ask/back.apps.internal', 'ECONNREFUSED');
  });
});
