import { describe, expect, test } from 'vitest';
import { ADMIN_PASSWORD, startTestApi, type TestApi } from '../fixtures.ts';

const account = (userName: string, more: Record<string, unknown> = {}) => ({
  userName,
  password: 'pw-of-jane',
  origin: '',
  name: { familyName: userName, givenName: userName },
  emails: [{ value: userName, primary: true }],
  ...more,
});
const login = (test: TestApi, username: string, password: string) =>
  test.api('POST', '/oauth/token', {
    form: { grant_type: 'password', username, password },
    headers: { authorization: `Basic ${btoa('cf:')}` },
  });
const find = (test: TestApi, filter: string) =>
  test.api('GET', `/Users?filter=${encodeURIComponent(filter)}`, { token: test.admin });

describe('cf create-user and delete-user', () => {
  test('what they send makes an account that logs in, becomes a user, and goes', async () => {
    await using test = await startTestApi();
    const token = test.admin;
    expect((await find(test, 'userName eq "jane" and origin eq "uaa"')).body.resources).toEqual([]);
    const made = await test.api('POST', '/Users', { token, body: account('jane') });
    expect([made.status, made.body]).toMatchObject([201, { userName: 'jane', origin: 'uaa', active: true }]);
    const { id } = made.body;
    const user = await test.api('POST', '/v3/users', { token, body: { guid: id } });
    expect([user.status, user.body]).toMatchObject([
      201,
      { guid: id, username: 'jane', presentation_name: 'jane', origin: 'uaa' },
    ]);
    expect((await login(test, 'jane', 'pw-of-jane')).status).toBe(200);

    const found = await find(test, 'userName eq "JANE"');
    expect(found.body.resources).toMatchObject([{ id, origin: 'uaa' }]);
    expect((await test.api('DELETE', `/v3/users/${id}`, { token })).status).toBe(202);
    expect((await test.api('GET', `/v3/users/${id}`, { token })).status).toBe(404);
    expect((await test.api('DELETE', `/Users/${id}`, { token })).body.id).toBe(id);
    expect((await find(test, `id eq "${id}"`)).body.resources).toEqual([]);
    expect((await login(test, 'jane', 'pw-of-jane')).status).toBe(401);
  });

  test('an account that logs in is a user from then on', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('POST', '/Users', { token: test.admin, body: account('jane') });
    expect((await test.api('GET', `/v3/users/${body.id}`, { token: test.admin })).status).toBe(404);
    await login(test, 'jane', 'pw-of-jane');
    expect((await test.api('GET', `/v3/users/${body.id}`, { token: test.admin })).status).toBe(200);
  });

  test('a name that is taken is 409, in any case of its letters, but not in another origin', async () => {
    await using test = await startTestApi();
    const post = (body: unknown) => test.api('POST', '/Users', { token: test.admin, body });
    await post(account('jane'));
    expect((await post(account('Jane'))).status).toBe(409);
    expect((await post(account('jane', { origin: 'ldap', password: '' }))).status).toBe(201);
    expect((await find(test, 'userName eq "jane" and origin eq "ldap"')).body.totalResults).toBe(1);
  });

  test('the password is in no answer, and as a hash in the store', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('POST', '/Users', { token: test.admin, body: account('jane') });
    const { password_hash } = await test.deps.store.read
      .selectFrom('users')
      .select('password_hash')
      .where('guid', '=', body.id)
      .executeTakeFirstOrThrow();
    expect(JSON.stringify(body)).not.toContain('pw-of-jane');
    expect(password_hash).toMatch(/^scrypt\$32768\$8\$3\$/);
  });

  test("a body without a name, or a filter that we do not know, is 400 in UAA's form", async () => {
    await using test = await startTestApi();
    const nameless = await test.api('POST', '/Users', { token: test.admin, body: { password: 'x' } });
    const odd = await find(test, 'emails.value co "x"');
    expect([nameless.status, nameless.body.error]).toEqual([400, 'invalid_request']);
    expect([odd.status, odd.body.error]).toEqual([400, 'scim']);
  });

  test('who is no admin sees only the own account', async () => {
    await using test = await startTestApi();
    const { token, guid } = await test.userWith();
    const paths = ['/Users', `/Users/${test.home.adminGuid}`, `/Users/${guid}`];
    const answers = await Promise.all(paths.map(path => test.api('GET', path, { token })));
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 200]);
    expect(answers[0]?.body.error).toBe('insufficient_scope');
    expect((await test.api('POST', '/Users', { token, body: account('x') })).status).toBe(403);
    expect((await test.api('DELETE', `/Users/${guid}`, { token })).status).toBe(403);
  });

  test("without a token it is 401 in UAA's form", async () => {
    await using test = await startTestApi();
    const { status, body, headers } = await test.api('GET', '/Users');
    expect([status, body.error]).toEqual([401, 'unauthorized']);
    expect(headers.get('www-authenticate')).toContain('Bearer');
  });
});

describe('cf passwd', () => {
  const change = (test: TestApi, token: string, guid: string, body: object) =>
    test.api('PUT', `/Users/${guid}/password`, { token, body });

  test("changes one's own password by the old one; the old logins end", async () => {
    await using test = await startTestApi();
    const user = await test.userWith();
    const before = (await login(test, user.username, ADMIN_PASSWORD)).body;
    const changed = await change(test, user.token, user.guid, { oldPassword: ADMIN_PASSWORD, password: 'new' });
    expect(changed.status).toBe(200);
    expect((await login(test, user.username, ADMIN_PASSWORD)).status).toBe(401);
    expect((await login(test, user.username, 'new')).status).toBe(200);
    const form = { grant_type: 'refresh_token', refresh_token: before.refresh_token };
    const refreshed = await test.api('POST', '/oauth/token', {
      form,
      headers: { authorization: `Basic ${btoa('cf:')}` },
    });
    expect(refreshed.status).toBe(401);
  });

  test('needs the right old password, and a new one', async () => {
    await using test = await startTestApi();
    const { token, guid } = await test.userWith();
    const wrong = await change(test, token, guid, { oldPassword: 'wrong', password: 'new' });
    const same = await change(test, token, guid, { oldPassword: ADMIN_PASSWORD, password: ADMIN_PASSWORD });
    const empty = await change(test, token, guid, { oldPassword: ADMIN_PASSWORD, password: '' });
    expect([wrong.status, same.status, empty.status]).toEqual([401, 422, 422]);
  });

  test("of somebody else is an admin's", async () => {
    await using test = await startTestApi();
    const user = await test.userWith();
    expect((await change(test, user.token, test.home.adminGuid, { password: 'x' })).status).toBe(403);
    expect((await change(test, test.admin, user.guid, { password: 'given' })).status).toBe(200);
    expect((await login(test, user.username, 'given')).status).toBe(200);
  });
});
