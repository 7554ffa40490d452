import { TOKEN_LIMITS } from '@cupola/model/limits';
import { describe, expect, test } from 'vitest';
import { ADMIN_PASSWORD, startTestApi, type TestApi } from '../fixtures.ts';

const CF = { authorization: `Basic ${btoa('cf:')}` };
const grant = (test: TestApi, form: Record<string, string>, headers: Record<string, string> = CF) =>
  test.api('POST', '/oauth/token', { form, headers });
const login = (test: TestApi, password = ADMIN_PASSWORD, username = 'admin') =>
  grant(test, { grant_type: 'password', username, password });
const refresh = (test: TestApi, token: string) => grant(test, { grant_type: 'refresh_token', refresh_token: token });
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

describe('the password grant', () => {
  test('answers what the cf CLI keeps, and a token with the claims it reads', async () => {
    await using test = await startTestApi();
    const { status, body, headers } = await login(test);
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: 'bearer', expires_in: 600, jti: expect.any(String) });
    expect(body.scope.split(' ')).toContain('cloud_controller.admin');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(claimsOf(body.access_token)).toMatchObject({
      user_name: 'admin',
      user_id: test.home.adminGuid,
      origin: 'uaa',
      client_id: 'cf',
      zid: 'uaa',
      aud: expect.arrayContaining(['cloud_controller', 'cf']),
      iat: test.clock.now() / 1_000,
      exp: test.clock.now() / 1_000 + 600,
    });
  });

  test('takes a name in any case', async () => {
    await using test = await startTestApi();
    expect((await login(test, ADMIN_PASSWORD, 'ADMIN')).status).toBe(200);
  });

  test.each([
    ['a wrong password', { username: 'admin', password: 'wrong' }],
    ['an unknown user', { username: 'nobody', password: ADMIN_PASSWORD }],
    ['a passcode', { passcode: '123' }],
  ])('refuses %s in the same words', async (_what, form) => {
    await using test = await startTestApi();
    const { status, body } = await grant(test, { grant_type: 'password', ...form } as Record<string, string>);
    expect([status, body]).toEqual([401, { error: 'unauthorized', error_description: 'Bad credentials' }]);
  });

  test('locks a user at an address after five failures, for five minutes', async () => {
    await using test = await startTestApi();
    await Promise.all(Array.from({ length: TOKEN_LIMITS.loginFailuresMax }, () => login(test, 'wrong')));
    const locked = await login(test);
    test.clock.pass(TOKEN_LIMITS.loginLockMs + 1);
    expect([locked.status, locked.body.error_description]).toEqual([
      401,
      'Your account has been locked because of too many failed attempts to login.',
    ]);
    expect((await login(test)).status).toBe(200);
  });
});

