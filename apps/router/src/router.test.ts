import { describe, expect, test } from 'vitest';
import { aDestination, aRoute, aRouter, ask, deadPort, httpBackend, raw, routeTo, until } from './fixtures.ts';

describe('router', () => {
  test('passes a request to the copy behind its host, with the headers it owes the app', async () => {
    await using backend = await httpBackend((request, response) =>
      response.end(JSON.stringify([request.method, request.url, request.rawHeaders])),
    );
    await using router = await aRouter([routeTo([backend.port])]);
    const got = await ask(router.port, {
      path: '/a?b=c',
      headers: { 'X-Thing': 'kept', 'X-CF-ApplicationID': 'forged', X_CF_InstanceId: 'forged' },
    });
    expect(got.status).toBe(200);
    const [method, url, headers] = JSON.parse(got.body) as [string, string, string[]];
    expect([method, url]).toEqual(['GET', '/a?b=c']);
    expect(headers.join('\n')).toContain('X-CF-ApplicationId\napp-1\nX-CF-InstanceId\ncopy-0\nX-CF-InstanceIndex\n0');
    expect(headers.join('\n')).not.toContain('forged');
    expect(headers.join('\n')).toContain('X-Forwarded-For\n127.0.0.1\nX-Forwarded-Proto\nhttp');
  });

  test('posts a body', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([routeTo([backend.port])]);
    const got = await ask(router.port, { method: 'POST', body: 'x'.repeat(300_000) });
    expect(got.body.length).toBe(300_000);
  });

  test('404, 503, 502', async () => {
    await using router = await aRouter(
      [
        aRoute(),
        aRoute({ guid: 'r2', host: 'none', destinations: [] }),
        routeTo([await deadPort()], { guid: 'r3', host: 'dead' }),
      ],
      {
        settings: { dialGraceMs: 50 },
      },
    );
    expect((await ask(router.port, { host: 'nobody.localhost' })).headers['x-cf-routererror']).toBe('unknown_route');
    expect((await ask(router.port, { host: 'none.localhost' })).status).toBe(404);
    const none = await ask(router.port);
    expect([none.status, none.headers['x-cf-routererror'], none.headers['retry-after']]).toEqual([
      503,
      'no_endpoints',
      '5',
    ]);
    const dead = await ask(router.port, { host: 'dead.localhost' });
    expect([dead.status, dead.headers['x-cf-routererror']]).toEqual([502, 'endpoint_failure (connection refused)']);
  });

  test('holds a request until a copy appears', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([aRoute({ destinations: [aDestination({ holdMs: 10_000 })] })]);
    const asked = ask(router.port, { method: 'POST', body: 'waited' });
    await until(() => router.router.state().held === 1);
    await router.route(routeTo([backend.port]));
    expect((await asked).body).toBe('waited');
  });

  test('writes the access log in batches', async () => {
    await using backend = await httpBackend((_request, response) => response.end('hello'));
    await using router = await aRouter([routeTo([backend.port])]);
    await ask(router.port, { headers: { 'user-agent': 'a "quoted" one' } });
    await until(() => router.api.logs.length === 1);
    expect(router.api.logs[0]?.line).toMatch(
      /^app\.localhost - \[.*\] "GET \/ HTTP\/1\.1" 200 0 5 "-" "a \\x22quoted\\x22 one" "127/,
    );
  });

  test('refuses both framings, and closes', async () => {
    await using backend = await httpBackend((_request, response) => response.end('hello'));
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await raw(
      router.port,
      'POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1.1 400 .*bad_request/s);
    expect(backend.connections).toBe(0);
  });
});
