import { describe, expect, test } from 'vitest';
import { serverThat } from './fixtures.ts';
import { discover, passwordLogin, readClaims, refreshTokens } from './login.ts';
import { createTransport } from './transport.ts';

const transport = createTransport({ userAgent: 'test/1', skipSslValidation: false, proxyFromEnvironment: false });

describe('discover()', () => {
  test('reads links, version, and how apps are reached', async () => {
    await using server = await serverThat(asked =>
      asked.url === '/'
        ? {
            body: {
              links: {
                cloud_controller_v3: { href: 'x', meta: { version: '3.211.0' } },
                login: { href: 'https://login.example/' },
                uaa: { href: 'https://uaa.example' },
                log_cache: { href: 'https://log-cache.example' },
                credhub: null,
              },
            },
          }
        : { body: { name: 'Cupola', custom: { apps_scheme: 'http', apps_port: 8080 } } },
    );
    expect(await discover(transport, `${server.origin}/`)).toEqual({
      api: server.origin,
      login: 'https://login.example',
      uaa: 'https://uaa.example',
      logCache: 'https://log-cache.example',
      apiVersion: '3.211.0',
      appsScheme: 'http',
      appsPort: 8080,
    });
  });
  test('does with little: no info, no logs, one origin for all', async () => {
    await using server = await serverThat(asked =>
      asked.url === '/' ? { body: { links: { self: { href: 'x' } } } } : { status: 404, body: {} },
    );
    expect(await discover(transport, server.origin)).toMatchObject({
      login: server.origin,
      uaa: server.origin,
      logCache: null,
      apiVersion: '',
      appsScheme: 'http',
      appsPort: null,
    });
  });
  test("another vendor's `custom` is no obstacle", async () => {
    await using server = await serverThat(asked =>
      asked.url === '/' ? { body: { links: {} } } : { body: { name: 'x', custom: { apps_port: 'many' } } },
    );
    expect((await discover(transport, server.origin)).appsPort).toBeNull();
  });
  test('what is no Cloud Foundry is said so', async () => {
    await using server = await serverThat(() => ({ body: '<html>' }));
    await expect(discover(transport, server.origin)).rejects.toThrow(/is not the API of a Cloud Foundry/);
    await using missing = await serverThat(() => ({ status: 404, body: {} }));
    await expect(discover(transport, missing.origin)).rejects.toMatchObject({ name: 'NoApiError' });
  });
});

describe('grants', () => {
  const endpoints = (origin: string) => ({
    api: origin,
    login: origin,
    uaa: origin,
    logCache: null,
    apiVersion: '',
    appsScheme: 'http' as const,
    appsPort: null,
  });
  test('by password, as the client `cf` with an empty secret, form-encoded', async () => {
    await using server = await serverThat(() => ({
      body: { access_token: 'a', refresh_token: 'r', token_type: 'bearer' },
    }));
    expect(await passwordLogin(transport, endpoints(server.origin), { username: 'ä b', password: 'p&=%' })).toEqual({
      access: 'a',
      refresh: 'r',
    });
    const [asked] = server.asked;
    expect(asked?.headers.authorization).toBe('Basic Y2Y6');
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({
      grant_type: 'password',
      username: 'ä b',
      password: 'p&=%',
    });
  });
  test('by refresh keep the old refresh token where none comes back', async () => {
    await using server = await serverThat(() => ({ body: { access_token: 'a' } }));
    expect(await refreshTokens(transport, endpoints(server.origin), 'old')).toEqual({ access: 'a', refresh: 'old' });
  });
  test("that fail say the server's words", async () => {
    await using server = await serverThat(() => ({
      status: 401,
      body: { error: 'unauthorized', error_description: 'Your account has been locked' },
    }));
    await expect(
      passwordLogin(transport, endpoints(server.origin), { username: 'a', password: 'b' }),
    ).rejects.toMatchObject({ reason: 'unauthorized', message: 'Your account has been locked' });
    await using odd = await serverThat(() => ({ status: 500, body: 'x' }));
    await expect(
      passwordLogin(transport, endpoints(odd.origin), { username: 'a', password: 'b' }),
    ).rejects.toMatchObject({ status: 500 });
  });
});

test.each(['', 'x', 'a.b.c', 'a..c', 'a.bnVsbA.c'])('readClaims(%j) is empty for what is no token', token => {
  expect(readClaims(token).exp).toBeUndefined();
});
