import { PUSH_LIMITS, TOKEN_LIMITS } from '@cupola/model/limits';
import { testSealer } from '@cupola/store/fixtures';
import { openTestStore } from '@cupola/store/test-store';
import { exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';
import { openTokens } from './tokens.ts';

describe('access tokens', () => {
  test('none is NotAuthenticated, a broken one InvalidAuthToken', async () => {
    await using test = await startTestApi();
    const none = await test.api('GET', '/v3/organizations');
    const broken = await test.api('GET', '/v3/organizations', { token: `${test.admin.slice(0, -4)}AAAA` });
    const basic = await test.api('GET', '/v3/organizations', { headers: { authorization: 'Basic Y2Y6' } });
    expect([none, broken, basic].map(({ status, body }) => [status, body.errors[0].title])).toEqual([
      [401, 'CF-NotAuthenticated'],
      [401, 'CF-InvalidAuthToken'],
      [401, 'CF-InvalidAuthToken'],
    ]);
  });

  test("count until their end and the clocks' leeway", async () => {
    await using test = await startTestApi();
    test.clock.pass((TOKEN_LIMITS.accessSeconds + TOKEN_LIMITS.clockLeewaySeconds - 1) * 1_000);
    expect((await test.api('GET', '/v3/organizations', { token: test.admin })).status).toBe(200);
    test.clock.pass(2_000);
    expect((await test.api('GET', '/v3/organizations', { token: test.admin })).status).toBe(401);
  });

  test('are looked at anew each time, though their signature was proven before', async () => {
    await using test = await startTestApi();
    const tokens = await openTokens({ ...test.deps, issuer: 'x' });
    const asked = () => tokens.verify(test.admin, { leewayMs: 0 });
    expect(await asked()).toEqual(await asked());
    await expect(tokens.verify(`${test.admin}A`, { leewayMs: 0 })).rejects.toThrow('Invalid Auth Token');
    test.clock.pass((TOKEN_LIMITS.accessSeconds + TOKEN_LIMITS.clockLeewaySeconds) * 1_000);
    await expect(asked()).rejects.toThrow('Invalid Auth Token');
  });

  test("may have ended during an upload, for the upload's own time", async () => {
    await using test = await startTestApi();
    const tokens = await openTokens({ ...test.deps, issuer: 'x' });
    test.clock.pass(TOKEN_LIMITS.accessSeconds * 1_000 + PUSH_LIMITS.uploadTokenLeewayMs);
    await expect(tokens.verify(test.admin, { leewayMs: 0 })).rejects.toThrow('Invalid Auth Token');
    await expect(tokens.verify(test.admin, { leewayMs: PUSH_LIMITS.uploadTokenLeewayMs })).resolves.toMatchObject({
      user_id: test.home.adminGuid,
    });
  });

  test.each(['none', 'HS256', 'a key of somebody else'])('signed by %s are refused', async how => {
    await using test = await startTestApi();
    const kid = JSON.parse(Buffer.from(test.admin.split('.')[0] ?? '', 'base64url').toString()).kid;
    const [, payload = ''] = test.admin.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const forged: Record<string, () => Promise<string>> = {
      none: async () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
      HS256: async () => {
        const { body } = await test.api('GET', '/token_key');
        const secret = new TextEncoder().encode(body.value);
        return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(secret);
      },
      'a key of somebody else': async () => {
        const { privateKey } = await generateKeyPair('RS256');
        return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey);
      },
    };
    const token = await forged[how]?.();
    expect((await test.api('GET', '/v3/organizations', { token: token ?? '' })).status).toBe(401);
  });

  test('of a user who was deleted count no longer', async () => {
    await using test = await startTestApi();
    const user = await test.userWith();
    expect((await test.api('DELETE', `/Users/${user.guid}`, { token: test.admin })).status).toBe(200);
    expect((await test.api('GET', '/v3/organizations', { token: user.token })).status).toBe(401);
  });

  test('roles are read anew at each request', async () => {
    await using test = await startTestApi();
    const user = await test.userWith({ organization_auditor: test.home.organizationGuid });
    const path = `/v3/organizations/${test.home.organizationGuid}`;
    expect((await test.api('GET', path, { token: user.token })).status).toBe(200);
    const { body } = await test.api('GET', `/v3/roles?user_guids=${user.guid}`, { token: test.admin });
    await test.api('DELETE', `/v3/roles/${body.resources[0].guid}`, { token: test.admin });
    expect((await test.api('GET', path, { token: user.token })).status).toBe(404);
  });
});

