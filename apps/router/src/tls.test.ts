/** HTTPS at the router's door, asked by Node's own TLS client. */
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { createOwnCertificates } from '@cupola/certificates/own';
import { openOwnCa } from '@cupola/certificates/own-ca';
import { expect, test } from 'vitest';
import { aRoute, aRouter, ask, fakeApi, httpBackend, rawBackend, routeTo, startOn, tempFolder } from './fixtures.ts';
import type { RouterDeps } from './start.ts';

/** A CA on disk and what a router needs to show its leaves. */
function ownTls(folder: string): { ca: ReturnType<typeof openOwnCa>; deps: Pick<RouterDeps, 'tls'> } {
  const ca = openOwnCa({ folder: join(folder, 'tls'), now: Date.now });
  const certificates = (isServed: (host: string) => boolean) =>
    createOwnCertificates({ ca, domain: 'localhost', isServed, now: Date.now });
  return { ca, deps: { tls: { listen: { host: '127.0.0.1', port: 0 }, certificates } } };
}

interface Got {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

function askSecure(
  port: number,
  {
    host,
    ca,
    headers = {},
    ...rest
  }: { host: string; ca: string; headers?: Record<string, string> } & https.RequestOptions,
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      servername: host,
      ca,
      headers: { host, ...headers },
      agent: false,
      ...rest,
    };
    https
      .get(options, response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', chunk => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      })
      .on('error', reject);
  });
}

const echo = () =>
  httpBackend((request, response) => response.end(JSON.stringify({ headers: request.headers, url: request.url })));

test('a request over HTTPS is served under a certificate for its host, and the app learns that it was https', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using backend = await echo();
  await using router = await aRouter([routeTo([backend.port])], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  const got = await askSecure(port, { host: 'app.localhost', ca: await ca.certificate() });
  expect(got.status).toBe(200);
  expect(JSON.parse(got.body)).toMatchObject({ headers: { 'x-forwarded-proto': 'https', host: 'app.localhost' } });
  const plain = await ask(router.port, {});
  expect(JSON.parse(plain.body)).toMatchObject({ headers: { 'x-forwarded-proto': 'http' } });
});

test('a client over HTTPS cannot say that it came another way', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using backend = await echo();
  await using router = await aRouter([routeTo([backend.port])], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  const headers = { 'X-Forwarded-Proto': 'http', 'X-Forwarded-For': '10.0.0.9' };
  const got = await askSecure(port, { host: 'app.localhost', ca: await ca.certificate(), headers });
  expect(JSON.parse(got.body)).toMatchObject({
    headers: { 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1' },
  });
});

test('a client that names no host gets the certificate of the platform itself', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using router = await aRouter([], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  const socket = tls.connect({ host: '127.0.0.1', port, ca: await ca.certificate() });
  await new Promise((resolve, reject) => socket.once('secureConnect', () => resolve(null)).once('error', reject));
  expect(socket.getPeerCertificate().subjectaltname).toContain('DNS:localhost');
  socket.destroy();
});

test('TLS older than 1.2 is refused', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using router = await aRouter([], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  const asked = askSecure(port, { host: 'localhost', ca: await ca.certificate(), ...old });
  await expect(asked).rejects.toThrow(/alert protocol version|unsupported protocol|no protocols available/i);
});

test('bytes that are no TLS end their connection, and the next client is served', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using backend = await echo();
  await using router = await aRouter([routeTo([backend.port])], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  const socket = net.connect(port, '127.0.0.1');
  const closed = new Promise(resolve => socket.once('close', resolve));
  socket.on('error', () => undefined).on('data', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n');
  await closed;
  expect((await askSecure(port, { host: 'app.localhost', ca: await ca.certificate() })).status).toBe(200);
});

test('a WebSocket goes through HTTPS', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using backend = await rawBackend(socket =>
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.on('data', chunk => socket.write(chunk));
    }),
  );
  await using router = await aRouter([routeTo([backend.port])], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  const socket = tls.connect({ host: '127.0.0.1', port, servername: 'app.localhost', ca: await ca.certificate() });
  socket.write('GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await new Promise(resolve => socket.once('data', resolve));
  socket.write('hello');
  expect(String(await new Promise(resolve => socket.once('data', resolve)))).toBe('hello');
  socket.destroy();
});

test('Strict-Transport-Security is sent where the operator wants it: over TLS, and not over what the app says', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using plain = await echo();
  await using own = await httpBackend((_, response) => {
    response.setHeader('Strict-Transport-Security', 'max-age=1');
    response.end();
  });
  const routes = [routeTo([plain.port]), routeTo([own.port], { guid: 'route-2', host: 'own' })];
  await using router = await aRouter(routes, { ...deps, settings: { hstsSeconds: 600 } });
  const port = router.router.tlsAddress?.port ?? 0;
  const authority = await ca.certificate();
  const hsts = 'strict-transport-security';
  expect((await askSecure(port, { host: 'app.localhost', ca: authority })).headers[hsts]).toBe('max-age=600');
  expect((await askSecure(port, { host: 'own.localhost', ca: authority })).headers[hsts]).toBe('max-age=1');
  expect((await ask(router.port, {})).headers[hsts]).toBeUndefined();
});

