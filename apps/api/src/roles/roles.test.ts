import { roleAnswer } from '@cupola/contract/v3/user';
import { anOrganization, aSpace, aUser } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';

const inOrganization = (type: string, guid: string, user: object) => ({
  type,
  relationships: { organization: { data: { guid } }, user: { data: user } },
});
const inSpace = (type: string, guid: string, user: object) => ({
  type,
  relationships: { space: { data: { guid } }, user: { data: user } },
});
const give = (test: TestApi, body: unknown, token = test.admin) => test.api('POST', '/v3/roles', { token, body });

describe('POST /v3/roles', () => {
  test('as cf create-space sends them: twice the membership, the second time there already', async () => {
    await using test = await startTestApi();
    const { organizationGuid, spaceGuid } = test.home;
    const user = { username: (await aUser(test.deps.store)).username, origin: 'uaa' };
    const first = await give(test, inOrganization('organization_user', organizationGuid, user));
    const manager = await give(test, inSpace('space_manager', spaceGuid, user));
    const again = await give(test, inOrganization('organization_user', organizationGuid, user));
    expect([first.status, manager.status]).toEqual([201, 201]);
    expect(roleAnswer.parse(manager.body)).toEqual(manager.body);
    expect(manager.body.relationships).toMatchObject({
      organization: { data: null },
      space: { data: { guid: spaceGuid } },
    });
    expect([again.status, again.body.errors]).toEqual([
      422,
      [
        {
          code: 10008,
          title: 'CF-UnprocessableEntity',
          detail: `User '${user.username}' already has 'organization_user' role in organization 'cupola'.`,
        },
      ],
    ]);
    expect((await give(test, inSpace('space_manager', spaceGuid, user))).body.errors[0].detail).toBe(
      `User '${user.username}' already has 'space_manager' role in space 'dev'.`,
    );
  });

  test('in a space is for members of the organization only', async () => {
    await using test = await startTestApi();
    const stranger = await aUser(test.deps.store);
    const answers = await Promise.all(
      [{ guid: stranger.guid }, { username: stranger.username }, { username: 'nobody' }, { guid: 'nobody' }].map(user =>
        give(test, inSpace('space_developer', test.home.spaceGuid, user)),
      ),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.errors[0].detail}`))).toEqual(
      new Set([
        "422 Users cannot be assigned roles in a space if they do not have a role in that space's organization.",
      ]),
    );
  });

  test("of a name that is nobody's, or several origins', is 422", async () => {
    await using test = await startTestApi();
    const { organizationGuid } = test.home;
    await aUser(test.deps.store, { username: 'jane', origin: 'uaa' });
    await aUser(test.deps.store, { username: 'Jane', origin: 'ldap' });
    const details = await Promise.all(
      [{ username: 'joe' }, { username: 'joe', origin: 'ldap' }, { username: 'jane' }].map(
        async user =>
          (await give(test, inOrganization('organization_user', organizationGuid, user))).body.errors[0].detail,
      ),
    );
    expect(details).toEqual([
      "No user exists with the username 'joe'.",
      "No user exists with the username 'joe' and origin 'ldap'.",
      "Ambiguous user. User with username 'jane' exists in the following origins: ldap, uaa. Specify an origin to disambiguate.",
    ]);
    const chosen = inOrganization('organization_user', organizationGuid, { username: 'jane', origin: 'ldap' });
    expect((await give(test, chosen)).status).toBe(201);
  });

  test('of a guid that nobody has yet makes that user, as for OAuth clients', async () => {
    await using test = await startTestApi();
    await give(test, inOrganization('organization_manager', test.home.organizationGuid, { guid: 'ci-client' }));
    const { body } = await test.api('GET', '/v3/users/ci-client', { token: test.admin });
    expect(body).toMatchObject({ guid: 'ci-client', username: null, presentation_name: 'ci-client', origin: null });
  });

  test('is given by managers, of the organization also in its spaces', async () => {
    await using test = await startTestApi();
    const { organizationGuid, spaceGuid } = test.home;
    const member = await test.userWith({ organization_user: organizationGuid });
    const manager = await test.userWith({ organization_manager: organizationGuid });
    const spaceManager = await test.userWith({ space_manager: spaceGuid });
    const user = { guid: member.guid };
    const statuses = async (type: string) => {
      const isOfSpace = type.startsWith('space_');
      const body = isOfSpace ? inSpace(type, spaceGuid, user) : inOrganization(type, organizationGuid, user);
      const given: number[] = [];
      for (const { token } of [member, spaceManager, manager]) given.push((await give(test, body, token)).status);
      return given;
    };
    expect(await statuses('organization_auditor')).toEqual([403, 403, 201]);
    expect(await statuses('space_developer')).toEqual([403, 201, 422]);
    expect((await give(test, inSpace('space_auditor', spaceGuid, user), manager.token)).status).toBe(201);
  });

  test.each([
    [
      { type: 'king', relationships: { user: { data: { guid: 'u' } }, organization: { data: { guid: 'o' } } } },
      /^Type must be one of the allowed types \["organization_user"/,
    ],
    [
      { type: 'space_developer', relationships: { user: { data: { guid: 'u' } } } },
      /^Relationships must specify either a space or an organization\.$/,
    ],
    [
      inOrganization('space_developer', 'o', { guid: 'u' }),
      /^Relationships Organization cannot be provided with the space role type: 'space_developer'\.$/,
    ],
    [
      inSpace('organization_user', 's', { guid: 'u' }),
      /^Relationships Space cannot be provided with the organization role type: 'organization_user'\.$/,
    ],
    [inSpace('space_auditor', 's', {}), /^Relationships User must have a username or guid specified$/],
    [
      inSpace('space_auditor', 's', { guid: 'u', username: 'x' }),
      /^Relationships Username cannot be specified when identifying user by guid$/,
    ],
    [
      inSpace('space_auditor', 's', { guid: 'u' }),
      /^Invalid space\. Ensure that the space exists and you have access to it\.$/,
    ],
    [
      inOrganization('organization_user', 'o', { guid: 'u' }),
      /^Invalid organization\. Ensure that the organization exists/,
    ],
  ])('%j is 422: %s', async (body, detail) => {
    await using test = await startTestApi();
    const answer = await give(test, body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].detail).toMatch(detail);
  });
});

describe('GET /v3/roles', () => {
  test('as cf org-users and unset-role ask, by place, type and user, with users included', async () => {
    await using test = await startTestApi();
    const { organizationGuid, spaceGuid } = test.home;
    const user = await test.userWith({ space_auditor: spaceGuid });
    const list = async (query: string) => (await test.api('GET', `/v3/roles?${query}`, { token: test.admin })).body;
    const ofOrganization = await list(`include=user&organization_guids=${organizationGuid}`);
    expect(ofOrganization.included.users.map(({ guid }: { guid: string }) => guid).sort()).toEqual(
      [user.guid, test.home.adminGuid].sort(),
    );
    const one = await list(`page=1&per_page=1&space_guids=${spaceGuid}&types=space_auditor&user_guids=${user.guid}`);
    expect(one.resources).toMatchObject([{ type: 'space_auditor' }]);
    const both = await list(`user_guids=${user.guid}&include=organization,space`);
    expect([both.included.organizations.length, both.included.spaces.length]).toEqual([1, 1]);
  });

  test('shows those of what the asker may see', async () => {
    await using test = await startTestApi();
    const foreign = await aSpace(test.deps.store);
    await test.userWith({ space_developer: foreign.guid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const { body } = await test.api('GET', '/v3/roles', { token: developer.token });
    expect(body.pagination.total_results).toBe(6);
    const { guid } = await test.deps.store.read
      .selectFrom('roles')
      .select('guid')
      .where('space_guid', '=', foreign.guid)
      .executeTakeFirstOrThrow();
    expect((await test.api('GET', `/v3/roles/${guid}`, { token: developer.token })).body.errors[0].detail).toBe(
      'Role not found',
    );
    expect(
      (await test.api('GET', `/v3/roles/${guid}?include=user`, { token: test.admin })).body.included.users,
    ).toHaveLength(1);
  });
});

describe('DELETE /v3/roles/:guid', () => {
  test('takes it away, the membership last', async () => {
    await using test = await startTestApi();
    const user = await test.userWith({ space_developer: test.home.spaceGuid });
    const guidOf = async (type: string) =>
      (await test.api('GET', `/v3/roles?user_guids=${user.guid}&types=${type}`, { token: test.admin })).body
        .resources[0].guid;
    const take = async (type: string) => test.api('DELETE', `/v3/roles/${await guidOf(type)}`, { token: test.admin });
    expect((await take('organization_user')).body.errors[0].detail).toBe(
      'Cannot delete organization_user role while user has roles in spaces in that organization.',
    );
    const { status, headers } = await take('space_developer');
    const job = await test.api('GET', headers.get('location') ?? '', { token: test.admin });
    expect([status, job.body.operation]).toEqual([202, 'role.delete']);
    expect((await take('organization_user')).status).toBe(202);
    expect((await test.api('GET', '/v3/organizations', { token: user.token })).body.resources).toEqual([]);
  });

  test("is the managers': others who see it are refused", async () => {
    await using test = await startTestApi();
    const member = await test.userWith({ organization_auditor: test.home.organizationGuid });
    const { body } = await test.api('GET', '/v3/roles?types=organization_manager', { token: member.token });
    expect((await test.api('DELETE', `/v3/roles/${body.resources[0].guid}`, { token: member.token })).status).toBe(403);
  });

  test('giving and taking leave events', async () => {
    await using test = await startTestApi();
    const organization = await anOrganization(test.deps.store);
    const user = await aUser(test.deps.store);
    const { body } = await give(test, inOrganization('organization_user', organization.guid, { guid: user.guid }));
    await test.api('DELETE', `/v3/roles/${body.guid}`, { token: test.admin });
    const events = await test.api('GET', `/v3/audit_events?target_guids=${user.guid}`, { token: test.admin });
    expect(events.body.resources.map(({ type }: { type: string }) => type).sort()).toEqual([
      'audit.user.organization_user_add',
      'audit.user.organization_user_remove',
    ]);
  });
});
