import { spaceAnswer } from '@cupola/contract/v3/space';
import { aDestination, anApp, anOrganization, aRoute, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { type Json, startTestApi } from '../fixtures.ts';

const inOrganization = (name: string, guid: string) => ({ name, relationships: { organization: { data: { guid } } } });
const named = (resources: Json[]): string[] => resources.map(({ name }) => name);

describe('POST /v3/spaces', () => {
  test('makes a space for a manager of the organization', async () => {
    await using test = await startTestApi();
    const guid = test.home.organizationGuid;
    const { token } = await test.userWith({ organization_manager: guid });
    const { status, body } = await test.api('POST', '/v3/spaces', { token, body: inOrganization('prod', guid) });
    expect(status).toBe(201);
    expect(spaceAnswer.parse(body)).toEqual(body);
    expect(body.relationships.organization.data.guid).toBe(guid);
    expect(body.links.apply_manifest).toEqual({
      href: `${test.url}/v3/spaces/${body.guid}/actions/apply_manifest`,
      method: 'POST',
    });
  });

  test('a name that is taken there is 422 in the words that make create-space succeed; elsewhere it is free', async () => {
    await using test = await startTestApi();
    const other = await anOrganization(test.deps.store);
    const make = (guid: string) =>
      test.api('POST', '/v3/spaces', { token: test.admin, body: inOrganization('Dev', guid) });
    expect((await make(test.home.organizationGuid)).body.errors[0].detail).toBe('Name must be unique per organization');
    expect((await make(other.guid)).status).toBe(201);
  });

  test('in a hidden organization is 422, in one that one does not manage 403', async () => {
    await using test = await startTestApi();
    const hidden = await anOrganization(test.deps.store);
    const { token } = await test.userWith({ space_manager: test.home.spaceGuid });
    const make = (guid: string) => test.api('POST', '/v3/spaces', { token, body: inOrganization('x', guid) });
    const refused = await make(hidden.guid);
    expect([refused.status, refused.body.errors[0].detail]).toEqual([
      422,
      'Invalid organization. Ensure the organization exists and you have access to it.',
    ]);
    expect((await make(test.home.organizationGuid)).status).toBe(403);
  });

  test.each([
    [{ name: 'x' }, 'Relationships must be an object'],
    [
      { name: 'x', relationships: {} },
      'Relationships Organization must be structured like this: "Organization: {"data": {"guid": "valid-guid"}}"',
    ],
    [{ relationships: { organization: { data: { guid: 'x' } } } }, "Name can't be blank"],
  ])('%j is 422: %s', async (body, detail) => {
    await using test = await startTestApi();
    const answer = await test.api('POST', '/v3/spaces', { token: test.admin, body });
    expect([answer.status, answer.body.errors[0].detail]).toEqual([422, detail]);
  });
});

describe('GET /v3/spaces', () => {
  test("shows one's own spaces, and all of an organization that one manages", async () => {
    await using test = await startTestApi();
    const organization_guid = test.home.organizationGuid;
    await aSpace(test.deps.store, { organization_guid, name: 'prod' });
    await aSpace(test.deps.store, { name: 'foreign' });
    const list = async (token: string) =>
      named((await test.api('GET', '/v3/spaces?order_by=name', { token })).body.resources);
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const manager = await test.userWith({ organization_manager: organization_guid });
    const member = await test.userWith({ organization_user: organization_guid });
    expect(await list(developer.token)).toEqual(['dev']);
    expect(await list(manager.token)).toEqual(['dev', 'prod']);
    expect(await list(member.token)).toEqual([]);
    expect(await list(test.admin)).toEqual(['dev', 'foreign', 'prod']);
  });

  test('filters by name and organization, and includes organizations once', async () => {
    await using test = await startTestApi();
    const { organizationGuid } = test.home;
    await aSpace(test.deps.store, { organization_guid: organizationGuid, name: 'prod' });
    await aSpace(test.deps.store, { name: 'prod' });
    const query = `names=prod,dev&organization_guids=${organizationGuid}&include=organization&order_by=name`;
    const { body } = await test.api('GET', `/v3/spaces?${query}`, { token: test.admin });
    expect(named(body.resources)).toEqual(['dev', 'prod']);
    expect(named(body.included.organizations)).toEqual(['cupola']);
  });

  test('an include that it does not know is 400', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('GET', '/v3/spaces?include=apps', { token: test.admin });
    expect(body.errors[0].detail).toBe(
      "The query parameter is invalid: Invalid included resource: 'apps'. Valid included resources are: 'organization', 'org'",
    );
  });
});

