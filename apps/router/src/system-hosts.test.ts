/** The platform's own hosts at the router's ports. */
import http from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aRouter, ask, httpBackend, raw, routeTo, tempFolder, until } from './fixtures.ts';

/** An API on a unix socket that says how it was asked. */
async function apiOn(socketPath: string): Promise<AsyncDisposable> {
  const server = http.createServer((request, response) => {
    if (request.url === '/fails') response.writeHead(500);
    response.end(JSON.stringify({ api: true, headers: request.headers }));
  });
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 418 no\r\ncontent-length: 0\r\n\r\n'));
  await new Promise<void>(resolve => server.listen(socketPath, resolve));
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

const system = (folder: string) => ({
  names: ['api.localhost', 'uaa.localhost'],
  places: [join(folder, 'api.sock')],
});

test('a host of the platform leads to the API, with who asked and how', async () => {
  using folder = tempFolder();
  await using _api = await apiOn(join(folder.path, 'api.sock'));
  await using router = await aRouter([], { system: system(folder.path) });
  const got = await ask(router.port, { host: 'API.localhost:8080', headers: { 'X-Forwarded-For': '203.0.113.9' } });
  expect(JSON.parse(got.body)).toMatchObject({
    api: true,
    headers: { host: 'API.localhost:8080', 'x-forwarded-proto': 'http', 'x-forwarded-for': '127.0.0.1' },
  });
});

test('no route takes a host of the platform, by name, by wildcard or by path', async () => {
  using folder = tempFolder();
  await using _api = await apiOn(join(folder.path, 'api.sock'));
  await using app = await httpBackend((_, response) => response.end('app'));
  const routes = [
    routeTo([app.port], { guid: 'r1', host: 'api' }),
    routeTo([app.port], { guid: 'r2', host: '*' }),
    routeTo([app.port], { guid: 'r3', host: 'uaa', path: '/oauth' }),
  ];
  await using router = await aRouter(routes, { system: system(folder.path) });
  expect((await ask(router.port, { host: 'api.localhost' })).body).toContain('"api":true');
  expect((await ask(router.port, { host: 'uaa.localhost', path: '/oauth/token' })).body).toContain('"api":true');
  expect((await ask(router.port, { host: 'other.localhost' })).body).toBe('app');
});

test('while the API is away apps are served, and after a while its hosts answer 503', async () => {
  using folder = tempFolder();
  await using app = await httpBackend((_, response) => response.end('app'));
  await using router = await aRouter([routeTo([app.port])], { system: { ...system(folder.path), holdMs: 1 } });
  const away = await ask(router.port, { host: 'api.localhost' });
  expect([away.status, away.body]).toEqual([503, expect.stringContaining('cupola status')]);
  expect((await ask(router.port, {})).body).toBe('app');
});

test('a request to the API waits while it is swapped for another, with its body', async () => {
  using folder = tempFolder();
  await using router = await aRouter([], { system: system(folder.path) });
  const asked = [
    ask(router.port, { host: 'api.localhost' }),
    ask(router.port, { host: 'api.localhost', method: 'POST', body: 'x' }),
  ];
  await until(() => router.router.state().held === 2);
  await using _api = await apiOn(join(folder.path, 'api.sock'));
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200]);
});

test('an upgrade that the API refuses ends the connection', async () => {
  using folder = tempFolder();
  await using _api = await apiOn(join(folder.path, 'api.sock'));
  await using router = await aRouter([], { system: system(folder.path) });
  const upgrade = 'GET / HTTP/1.1\r\nHost: api.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  expect(await raw(router.port, upgrade)).toMatch(/^HTTP\/1\.1 418/);
});

test('requests to the platform are in no app’s access log, and not in the table on disk', async () => {
  using folder = tempFolder();
  await using _api = await apiOn(join(folder.path, 'api.sock'));
  await using router = await aRouter([], { system: system(folder.path) });
  await ask(router.port, { host: 'api.localhost' });
  await until(() => router.router.counts.get('')?.get(200) === 1);
  expect(router.router.state().routes).toBe(0);
  expect(router.api.logs).toEqual([]);
});
