import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { aRouter, ask, fakeApi, httpBackend, raw, routeTo, startOn, tempFolder, until } from './fixtures.ts';

describe('the table', () => {
  test('a restarted router answers at once from disk while the API is away', async () => {
    using folder = tempFolder();
    await using backend = await httpBackend((_request, response) => response.end('ok'));
    const api = await fakeApi(folder.path);
    api.upsert(routeTo([backend.port]));
    const first = await startOn(folder.path, api);
    await first.hasTable;
    await api.away();
    await first[Symbol.asyncDispose]();
    await using second = await startOn(folder.path, api);
    expect((await ask(second.address.port)).body).toBe('ok');
    expect((await ask(second.address.port, { host: 'nobody.localhost' })).status).toBe(404);
  });

  test('is resumed from where it was: nothing is sent twice, a change made meanwhile arrives', async () => {
    using folder = tempFolder();
    const api = await fakeApi(folder.path);
    api.upsert(routeTo([1]));
    const first = await startOn(folder.path, api);
    await first.hasTable;
    await first[Symbol.asyncDispose]();
    api.upsert(routeTo([2], { guid: 'r2', host: 'other' }));
    await using second = await startOn(folder.path, api);
    await until(() => second.state().routes === 2);
    expect(api.asked).toEqual([null, '1']);
    await api.away();
  });

  test('while the watch is down nothing is removed; when it is back, what was missed is caught up', async () => {
    await using backend = await httpBackend((_request, response) => response.end('ok'));
    await using router = await aRouter([routeTo([backend.port])]);
    await until(() => router.api.watchers === 1);
    await router.api.away();
    expect((await ask(router.port)).status).toBe(200);
    router.api.remove('route-1');
    router.api.upsert(routeTo([backend.port], { guid: 'r2', host: 'late' }));
    expect((await ask(router.port)).status).toBe(200);
    await router.api.listen();
    await until(() => router.router.state().route('r2') !== null);
    expect((await ask(router.port)).status).toBe(404);
    expect((await ask(router.port, { host: 'late.localhost' })).status).toBe(200);
  });

  test('without any table yet, a request is told to come back instead of being told 404', async () => {
    using folder = tempFolder();
    const api = await fakeApi(folder.path);
    await api.away();
    await using router = await startOn(folder.path, api);
    const got = await ask(router.address.port);
    expect([got.status, got.headers['retry-after']]).toEqual([503, '1']);
  });

  test.each(['', '{', '{"version":2}', 'null'])('a damaged file (%j) is no obstacle', async content => {
    using folder = tempFolder();
    writeFileSync(join(folder.path, 'table.json'), content);
    const api = await fakeApi(folder.path);
    api.upsert(routeTo([1]));
    await using router = await startOn(folder.path, api);
    await router.hasTable;
    expect(router.state().routes).toBe(1);
    await router[Symbol.asyncDispose]();
    await api.away();
    expect(JSON.parse(readFileSync(join(folder.path, 'table.json'), 'utf8'))).toMatchObject({
      version: 1,
      cursor: { epoch: 'epoch-1', revision: 1 },
    });
  });

  test('a route that is not understood costs the others nothing', async () => {
    await using backend = await httpBackend((_request, response) => response.end('ok'));
    await using router = await aRouter([routeTo([backend.port])]);
    router.api.upsert({ ...routeTo([1]), guid: 'bad', destinations: 'none' } as never);
    await router.route(routeTo([backend.port], { guid: 'r2', host: 'after' }));
    expect((await ask(router.port, { host: 'after.localhost' })).status).toBe(200);
    expect(router.router.state().route('bad')).toBeNull();
  });
});

describe('the end', () => {
  test('a request in flight is finished, the connection closed behind it, new ones are not taken', async () => {
    const asked = Promise.withResolvers<http.ServerResponse>();
    await using backend = await httpBackend((_request, response) => asked.resolve(response));
    const router = await aRouter([routeTo([backend.port])], { settings: { drainEmbeddedMs: 10_000 } });
    const agent = new http.Agent({ keepAlive: true });
    const pending = ask(router.port, { agent });
    const response = await asked.promise;
    const ending = router.router[Symbol.asyncDispose]();
    await until(() => !router.router.state().listening);
    await expect(ask(router.port)).rejects.toThrow(/ECONNREFUSED/);
    response.end('finished');
    const got = await pending;
    expect([got.body, got.headers.connection]).toEqual(['finished', 'close']);
    await ending;
    await router[Symbol.asyncDispose]();
    agent.destroy();
  });

  test('what does not end in time is cut', async () => {
    await using backend = await httpBackend(() => undefined);
    const router = await aRouter([routeTo([backend.port])], { settings: { drainEmbeddedMs: 50 } });
    const pending = raw(router.port, 'GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n');
    await until(() => backend.connections === 1);
    await router[Symbol.asyncDispose]();
    expect(await pending).toBe('');
  });

  test('idle connections are closed at once', async () => {
    await using backend = await httpBackend((_request, response) => response.end('ok'));
    const router = await aRouter([routeTo([backend.port])], { settings: { drainEmbeddedMs: 10_000 } });
    const idle = net.connect(router.port, '127.0.0.1', () =>
      idle.write('GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n'),
    );
    await new Promise(resolve => idle.once('data', resolve));
    const closed = new Promise(resolve => idle.once('close', resolve));
    idle.resume();
    await router[Symbol.asyncDispose]();
    await closed;
  });
});