test('a route by wildcard has a certificate too', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using backend = await echo();
  await using router = await aRouter([routeTo([backend.port], { host: '*', domain: 'example.org' })], deps);
  const port = router.router.tlsAddress?.port ?? 0;
  expect((await askSecure(port, { host: 'any.example.org', ca: await ca.certificate() })).status).toBe(200);
});

test('disposing lets a request over HTTPS end, then closes', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  const held = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using backend = await httpBackend((_, response) => {
    asked.resolve();
    void held.promise.then(() => response.end('late'));
  });
  await using api = await fakeApi(folder.path);
  api.upsert(aRoute(routeTo([backend.port])));
  const router = await startOn(folder.path, api, { ...deps, settings: { drainEmbeddedMs: 10_000 } });
  await router.hasTable;
  const got = askSecure(router.tlsAddress?.port ?? 0, { host: 'app.localhost', ca: await ca.certificate() });
  await asked.promise;
  const ended = router[Symbol.asyncDispose]();
  held.resolve();
  expect((await got).body).toBe('late');
  await ended;
});

test('an authority that asks for a proof gets it, whatever the routes say; other paths are the app’s', async () => {
  await using backend = await echo();
  const challenge = (path: string) => (path === '/.well-known/acme-challenge/t' ? 'proof' : null);
  await using router = await aRouter([routeTo([backend.port])], { challenge });
  expect((await ask(router.port, { path: '/.well-known/acme-challenge/t' })).body).toBe('proof');
  expect((await ask(router.port, { host: 'unknown', path: '/.well-known/acme-challenge/t' })).body).toBe('proof');
  expect((await ask(router.port, { path: '/.well-known/acme-challenge/other' })).body).toContain('"url"');
});

test('an authority that proves a host by a handshake is shown the proof, and everyone else the host’s certificate', async () => {
  using folder = tempFolder();
  const { ca, deps } = ownTls(folder.path);
  await using backend = await echo();
  const proof = await ca.issue(['proof.example']);
  await using router = await aRouter([routeTo([backend.port])], {
    ...deps,
    proofFor: host => (host === 'app.localhost' ? proof : null),
  });
  const port = router.router.tlsAddress?.port ?? 0;
  const shake = (servername: string, protocol: string, maxVersion: tls.SecureVersion = 'TLSv1.3') =>
    new Promise<string>(resolve => {
      const socket = tls.connect(
        { host: '127.0.0.1', port, servername, ALPNProtocols: [protocol], rejectUnauthorized: false, maxVersion },
        () => {
          resolve(`${String(socket.alpnProtocol)} ${socket.getPeerCertificate().subjectaltname}`);
          socket.destroy();
        },
      );
      socket.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    });
  expect(await shake('app.localhost', 'acme-tls/1')).toBe('acme-tls/1 DNS:proof.example');
  expect(await shake('app.localhost', 'acme-tls/1', 'TLSv1.2')).toBe('acme-tls/1 DNS:proof.example');
  expect(await shake('app.localhost', 'http/1.1')).toMatch(/^http\/1\.1 DNS:(?!proof)/);
  expect(await shake('other.localhost', 'acme-tls/1')).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
});