describe('clients', () => {
  test.each([
    ['an unknown one', { authorization: `Basic ${btoa('other:')}` }],
    ['one with a secret it does not have', { authorization: `Basic ${btoa('cf:secret')}` }],
    ['none', {}],
  ])('%s is 401', async (_what, headers) => {
    await using test = await startTestApi();
    const form = { grant_type: 'password', username: 'admin', password: ADMIN_PASSWORD };
    expect((await grant(test, form, headers as Record<string, string>)).status).toBe(401);
  });

  test('another grant is 400', async () => {
    await using test = await startTestApi();
    const { status, body } = await grant(test, { grant_type: 'implicit' });
    expect([status, body.error]).toEqual([400, 'unsupported_grant_type']);
  });

  test('one that an admin has made logs in by its secret, and may do what its authorities say', async () => {
    await using test = await startTestApi();
    const made = await test.api('POST', '/oauth/clients', {
      token: test.admin,
      body: { client_id: 'ci', client_secret: 's3cret', authorities: ['cloud_controller.admin'] },
    });
    const form = { grant_type: 'client_credentials', client_id: 'ci', client_secret: 's3cret' };
    const { body } = await grant(test, form, {});
    expect(made.status).toBe(201);
    expect(body.refresh_token).toBeUndefined();
    expect(claimsOf(body.access_token)).toMatchObject({ client_id: 'ci', revocable: true });
    expect(claimsOf(body.access_token).user_name).toBeUndefined();
    expect(body.expires_in).toBe(12 * 3_600);
    const { status } = await test.api('POST', '/v3/organizations', {
      token: body.access_token,
      body: { name: 'made' },
    });
    expect(status).toBe(201);
  });

  test('a token that was taken back counts no longer, others of that client do', async () => {
    await using test = await startTestApi();
    const client = { client_id: 'ci', client_secret: 's3cret' };
    await test.api('POST', '/oauth/clients', { token: test.admin, body: client });
    const form = { grant_type: 'client_credentials', ...client };
    const first = (await grant(test, form, {})).body;
    const second = (await grant(test, form, {})).body;
    const path = `/oauth/token/revoke/${first.jti}`;
    expect((await test.api('DELETE', path, { token: second.access_token })).status).toBe(403);
    expect((await test.api('DELETE', path, { token: first.access_token })).status).toBe(200);
    expect((await test.api('GET', '/v3/organizations', { token: first.access_token })).status).toBe(401);
    expect((await test.api('GET', '/v3/organizations', { token: second.access_token })).status).toBe(200);
  });

  test('only admins see and make them', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    expect((await test.api('GET', '/oauth/clients/cf', { token })).status).toBe(403);
    expect((await test.api('GET', '/oauth/clients/cf', { token: test.admin })).status).toBe(200);
    expect((await test.api('GET', '/oauth/clients/none', { token: test.admin })).status).toBe(404);
    expect((await test.api('DELETE', '/oauth/clients/cf', { token: test.admin })).status).toBe(400);
  });
});

describe('the refresh grant', () => {
  test('gives a new access token and a new refresh token', async () => {
    await using test = await startTestApi();
    const first = (await login(test)).body;
    const second = (await refresh(test, first.refresh_token)).body;
    expect(second.token_type).toBe('bearer');
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(second.access_token).not.toBe(first.access_token);
    expect((await test.api('GET', '/v3/organizations', { token: second.access_token })).status).toBe(200);
  });

  test('within the grace of two commands at once a token may come twice', async () => {
    await using test = await startTestApi();
    const first = (await login(test)).body;
    const answers = await Promise.all([refresh(test, first.refresh_token), refresh(test, first.refresh_token)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect((await refresh(test, answers[0].body.refresh_token)).status).toBe(200);
  });

  test('after it, an old token ends its family: the thief and the owner are out', async () => {
    await using test = await startTestApi();
    const first = (await login(test)).body;
    const other = (await login(test)).body;
    const second = (await refresh(test, first.refresh_token)).body;
    test.clock.pass(TOKEN_LIMITS.refreshReuseGraceMs + 1);
    const reused = await refresh(test, first.refresh_token);
    expect([reused.status, reused.body.error]).toEqual([401, 'invalid_token']);
    expect((await refresh(test, second.refresh_token)).status).toBe(401);
    expect((await refresh(test, other.refresh_token)).status).toBe(200);
  });

  test('refuses one that has ended, and one that never was', async () => {
    await using test = await startTestApi();
    const { refresh_token } = (await login(test)).body;
    test.clock.pass(TOKEN_LIMITS.refreshSeconds * 1_000);
    expect((await refresh(test, refresh_token)).status).toBe(401);
    expect((await refresh(test, 'made-up')).status).toBe(401);
  });

  test('refuses one that another client was given', async () => {
    await using test = await startTestApi();
    const body = { client_id: 'web', client_secret: 's', authorized_grant_types: ['refresh_token'] };
    await test.api('POST', '/oauth/clients', { token: test.admin, body });
    const { refresh_token } = (await login(test)).body;
    const answer = await grant(
      test,
      { grant_type: 'refresh_token', refresh_token },
      { authorization: `Basic ${btoa('web:s')}` },
    );
    expect(answer.status).toBe(401);
  });
});