describe('published keys', () => {
  test('verify an access token, as JWK and as PEM, and hold no private part', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('GET', '/token_keys');
    const key = await importJWK(body.keys[0], 'RS256');
    const now = { currentDate: new Date(test.clock.now()) };
    await expect(jwtVerify(test.admin, key, now)).resolves.toMatchObject({ payload: { user_name: 'admin' } });
    expect(body.keys[0].value).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(Object.keys(body.keys[0])).toEqual(expect.not.arrayContaining(['d', 'p', 'q']));
  });

  test('private ones lie sealed in the store', async () => {
    await using test = await startTestApi();
    const row = await test.deps.store.read.selectFrom('signing_keys').selectAll().executeTakeFirstOrThrow();
    expect(row.private_sealed).not.toContain('"d"');
    expect(JSON.parse(test.deps.sealer.open(row.private_sealed))).toHaveProperty('d');
  });

  test('openTokens() makes one at the first start, and no other later', async () => {
    await using opened = await openTestStore();
    const open = () => openTokens({ store: opened.store, sealer: testSealer, issuer: 'x', now: Date.now });
    const { token } = await (await open()).issue({ client_id: 'cf', user_id: 'u' }, 60);
    await expect((await open()).verify(token, { leewayMs: 0 })).resolves.toMatchObject({ user_id: 'u' });
    expect(await opened.store.read.selectFrom('signing_keys').selectAll().execute()).toHaveLength(1);
  });

  test('openTokens() of several at the same moment gives all the same key', async () => {
    await using opened = await openTestStore();
    const open = () => openTokens({ store: opened.store, sealer: testSealer, issuer: 'x', now: Date.now });
    const [one, two] = await Promise.all([open(), open()]);
    expect(one.publicKeys()).toHaveLength(1);
    expect(one.publicKeys()).toEqual(two.publicKeys());
  });

  test('openTokens() again opens the same key: tokens outlive a restart', async () => {
    await using test = await startTestApi();
    const again = await openTokens({ ...test.deps, issuer: 'another' });
    await expect(again.verify(test.admin, { leewayMs: 0 })).resolves.toMatchObject({ client_id: 'cf' });
  });

  test('openTokens() signs with the newest key and verifies with every one', async () => {
    await using test = await startTestApi();
    const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'newer', alg: 'RS256' };
    const private_sealed = test.deps.sealer.seal(JSON.stringify(await exportJWK(privateKey)));
    await test.deps.store.note(async ({ db, now }) => {
      const row = { kid: 'newer', public_jwk_json: JSON.stringify(jwk), private_sealed, retired_at: null };
      await db
        .insertInto('signing_keys')
        .values({ ...row, created_at: now + 1 })
        .execute();
    });
    const tokens = await openTokens({ ...test.deps, issuer: 'x' });
    const { token } = await tokens.issue({ client_id: 'cf', user_id: 'u' }, 60);
    expect(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).toContain('"kid":"newer"');
    await expect(tokens.verify(test.admin, { leewayMs: 0 })).resolves.toMatchObject({ client_id: 'cf' });
  });
});

describe('documents of the login', () => {
  test('GET /login has the prompts and a version that the cf CLI can read', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('GET', '/login');
    expect(body.prompts).toMatchObject({ username: ['text', 'Email'], password: ['password', 'Password'] });
    expect(body.app.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(body.links).toEqual({ uaa: test.url, login: test.url });
  });

  test('discovery names endpoints that answer', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('GET', '/.well-known/openid-configuration');
    expect(body.issuer).toBe(JSON.parse(atob(test.admin.split('.')[1] ?? '')).iss);
    expect((await fetch(body.jwks_uri)).status).toBe(200);
  });
});
