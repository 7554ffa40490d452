/** The router as a client and an app see it: over real sockets, with a fake of the internal API. */
import http from 'node:http';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { aRoute, aRouter, ask, deadPort, httpBackend, raw, rawBackend, routeTo, until } from './fixtures.ts';

describe('answers', () => {
  test('passes a request to the copy behind its host, with the headers it owes the app', async () => {
    await using backend = await httpBackend((request, response) =>
      response.end(JSON.stringify([request.method, request.url, request.headers])),
    );
    await using router = await aRouter([routeTo([backend.port])]);
    const got = await ask(router.port, { path: '/a?b=c', headers: { 'X-Thing': 'kept' } });
    const [method, url, headers] = JSON.parse(got.body) as [string, string, Record<string, string>];
    expect([got.status, method, url]).toEqual([200, 'GET', '/a?b=c']);
    expect(headers).toMatchObject({
      host: 'app.localhost',
      'x-thing': 'kept',
      'x-cf-applicationid': 'app-1',
      'x-cf-instanceid': 'copy-0',
      'x-cf-instanceindex': '0',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-request-start': expect.stringMatching(/^\d{13}$/),
    });
    expect(headers['x-vcap-request-id']).toBe(got.headers['x-vcap-request-id']);
  });

  test('believes X-Forwarded-* of a trusted hop, and adds to it', async () => {
    await using backend = await httpBackend((request, response) => response.end(JSON.stringify(request.headers)));
    await using router = await aRouter([routeTo([backend.port])], { trustedHops: ['127.0.0.0/8'] });
    const got = await ask(router.port, {
      headers: { 'x-forwarded-for': '8.8.8.8', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' },
    });
    expect(JSON.parse(got.body)).toMatchObject({
      'x-forwarded-for': '8.8.8.8, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example',
    });
  });

  test.each([
    ['nobody.localhost', 404, 'unknown_route'],
    ['stopped.localhost', 404, 'unknown_route'],
    ['app.localhost', 503, 'no_endpoints'],
    ['dead.localhost', 502, 'endpoint_failure (connection refused)'],
  ])('%s: %i %s, in plain text with a next step', async (host, status, routerError) => {
    const dead = await deadPort();
    await using router = await aRouter(
      [
        aRoute(),
        aRoute({ guid: 'r2', host: 'stopped', destinations: [] }),
        routeTo([dead], { guid: 'r3', host: 'dead' }),
      ],
      { settings: { dialGraceMs: 20 } },
    );
    const got = await ask(router.port, { host });
    expect([got.status, got.headers['x-cf-routererror']]).toEqual([status, routerError]);
    expect(got.headers['cache-control']).toBe('no-cache, no-store');
    expect(got.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(got.headers['retry-after']).toBe(status === 503 ? '5' : undefined);
    expect(got.body).toMatch(/cf /);
  });

  test('413 only where a limit is set: announced, or found while reading', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([routeTo([backend.port])], { settings: { bodyMaxBytes: 1_000 } as never });
    const announced = await ask(router.port, { method: 'POST', body: 'x'.repeat(1_001) });
    expect([announced.status, announced.headers['x-cf-routererror']]).toEqual([413, 'max-body-size-exceeded']);
    const found = await raw(
      router.port,
      `POST / HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n${'x'.repeat(1_001)}\r\n0\r\n\r\n`,
    );
    expect(found).toMatch(/^HTTP\/1.1 413 /);
    expect((await ask(router.port, { method: 'POST', body: 'x'.repeat(1_000) })).status).toBe(200);
  });

  test('504 when the app does not finish in time', async () => {
    await using backend = await rawBackend(() => undefined);
    await using router = await aRouter([routeTo([backend.port])], {
      settings: { requestTimeoutMs: 150, headersTimeoutMs: 100 },
    });
    const got = await ask(router.port);
    expect([got.status, got.headers['x-cf-routererror']]).toEqual([504, 'endpoint_timeout']);
  });

  test.each([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
  ])('502 when a copy answers with %s', async (_name, bytes) => {
    await using backend = await rawBackend(socket => socket.on('data', () => socket.end(bytes)));
    await using router = await aRouter([routeTo([backend.port])]);
    const got = await ask(router.port);
    expect(got.status).toBe(502);
    expect(got.headers['x-cf-routererror']).toMatch(/^endpoint_failure \(/);
  });

  test('an answer that ends too early is cut off, never made to look whole', async () => {
    await using backend = await rawBackend(socket =>
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this')),
    );
    await using router = await aRouter([routeTo([backend.port])]);
    await expect(ask(router.port)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test('HEAD, 204 and 304 have no body, and keep their headers', async () => {
    await using backend = await httpBackend((request, response) => {
      if (request.url === '/204') response.writeHead(204, { 'x-a': 'b' }).end();
      else if (request.url === '/304') response.writeHead(304, { etag: '"1"' }).end();
      else response.writeHead(200, { 'content-length': '12345' }).end();
    });
    await using router = await aRouter([routeTo([backend.port])]);
    expect((await ask(router.port, { method: 'HEAD' })).headers['content-length']).toBe('12345');
    expect((await ask(router.port, { path: '/204' })).headers['x-a']).toBe('b');
    expect((await ask(router.port, { path: '/304' })).headers.etag).toBe('"1"');
  });

  test('repeated headers, trailers, 103 and odd reasons come through; hop-by-hop headers do not', async () => {
    await using backend = await rawBackend(socket =>
      socket.on('data', () =>
        socket.end(
          'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 201 Very Good\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nX-Cf-RouterError: forged\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n',
        ),
      ),
    );
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await raw(router.port, 'GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 201 Very Good\r\n/,
    );
    expect(text).toMatch(/Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    expect(text).toMatch(/2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n$/);
    expect(text).not.toMatch(/X-Hop|timeout=9|forged/);
  });

  test('100-continue: the client is told to go on when the app can take the body, not before', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await raw(
      router.port,
      'POST / HTTP/1.1\r\nHost: app.localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
    );
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    const refused = await raw(
      router.port,
      'POST / HTTP/1.1\r\nHost: nobody.localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n',
    );
    expect(refused).toMatch(/^HTTP\/1\.1 404 /);
  });

  test("the access log has a line for each request to an app, in gorouter's form, and nothing that breaks out of it", async () => {
    await using backend = await httpBackend((_request, response) => response.end('hello'));
    await using router = await aRouter([routeTo([backend.port])]);
    await ask(router.port, { path: '/a?b', headers: { 'user-agent': 'a "quoted" \\ one', referer: 'http://x/' } });
    await ask(router.port, { host: 'nobody.localhost' });
    await until(() => router.api.logs.length > 0);
    expect(router.api.logs).toHaveLength(1);
    expect(router.api.logs[0]).toMatchObject({
      appGuid: 'app-1',
      sourceType: 'RTR',
      instanceId: '0',
      type: 'OUT',
      timestampNs: expect.stringMatching(/^\d{19}$/),
    });
    expect(router.api.logs[0]?.line).toMatch(
      /^app\.localhost - \[20..-..-..T.*Z\] "GET \/a\?b HTTP\/1\.1" 200 0 5 "http:\/\/x\/" "a \\x22quoted\\x22 \\x5c one" "127\.0\.0\.1:\d+" "127\.0\.0\.1:\d+" x_forwarded_for:"127\.0\.0\.1" x_forwarded_proto:"http" vcap_request_id:"[0-9a-f-]{36}" response_time:\d+\.\d+ gorouter_time:\d+\.\d+ app_id:"app-1" app_index:"0" instance_id:"copy-0" x_cf_routererror:"-"$/,
    );
    expect(router.router.counts.get('app-1')?.get(200)).toBe(1);
    expect(router.router.counts.get('')?.get(404)).toBe(1);
  });

  test('access log lines that nobody takes are bounded, counted, and the loss is told for each app', async () => {
    await using backend = await httpBackend((_request, response) => response.end());
    await using router = await aRouter([routeTo([backend.port])], {
      settings: { accessLogBufferMax: 10, accessLogFlushMs: 10 },
    });
    router.api.logStatus = 503;
    const agent = new http.Agent({ keepAlive: true });
    for (let n = 0; n < 25; n++) await ask(router.port, { agent });
    await until(() => router.router.state().logLinesLost === 15);
    router.api.logStatus = 204;
    await until(() => router.api.logs.some(({ line }) => line.startsWith('15 access log lines were lost')));
    expect(router.api.logs.filter(({ line }) => line.includes('"GET / HTTP/1.1"'))).toHaveLength(10);
    agent.destroy();
  });
});

describe('connections', () => {
  test('are kept on both sides', async () => {
    const ports = new Set<number | undefined>();
    await using backend = await httpBackend((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('x');
    });
    await using router = await aRouter([routeTo([backend.port])], {
      settings: { backendKeepAliveMs: 60_000, reuseUnsafeIdleMs: 60_000 },
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let n = 0; n < 10; n++) await ask(router.port, { agent });
    for (let n = 0; n < 10; n++) await ask(router.port, { agent, method: 'POST', body: 'x' });
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  test('a POST never rides on a connection that rested longer than a second', async () => {
    await using backend = await httpBackend((_request, response) => response.end('x'));
    await using router = await aRouter([routeTo([backend.port])], {
      settings: { backendKeepAliveMs: 60_000, reuseUnsafeIdleMs: 0 },
    });
    await ask(router.port);
    await ask(router.port);
    expect(backend.connections).toBe(1);
    await ask(router.port, { method: 'POST', body: 'x' });
    expect(backend.connections).toBe(2);
  });

  test("to a copy's old address close as soon as the table names a new one", async () => {
    let closed = 0;
    const handler: http.RequestListener = (_request, response) => response.end('old');
    await using old = await httpBackend(handler);
    old.server.on('connection', socket => socket.on('close', () => closed++));
    await using fresh = await httpBackend((_request, response) => response.end('new'));
    await using router = await aRouter([routeTo([old.port])]);
    expect((await ask(router.port)).body).toBe('old');
    await router.route(routeTo([fresh.port]));
    await until(() => closed === 1);
    expect((await ask(router.port)).body).toBe('new');
    expect(router.router.state().backendConnections).toBe(1);
  });

  test("at another copy's old address are not reused for the new owner of that address", async () => {
    await using backend = await httpBackend((_request, response) => response.end('x'));
    await using router = await aRouter([routeTo([backend.port])]);
    await ask(router.port);
    const item = routeTo([backend.port]);
    for (const endpoint of item.destinations[0]?.endpoints ?? []) endpoint.instanceGuid = 'another';
    await router.route(item);
    await ask(router.port);
    expect(backend.connections).toBe(2);
  });

  test('the copy hears at once that a client has left', async () => {
    const gone = Promise.withResolvers<void>();
    await using backend = await rawBackend(socket => socket.resume().on('close', () => gone.resolve()));
    await using router = await aRouter([routeTo([backend.port])]);
    const client = net.connect(router.port, '127.0.0.1', () =>
      client.write('GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n'),
    );
    await until(() => backend.connections === 1);
    client.destroy();
    await gone.promise;
    await until(() => router.router.counts.get('app-1')?.get(499) === 1);
  });

  test('one slow or greedy client cannot keep them open: headers that do not come are answered 408', async () => {
    await using backend = await httpBackend((_request, response) => response.end('x'));
    // Long beside the time that a busy machine takes to read what did come: clients, router and app are one process here.
    await using router = await aRouter([routeTo([backend.port])], { settings: { headersTimeoutMs: 5_000 } });
    const half = Array.from({ length: 300 }, () => raw(router.port, 'GET / HTTP/1.1\r\nHost: app.localhost\r\nX-'));
    const silent = raw(router.port, '');
    const fine = await Promise.all(Array.from({ length: 50 }, () => ask(router.port)));
    expect(fine.every(({ status }) => status === 200)).toBe(true);
    const texts = await Promise.all(half);
    expect(texts.filter(text => /^HTTP\/1\.1 408 .*client_too_slow/s.test(text))).toHaveLength(300);
    await silent;
  });

  test('a body that pauses too long is answered 408', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([routeTo([backend.port])], { settings: { uploadIdleMs: 100 } });
    const text = await raw(
      router.port,
      'POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 100\r\n\r\nonly this',
    );
    expect(text).toMatch(/^HTTP\/1\.1 (?:408|200) /);
  });

  test('a cap for each address turns the surplus away', async () => {
    await using backend = await httpBackend((_request, response) => response.end('x'));
    await using router = await aRouter([routeTo([backend.port])], {
      settings: { connectionsPerAddressMax: 2 } as never,
    });
    const kept = [net.connect(router.port, '127.0.0.1'), net.connect(router.port, '127.0.0.1')];
    await Promise.all(kept.map(socket => new Promise(resolve => socket.once('connect', resolve))));
    await expect(ask(router.port)).rejects.toThrow();
    for (const socket of kept) socket.destroy();
  });
});

describe('streams', () => {
  test('a slow client slows the app instead of filling the router', async () => {
    let written = 0;
    await using backend = await httpBackend((_request, response) => {
      const piece = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!response.destroyed) {
          written += piece.length;
          if (!response.write(piece)) return void response.once('drain', more);
        }
      };
      more();
    });
    await using router = await aRouter([routeTo([backend.port])]);
    const client = net.connect(router.port, '127.0.0.1', () =>
      client.write('GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n'),
    );
    client.pause();
    await until(() => written > 100_000);
    let before = -1;
    // Until nothing moves any more: kernel buffers and ours are full.
    while (before !== written) {
      before = written;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    expect(written).toBeLessThan(32 * 1024 * 1024);
    client.destroy();
  });

  test('the head of an answer does not wait for its body', async () => {
    const hold = Promise.withResolvers<http.ServerResponse>();
    await using backend = await httpBackend((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      hold.resolve(response);
    });
    await using router = await aRouter([routeTo([backend.port])]);
    const answered = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http
        .get({ host: '127.0.0.1', port: router.port, headers: { host: 'app.localhost' } }, resolve)
        .on('error', reject);
    });
    expect(answered.headers['content-type']).toBe('text/event-stream');
    const first = new Promise(resolve => answered.once('data', chunk => resolve(String(chunk))));
    (await hold.promise).write('data: 1\n\n');
    expect(await first).toBe('data: 1\n\n');
    answered.destroy();
  });

  test('an app that answers before it has read the body: the client gets the answer', async () => {
    await using backend = await httpBackend((_request, response) => response.writeHead(401).end('who are you'));
    await using router = await aRouter([routeTo([backend.port])]);
    const got = await ask(router.port, { method: 'POST', body: Buffer.alloc(200_000) });
    expect([got.status, got.body]).toEqual([401, 'who are you']);
    expect(
      (await ask(router.port, { host: 'nobody.localhost', method: 'POST', body: Buffer.alloc(200_000) })).status,
    ).toBe(404);
  });
});
