/** Which copy a request goes to, how often it is tried, and when it waits: over real sockets, with a fake of the internal API. */
import http from 'node:http';
import { describe, expect, test } from 'vitest';
import { aDestination, aRoute, aRouter, ask, deadPort, httpBackend, rawBackend, routeTo, until } from './fixtures.ts';

describe('retries', () => {
  test('under copies that die, refuse and come back: a GET is answered, a POST is never doubled', async () => {
    const ledger = new Map<string, number>();
    const act = (id: string): void => void ledger.set(id, (ledger.get(id) ?? 0) + 1);
    const idOf = (text: string): string => /\/(?:get|post)-\d+/.exec(text)?.[0] ?? '';
    await using good = await httpBackend((request, response) => {
      request.resume();
      act(request.url ?? '');
      response.end('ok');
    });
    /** Takes the request, does its work, and dies before the answer. */
    await using deadly = await rawBackend(socket =>
      socket.on('data', chunk => {
        act(idOf(chunk.toString('latin1')));
        socket.destroy();
      }),
    );
    /** Ends the connection as soon as the request is there, without having looked. */
    await using closing = await rawBackend(socket => socket.once('data', () => socket.end()));
    const dead = await deadPort();
    await using router = await aRouter([routeTo([good.port, deadly.port, closing.port, dead])], {
      settings: { failedEndpointSkipMs: 0, dialGraceMs: 50 },
    });
    const gets = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(router.port, { path: `/get-${n}` })));
    const posts = await Promise.all(
      Array.from({ length: 100 }, (_, n) => ask(router.port, { path: `/post-${n}`, method: 'POST', body: 'x' })),
    );
    expect(gets.filter(({ status }) => status === 200).length).toBeGreaterThan(60);
    const acted = [...ledger].filter(([id]) => id.startsWith('/post'));
    expect(acted.filter(([, times]) => times > 1)).toEqual([]);
    expect(posts.every(({ status }) => status === 200 || status === 502)).toBe(true);
    expect(posts.filter(({ status }) => status === 200).every((_, n) => n >= 0)).toBe(true);
    for (const [n, post] of posts.entries()) if (post.status === 200) expect(ledger.get(`/post-${n}`)).toBe(1);
  });

  test('a copy that cannot be dialled is left out, and every request is answered by the others', async () => {
    await using good = await httpBackend((_request, response) => response.end('ok'));
    await using router = await aRouter([routeTo([await deadPort(), good.port, await deadPort()])]);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask(router.port, { method: 'POST', body: 'x' })),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });
});

