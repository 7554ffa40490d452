import { userAnswer } from '@cupola/contract/v3/user';
import { aUser } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { type Json, startTestApi } from '../fixtures.ts';

const usernames = (resources: Json[]): string[] => resources.map(({ username }) => username).sort();

describe('GET /v3/users', () => {
  test('shows oneself and those with a role where one may look', async () => {
    await using test = await startTestApi();
    await aUser(test.deps.store, { username: 'stranger' });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const loner = await test.userWith();
    const list = async (token: string) => usernames((await test.api('GET', '/v3/users', { token })).body.resources);
    expect(await list(developer.token)).toEqual(['admin', developer.username].sort());
    expect(await list(loner.token)).toEqual([loner.username]);
    expect(await list(test.admin)).toHaveLength(4);
  });

  test('filters by names, parts of names and origins', async () => {
    await using test = await startTestApi();
    await aUser(test.deps.store, { username: 'jane_d' });
    await aUser(test.deps.store, { username: 'janexd' });
    await aUser(test.deps.store, { username: 'jane_d', origin: 'ldap' });
    const list = async (query: string) =>
      usernames((await test.api('GET', `/v3/users?${query}`, { token: test.admin })).body.resources);
    expect(await list('usernames=JANE_D')).toEqual(['jane_d', 'jane_d']);
    expect(await list('usernames=jane_d&origins=ldap')).toEqual(['jane_d']);
    expect(await list('partial_usernames=E_D')).toEqual(['jane_d', 'jane_d']);
    expect(await list('partial_usernames=nex,dmi')).toEqual(['admin', 'janexd']);
  });

  test.each([
    ['origins=uaa', 'Origins filter cannot be provided without usernames or partial_usernames filter.'],
    [
      'usernames=a&partial_usernames=b',
      'Usernames filter cannot be provided with both usernames and partial_usernames filter.',
    ],
  ])('?%s is 400', async (query, detail) => {
    await using test = await startTestApi();
    const { status, body } = await test.api('GET', `/v3/users?${query}`, { token: test.admin });
    expect([status, body.errors[0].detail]).toEqual([400, `The query parameter is invalid: ${detail}`]);
  });

  test('members of an organization and of a space', async () => {
    await using test = await startTestApi();
    const auditor = await test.userWith({ organization_auditor: test.home.organizationGuid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const list = async (path: string) =>
      usernames((await test.api('GET', `${path}/users`, { token: developer.token })).body.resources);
    expect(await list(`/v3/organizations/${test.home.organizationGuid}`)).toEqual(
      ['admin', auditor.username, developer.username].sort(),
    );
    expect(await list(`/v3/spaces/${test.home.spaceGuid}`)).toEqual(['admin', developer.username].sort());
  });
});

describe('POST /v3/users', () => {
  test('by name and origin makes one that another provider lets in', async () => {
    await using test = await startTestApi();
    const body = { username: 'jane', origin: 'ldap', metadata: { labels: { team: 'a' } } };
    const post = () => test.api('POST', '/v3/users', { token: test.admin, body });
    const { status, body: made } = await post();
    expect(status).toBe(201);
    expect(userAnswer.parse(made)).toEqual(made);
    expect(made).toMatchObject({ username: 'jane', origin: 'ldap', metadata: { labels: { team: 'a' } } });
    expect((await post()).body.errors[0].detail).toBe("User with username 'jane' and origin 'ldap' already exists.");
  });

  test('a user that is there already is 422, and only admins make any', async () => {
    await using test = await startTestApi();
    const body = { guid: test.home.adminGuid };
    const { token } = await test.userWith({ organization_manager: test.home.organizationGuid });
    expect((await test.api('POST', '/v3/users', { token: test.admin, body })).body.errors[0].detail).toBe(
      `User with guid '${test.home.adminGuid}' already exists.`,
    );
    expect((await test.api('POST', '/v3/users', { token, body })).status).toBe(403);
  });

  test.each([
    [{}, "Guid or 'username' and 'origin' must be provided"],
    [{ guid: 'a', username: 'b' }, "Username cannot be provided with 'guid'"],
    [{ username: 'b' }, "Username can only be provided together with 'origin'"],
    [{ origin: 'b' }, "Origin can only be provided together with 'username'"],
    [{ username: 'b', origin: 'uaa' }, "Origin cannot be 'uaa' when creating a user by username"],
  ])('%j is 422: %s', async (body, detail) => {
    await using test = await startTestApi();
    const answer = await test.api('POST', '/v3/users', { token: test.admin, body });
    expect([answer.status, answer.body.errors[0].detail]).toEqual([422, detail]);
  });
});

describe('one user', () => {
  test('is labelled by admins', async () => {
    await using test = await startTestApi();
    const user = await test.userWith();
    const patch = (token: string) =>
      test.api('PATCH', `/v3/users/${user.guid}`, { token, body: { metadata: { labels: { team: 'a' } } } });
    expect((await patch(user.token)).status).toBe(403);
    expect((await patch(test.admin)).body.metadata.labels).toEqual({ team: 'a' });
    expect((await test.api('GET', `/v3/users/${user.guid}`, { token: user.token })).body.metadata.labels).toEqual({
      team: 'a',
    });
  });

  test('a hidden one is 404 in the words that the cf CLI knows', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { status, body } = await test.api('GET', `/v3/users/${test.home.adminGuid}`, { token });
    expect([status, body.errors[0].detail]).toEqual([404, 'User not found']);
  });

  test('deleted, it has no role and no label left, but its account can log in and begin anew', async () => {
    await using test = await startTestApi();
    const user = await test.userWith({ space_developer: test.home.spaceGuid });
    await test.api('PATCH', `/v3/users/${user.guid}`, {
      token: test.admin,
      body: { metadata: { labels: { a: 'b' } } },
    });
    const { headers } = await test.api('DELETE', `/v3/users/${user.guid}`, { token: test.admin });
    const job = await test.api('GET', headers.get('location') ?? '', { token: test.admin });
    expect(job.body).toMatchObject({ operation: 'user.delete', state: 'COMPLETE' });
    const roles = await test.api('GET', `/v3/roles?user_guids=${user.guid}`, { token: test.admin });
    expect(roles.body.resources).toEqual([]);
    const back = await test.api('POST', '/v3/users', { token: test.admin, body: { guid: user.guid } });
    expect([back.status, back.body.metadata.labels]).toEqual([201, {}]);
  });
});