describe('GET and PATCH /v3/spaces/:guid', () => {
  test('a single space may include its organization', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('GET', `/v3/spaces/${test.home.spaceGuid}?include=org`, { token: test.admin });
    expect([body.name, named(body.included.organizations)]).toEqual(['dev', ['cupola']]);
  });

  test('a hidden one is 404', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { status, body } = await test.api('GET', `/v3/spaces/${test.home.spaceGuid}`, { token });
    expect([status, body.errors[0].detail]).toEqual([404, 'Space not found']);
  });

  test('its managers rename and label it, developers do not', async () => {
    await using test = await startTestApi();
    const manager = await test.userWith({ space_manager: test.home.spaceGuid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const patch = (token: string) =>
      test.api('PATCH', `/v3/spaces/${test.home.spaceGuid}`, {
        token,
        body: { name: 'play', metadata: { annotations: { why: 'fun' } } },
      });
    expect((await patch(developer.token)).status).toBe(403);
    expect((await patch(manager.token)).body).toMatchObject({
      name: 'play',
      metadata: { annotations: { why: 'fun' } },
    });
  });

  test('the name of a sister is 422', async () => {
    await using test = await startTestApi();
    const { guid } = await aSpace(test.deps.store, { organization_guid: test.home.organizationGuid });
    const { body } = await test.api('PATCH', `/v3/spaces/${guid}`, { token: test.admin, body: { name: 'dev' } });
    expect(body.errors[0].detail).toBe("Organization 'cupola' already contains a space with name 'dev'.");
  });
});

describe('DELETE', () => {
  test("of a space takes its apps, routes and roles along, and is the organization's managers'", async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const { guid } = await aSpace(store, { organization_guid: test.home.organizationGuid });
    await anApp(store, { space_guid: guid });
    await aRoute(store, { space_guid: guid });
    const spaceManager = await test.userWith({ space_manager: guid });
    const manager = await test.userWith({ organization_manager: test.home.organizationGuid });
    expect((await test.api('DELETE', `/v3/spaces/${guid}`, { token: spaceManager.token })).status).toBe(403);
    const { status, headers } = await test.api('DELETE', `/v3/spaces/${guid}`, { token: manager.token });
    const job = await test.api('GET', headers.get('location') ?? '', { token: manager.token });
    expect([status, job.body.operation, job.body.state]).toEqual([202, 'space.delete', 'COMPLETE']);
    const apps = await store.read.selectFrom('apps').selectAll().execute();
    const routes = await store.read.selectFrom('routes').selectAll().execute();
    const roles = await store.read.selectFrom('roles').selectAll().where('space_guid', '=', guid).execute();
    expect([apps, routes, roles]).toEqual([[], [], []]);
  });

  test('of unmapped routes leaves those that lead somewhere', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const space_guid = test.home.spaceGuid;
    const mapped = await aRoute(store, { space_guid });
    await aRoute(store, { space_guid });
    const elsewhere = await aRoute(store);
    await aDestination(store, { route_guid: mapped.guid });
    const developer = await test.userWith({ space_developer: space_guid });
    const path = `/v3/spaces/${space_guid}/routes`;
    expect((await test.api('DELETE', path, { token: developer.token })).status).toBe(400);
    expect((await test.api('DELETE', `${path}?unmapped=true`, { token: developer.token })).status).toBe(202);
    const left = await store.read.selectFrom('routes').select('guid').execute();
    expect(left.map(({ guid }) => guid).sort()).toEqual([mapped.guid, elsewhere.guid].sort());
  });
});

describe('features of a space', () => {
  test('ssh is switched by its managers and seen by its developers', async () => {
    await using test = await startTestApi();
    const path = `/v3/spaces/${test.home.spaceGuid}/features/ssh`;
    const manager = await test.userWith({ space_manager: test.home.spaceGuid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    expect((await test.api('PATCH', path, { token: developer.token, body: { enabled: false } })).status).toBe(403);
    expect((await test.api('PATCH', path, { token: manager.token, body: { enabled: false } })).body.enabled).toBe(
      false,
    );
    expect((await test.api('GET', path, { token: developer.token })).body).toMatchObject({
      name: 'ssh',
      enabled: false,
    });
    expect((await test.api('GET', `${path}x`, { token: developer.token })).body.errors[0].detail).toBe(
      'Feature not found',
    );
  });
});