describe('which copy', () => {
  test('sticky sessions stay with their copy, and move on when it is gone', async () => {
    const backends = await Promise.all(
      [0, 1, 2].map(index =>
        httpBackend((_request, response) =>
          response.writeHead(200, { 'set-cookie': 'JSESSIONID=s; Path=/' }).end(String(index)),
        ),
      ),
    );
    await using router = await aRouter([routeTo(backends.map(({ port }) => port))]);
    const first = await ask(router.port);
    const cookie = (first.headers['set-cookie'] ?? []).map(line => line.split(';')[0]).join('; ');
    expect(cookie).toContain(`__VCAP_ID__=copy-${first.body}`);
    for (let n = 0; n < 5; n++) expect((await ask(router.port, { headers: { cookie } })).body).toBe(first.body);
    const gone = Number(first.body);
    const item = routeTo(backends.map(({ port }) => port));
    item.destinations[0]?.endpoints.splice(gone, 1);
    await router.route(item);
    const moved = await ask(router.port, { headers: { cookie } });
    expect(moved.body).not.toBe(first.body);
    expect(moved.headers['set-cookie']?.join()).toContain(`__VCAP_ID__=copy-${moved.body}`);
    await Promise.all(backends.map(backend => backend[Symbol.asyncDispose]()));
  });

  test('X-CF-App-Instance and X-CF-Process-Instance select one', async () => {
    const backends = await Promise.all(
      [0, 1].map(index => httpBackend((_request, response) => response.end(String(index)))),
    );
    await using router = await aRouter([routeTo(backends.map(({ port }) => port))]);
    const select = async (name: string, value: string) => ask(router.port, { headers: { [name]: value } });
    expect((await select('X-CF-App-Instance', 'app-1:1')).body).toBe('1');
    expect((await select('X-CF-Process-Instance', 'process-1:0')).body).toBe('0');
    const absent = await select('X-CF-App-Instance', 'app-1:7');
    expect([absent.status, absent.headers['x-cf-routererror']]).toEqual([400, 'unknown_route']);
    const malformed = await select('X-CF-App-Instance', 'nonsense');
    expect([malformed.status, malformed.headers['x-cf-routererror']]).toEqual([400, 'invalid_cf_app_instance_header']);
    await Promise.all(backends.map(backend => backend[Symbol.asyncDispose]()));
  });

  test('the longest path and the nearest host win', async () => {
    const names = ['root', 'shop', 'wild'];
    const backends = await Promise.all(names.map(name => httpBackend((_request, response) => response.end(name))));
    const [root = 0, shop = 0, wild = 0] = backends.map(({ port }) => port);
    await using router = await aRouter([
      routeTo([root]),
      routeTo([shop], { guid: 'r2', path: '/shop' }),
      routeTo([wild], { guid: 'r3', host: '*' }),
    ]);
    const at = async (host: string, path: string) => (await ask(router.port, { host, path })).body;
    expect(await at('app.localhost', '/shop/1')).toBe('shop');
    expect(await at('app.localhost', '/shopping')).toBe('root');
    expect(await at('APP.localhost.:80', '/SHOP?x')).toBe('shop');
    expect(await at('deep.other.localhost', '/shop')).toBe('wild');
    await Promise.all(backends.map(backend => backend[Symbol.asyncDispose]()));
  });
});

describe('hold', () => {
  const holding = aRoute({ destinations: [aDestination({ holdMs: 10_000 })] });

  test('requests wait with their bodies, and go on when a copy appears', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([holding]);
    const asked = [1, 2, 3].map(n => ask(router.port, { method: 'POST', body: `waited ${n}` }));
    await until(() => router.router.state().held === 3);
    await router.route(routeTo([backend.port]));
    expect((await Promise.all(asked)).map(({ body }) => body)).toEqual(['waited 1', 'waited 2', 'waited 3']);
    expect(router.router.state().held).toBe(0);
  });

  test('ends with 503 after its time, with 404 when the route goes', async () => {
    await using router = await aRouter([
      aRoute({ destinations: [aDestination({ holdMs: 50 })] }),
      { ...holding, guid: 'r2', host: 'other' },
    ]);
    const late = await ask(router.port);
    expect([late.status, late.headers['x-cf-routererror']]).toEqual([503, 'no_endpoints']);
    const other = ask(router.port, { host: 'other.localhost' });
    await until(() => router.router.state().held === 1);
    router.api.remove('r2');
    expect((await other).status).toBe(404);
  });

  test('is bounded by requests and by bodies', async () => {
    await using router = await aRouter([holding], { settings: { holdRequestsMax: 3 } });
    const agent = new http.Agent();
    const held = [1, 2, 3].map(() => ask(router.port, { agent }).catch(() => null));
    await until(() => router.router.state().held === 3);
    expect((await ask(router.port)).status).toBe(503);
    agent.destroy();
    await until(() => router.router.state().held === 0);
    await Promise.all(held);
    await using small = await aRouter([holding], { settings: { holdBodyBytesMax: 100 } });
    expect((await ask(small.port, { method: 'POST', body: 'x'.repeat(101) })).status).toBe(503);
  });

  test("covers the moment between a copy's death and the table's word of it", async () => {
    const dead = await deadPort();
    await using backend = await httpBackend((_request, response) => response.end('the next one'));
    await using router = await aRouter([routeTo([dead])], { settings: { dialGraceMs: 30_000 } });
    const asked = ask(router.port, { method: 'POST', body: 'x' });
    await until(() => router.router.state().held === 1);
    router.api.upsert(holding);
    await until(
      () =>
        router.router.state().held === 1 && router.router.state().route('route-1')?.destinations[0]?.holdMs === 10_000,
    );
    router.api.upsert(routeTo([backend.port]));
    expect((await asked).body).toBe('the next one');
  });
});
