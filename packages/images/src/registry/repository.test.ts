/** Against servers of our own on loopback, which say what a registry may say: wrong bytes, redirects, logins. Whole flows run on a real one (test/docker-image.test.ts). */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { RegistryError } from './errors.ts';
import { tenantsPolicy } from './policy.ts';
import { openRepository } from './repository.ts';

type Handle = (request: http.IncomingMessage, response: http.ServerResponse) => void;

async function serve(handle: Handle): Promise<{ host: string; port: number; seen: string[] }> {
  const seen: string[] = [];
  const server = http.createServer((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization ?? '-'}`);
    handle(request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, port, seen };
}

const signal = new AbortController().signal;
const repositoryAt = (host: string, listed: string[], login: { username: string; password: string } | null = null) =>
  openRepository({ host, name: 'a/b' }, { policy: tenantsPolicy(listed), login, signal });
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const troubleOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof RegistryError ? error.trouble : error),
  );
const BYTES = Buffer.from('{"config":{}}');
const DESCRIPTOR = { digest: digestOf(BYTES), size: BYTES.length };

test('an address that is not public is not dialled unless it is listed, whatever it is written as', async () => {
  const server = await serve((_request, response) => response.end(BYTES));
  const asked = (host: string, listed: string[] = []) => troubleOf(repositoryAt(host, listed).read(DESCRIPTOR));
  for (const host of [server.host, `localhost:${server.port}`, `2130706433:${server.port}`, `[::1]:${server.port}`])
    expect(await asked(host)).toBe('refused');
  expect(server.seen).toEqual([]);
  expect(await asked(server.host, [server.host])).toBe('none');
});

test('a redirect is judged anew: it leads to nothing that is not listed, and takes no login along', async () => {
  const inside = await serve((_request, response) => response.end(BYTES));
  const listed = await serve((_request, response) => response.end(BYTES));
  let to = inside.host;
  const registry = await serve((request, response) =>
    request.headers.authorization === undefined
      ? response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      : response.writeHead(307, { location: `http://${to}/blob` }).end(),
  );
  const login = { username: 'u', password: 'p' };
  const repository = repositoryAt(registry.host, [registry.host, listed.host], login);
  expect(await troubleOf(repository.read(DESCRIPTOR))).toBe('refused');
  expect(inside.seen).toEqual([]);
  to = listed.host;
  expect(await repository.read(DESCRIPTOR)).toEqual(BYTES);
  expect(listed.seen).toEqual(['/blob -']);
});

test('a token is asked for with the login, where the registry says, and anew when it has run out', async () => {
  let token = 0;
  const registry = await serve((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
    if (url.pathname === '/token') return response.end(JSON.stringify({ token: `t${++token}` }));
    if (request.headers.authorization === `Bearer t${token}`) return response.end(BYTES);
    return response
      .writeHead(401, {
        'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="us",scope="repository:a/b:pull"`,
      })
      .end();
  });
  const repository = repositoryAt(registry.host, [registry.host], { username: 'u', password: 'p' });
  await repository.read(DESCRIPTOR);
  token++;
  await repository.read(DESCRIPTOR);
  const basic = `Basic ${Buffer.from('u:p').toString('base64')}`;
  expect(registry.seen.filter(line => line.startsWith('/token'))).toEqual(
    Array(2).fill(`/token?service=us&scope=repository%3Aa%2Fb%3Apull ${basic}`),
  );
});

test.each([
  ['other bytes', Buffer.from('{"config":{1}'), 'unfit'],
  ['more bytes', Buffer.concat([BYTES, BYTES]), 'unfit'],
  ['fewer bytes', BYTES.subarray(1), 'unfit'],
])('a blob that comes with %s is refused', async (_what, bytes, trouble) => {
  const registry = await serve((_request, response) => response.end(bytes));
  const folder = mkdtempSync(join(tmpdir(), 'cupola-blob-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const repository = repositoryAt(registry.host, [registry.host]);
  expect(await troubleOf(repository.save(DESCRIPTOR, join(folder, 'blob')))).toBe(trouble);
});

test('a blob is written as it came', async () => {
  const registry = await serve((_request, response) => response.end(BYTES));
  const folder = mkdtempSync(join(tmpdir(), 'cupola-blob-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  await repositoryAt(registry.host, [registry.host]).save(DESCRIPTOR, join(folder, 'blob'));
  expect(readFileSync(join(folder, 'blob'))).toEqual(BYTES);
});

test.each([
  [401, 'login'],
  [403, 'login'],
  [404, 'not-found'],
  [429, 'unreachable'],
  [503, 'unreachable'],
])('an answer of %i is told as %s', async (status, trouble) => {
  const registry = await serve((_request, response) => response.writeHead(status).end());
  expect(await troubleOf(repositoryAt(registry.host, [registry.host]).manifest('1'))).toBe(trouble);
});

test('a registry that is away, has no name, or speaks no TLS is told as unreachable', async () => {
  const plain = await serve((_request, response) => response.end());
  const named = `localhost:${plain.port}`;
  expect(await troubleOf(repositoryAt('127.0.0.1:1', ['127.0.0.1:1']).manifest('1'))).toBe('unreachable');
  expect(await troubleOf(repositoryAt('no-such-host.invalid', []).manifest('1'))).toBe('unreachable');
  const policy = { mayBePlain: () => false, mayLieAt: () => true };
  const repository = openRepository({ host: named, name: 'a' }, { policy, login: null, signal });
  await expect(repository.manifest('1')).rejects.toThrow(/is not to be trusted/);
});
