import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anApp, aProcess } from '@cupola/store/fixtures';
import { expect, test, vi } from 'vitest';
import type { ApiDeps } from '../deps.ts';
import { startTestApi } from '../fixtures.ts';
import { callInternal, openWatch } from './fixtures.ts';
import { startInternal } from './server.ts';

test('the socket is for its owner alone', async () => {
  await using test = await startTestApi();
  expect((await stat(test.socketPath)).mode & 0o777).toBe(0o600);
});

test('the socket file of a killed process is no obstacle, and a folder that is missing is made', async () => {
  await using test = await startTestApi();
  const folder = await mkdtemp(join(tmpdir(), 'cupola-internal-'));
  try {
    const socketPath = join(folder, 'state', 'internal.sock');
    const deps = test.deps as ApiDeps;
    await (await startInternal(deps, { socketPath }))[Symbol.asyncDispose]();
    await writeFile(socketPath, 'left');
    await using _second = await startInternal(deps, { socketPath });
    expect((await callInternal(socketPath, 'GET', '/internal/instances')).status).toBe(200);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  ['GET', '/internal/nothing'],
  ['DELETE', '/internal/cells'],
  ['GET', '/internal/builds/b/package/more'],
])('%s %s is an unknown request', async (method, path) => {
  await using test = await startTestApi();
  const { status, body } = await callInternal(test.socketPath, method, path);
  expect([status, body.errors[0].title]).toEqual([404, 'CF-NotFound']);
});

test.each([
  ['no JSON', Buffer.from('{')],
  ['another shape', { session: 1 }],
])('a body that is %s is refused', async (_, body) => {
  await using test = await startTestApi();
  expect((await callInternal(test.socketPath, 'POST', '/internal/cells', body)).status).toBe(400);
});

test('a path that cannot be decoded is refused', async () => {
  await using test = await startTestApi();
  expect((await callInternal(test.socketPath, 'GET', '/internal/toolchains/%ff')).status).toBe(400);
});

test('a connection serves on after a refused call whose body was never read', async () => {
  await using test = await startTestApi();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const put = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const path = `/internal/layers/${'a'.repeat(64)}`;
      const request = http.request({ socketPath: test.socketPath, method: 'PUT', path, agent }, response => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      request.on('error', reject);
      request.end(Buffer.alloc(4 * 1024 * 1024));
    });
  expect(await Promise.all([put(), put()])).toEqual([400, 400]);
  agent.destroy();
});

test('closing ends watches and held calls at once', async () => {
  await using test = await startTestApi();
  const socketPath = join(test.socketPath, '..', 'second.sock');
  const asked = vi.spyOn(test.deps.queue, 'next');
  const internal = await startInternal(test.deps as ApiDeps, { socketPath });
  using watch = await openWatch(socketPath, '/internal/routes/watch');
  const held = callInternal(socketPath, 'GET', '/internal/builds/next?stager=s&wait_ms=60000');
  await vi.waitFor(() => expect(asked).toHaveBeenCalled(), 30_000);
  await internal[Symbol.asyncDispose]();
  await expect(watch.next()).rejects.toThrow();
  expect((await held).status).toBe(204);
});

test("log lines reach the app's log; a guid that is none is the sender's mistake", async () => {
  await using test = await startTestApi();
  const app = await anApp(test.deps.store);
  const envelope = {
    appGuid: app.guid,
    sourceType: 'STG',
    instanceId: '0',
    type: 'OUT',
    timestampNs: '1767323045000000000',
    line: 'hello',
  };
  const send = (envelopes: unknown[]) => callInternal(test.socketPath, 'POST', '/internal/logs', { envelopes });
  expect((await send([envelope])).status).toBe(204);
  const lines = await test.deps.logs.read({ appGuid: app.guid, limit: 10, descending: false });
  expect(lines).toMatchObject([{ sourceType: 'STG', line: 'hello' }]);
  expect((await send([{ ...envelope, appGuid: '../x' }])).status).toBe(400);
});

test('GET /internal/instances lists what is wanted of apps that are STARTED', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await anApp(store, { name: 'shop', state: 'STARTED' });
  await aProcess(store, { app_guid: app.guid, instances: 2, planned_at: 5 });
  await aProcess(store, { app_guid: (await anApp(store, { state: 'STOPPED' })).guid });
  expect((await callInternal(test.socketPath, 'GET', '/internal/instances')).body).toEqual({
    instances: [
      { app: 'shop', process: 'web', index: 0, state: 'DOWN', crashes: 0, since: 5 },
      { app: 'shop', process: 'web', index: 1, state: 'DOWN', crashes: 0, since: 5 },
    ],
  });
});
