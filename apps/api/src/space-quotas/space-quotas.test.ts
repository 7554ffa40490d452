import { aRoute, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { details, makeStartedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';

const PATH = '/v3/space_quotas';
const to = (guid: string) => ({ data: { guid } });

function make(test: TestApi, given: Record<string, unknown> = {}): Promise<TestAnswer> {
  const { spaces, token = test.admin, organization = test.home.organizationGuid, ...body } = given;
  const relationships = { organization: to(String(organization)), ...(spaces === undefined ? {} : { spaces }) };
  return test.api('POST', PATH, { token: String(token), body: { name: 'small', relationships, ...body } });
}
const inHome = (test: TestApi) => ({ spaces: { data: [{ guid: test.home.spaceGuid }] } });
const names = (answer: TestAnswer): string[] => answer.body.resources.map((one: Json) => one.name);

describe('space quotas', () => {
  test('are made as cf create-space-quota does, and shown with the spaces that have them', async () => {
    await using test = await startTestApi();
    const made = await make(test, {
      ...inHome(test),
      apps: { total_memory_in_mb: 1024, per_process_memory_in_mb: null },
      services: { paid_services_allowed: false, total_service_instances: 0 },
      routes: { total_routes: 3, total_reserved_ports: 0 },
    });
    expect([made.status, made.body]).toMatchObject([
      201,
      {
        name: 'small',
        apps: { total_memory_in_mb: 1024, total_instances: null },
        services: { paid_services_allowed: false, total_service_instances: 0 },
        routes: { total_routes: 3, total_reserved_ports: 0 },
        relationships: { organization: to(test.home.organizationGuid), ...inHome(test) },
      },
    ]);
    const space = await test.api('GET', `/v3/spaces/${test.home.spaceGuid}`, { token: test.admin });
    expect(space.body.relationships.quota).toEqual(to(made.body.guid));
  });

  test.each([
    [{ organization: 'none' }, "Organization with guid 'none' does not exist, or you do not have access to it."],
    [{ domains: { total_domains: 1 } }, "Unknown field(s): 'domains'"],
    [
      { spaces: { data: [{ guid: 'none' }] } },
      'Spaces with guids ["none"] do not exist within the organization specified, or you do not have access to them.',
    ],
  ])('%j is 422: %s', async (given, detail) => {
    await using test = await startTestApi();
    const answer = await make(test, given);
    expect([answer.status, details(answer)]).toEqual([422, [detail]]);
  });

  test('change what they name; a name is one in its organization', async () => {
    await using test = await startTestApi();
    const { guid } = (await make(test, { routes: { total_routes: 3 } })).body;
    expect(details(await make(test))).toEqual(["Space Quota 'small' already exists."]);
    const body = { name: 'big', apps: { total_instances: 7 } };
    const changed = await test.api('PATCH', `${PATH}/${guid}`, { token: test.admin, body });
    expect(changed.body).toMatchObject({ name: 'big', apps: { total_instances: 7 }, routes: { total_routes: 3 } });
  });

  test('are applied within their organization, removed, and deleted when no space has them', async () => {
    await using test = await startTestApi();
    const { guid } = (await make(test)).body;
    const spaces = `${PATH}/${guid}/relationships/spaces`;
    const apply = (space: string) => test.api('POST', spaces, { token: test.admin, body: { data: [{ guid: space }] } });
    expect((await apply(test.home.spaceGuid)).body.data).toEqual([{ guid: test.home.spaceGuid }]);
    const elsewhere = await aSpace(test.deps.store);
    expect(details(await apply(elsewhere.guid))).toEqual([
      'Space quotas cannot be applied outside of their owning organization.',
    ]);
    const drop = () => test.api('DELETE', `${PATH}/${guid}`, { token: test.admin });
    expect(details(await drop())[0]).toMatch(/^This quota is applied to one or more spaces\./);
    const remove = () => test.api('DELETE', `${spaces}/${test.home.spaceGuid}`, { token: test.admin });
    expect((await remove()).status).toBe(204);
    expect(details(await remove())[0]).toMatch(/^Unable to remove quota from space with guid/);
    expect((await drop()).status).toBe(202);
  });

  test('are seen by managers, and by who works in a space that has one', async () => {
    await using test = await startTestApi();
    await make(test, inHome(test));
    await make(test, { name: 'spare' });
    const manager = await test.userWith({ organization_manager: test.home.organizationGuid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const stranger = await test.userWith({ organization_manager: (await aSpace(test.deps.store)).organization_guid });
    const list = (token: string, query = '') => test.api('GET', `${PATH}?order_by=name${query}`, { token });
    expect(names(await list(manager.token))).toEqual(['small', 'spare']);
    expect(names(await list(developer.token))).toEqual(['small']);
    expect(names(await list(stranger.token))).toEqual([]);
    expect(names(await list(manager.token, '&names=SPARE'))).toEqual(['spare']);
    expect(names(await list(manager.token, `&space_guids=${test.home.spaceGuid}`))).toEqual(['small']);
    expect(names(await list(manager.token, '&organization_guids=none'))).toEqual([]);
    expect((await make(test, { name: 'x', token: developer.token })).status).toBe(403);
    expect((await make(test, { name: 'x', token: manager.token })).status).toBe(201);
  });
});

describe('a space quota limits its space, though its organization has room', () => {
  const scale = (test: TestApi, guid: string, body: unknown) =>
    test.api('POST', `/v3/processes/${guid}/actions/scale`, { token: test.admin, body });

  test.each([
    [{ total_memory_in_mb: 2_048 }, { instances: 3 }, 310003, /your space's memory limit: .*"small" has 1G left/],
    [{ per_process_memory_in_mb: 1_024 }, { memory_in_mb: 1_025 }, 310004, /limit for your space's quota/],
    [{ total_instances: 1 }, { instances: 2 }, 310008, /instance limit for your space's quota/],
    [
      { log_rate_limit_in_bytes_per_second: 100 },
      { log_rate_limit_in_bytes_per_second: 101 },
      10008,
      /^log_rate_limit exceeds space log rate quota/,
    ],
  ])('%j refuses %j', async (apps, body, code, detail) => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    await test.deps.store.mutate(({ db }) => db.updateTable('processes').set({ log_rate_limit_bytes: 10 }).execute());
    await make(test, { ...inHome(test), apps });
    const answer = await scale(test, app.guid, body);
    expect([answer.body.errors[0].code, answer.body.errors[0].detail]).toEqual([code, expect.stringMatching(detail)]);
  });

  test('unlimited log rates are refused by a log rate quota: of apps that are there, and of new ones', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const unlimited = { log_rate_limit_in_bytes_per_second: -1 };
    await scale(test, app.guid, unlimited);
    const apps = { log_rate_limit_in_bytes_per_second: 1_000_000_000 };
    expect(details(await make(test, { ...inHome(test), apps }))[0]).toMatch(
      /^Current usage exceeds new quota values\./,
    );
    await scale(test, app.guid, { log_rate_limit_in_bytes_per_second: 1 });
    await make(test, { ...inHome(test), apps });
    expect(details(await scale(test, app.guid, unlimited))[0]).toMatch(/^log_rate_limit cannot be unlimited in space/);
  });

  test('routes are counted for the space alone', async () => {
    await using test = await startTestApi();
    const { spaceGuid, domainGuid, organizationGuid } = test.home;
    await make(test, { ...inHome(test), routes: { total_routes: 1 } });
    const other = await aSpace(test.deps.store, { organization_guid: organizationGuid });
    await aRoute(test.deps.store, { space_guid: other.guid, domain_guid: domainGuid });
    const create = (host: string) => {
      const relationships = { space: to(spaceGuid), domain: to(domainGuid) };
      return test.api('POST', '/v3/routes', { token: test.admin, body: { host, relationships } });
    };
    expect((await create('a')).status).toBe(201);
    expect(details(await create('b'))).toEqual(["Routes quota exceeded for space 'dev'."]);
  });
});

test('usage summaries count what a space, an organization and all of them use', async () => {
  await using test = await startTestApi();
  await makeStartedApp(test);
  const { domainGuid, organizationGuid, spaceGuid } = test.home;
  await aRoute(test.deps.store, { domain_guid: domainGuid, space_guid: spaceGuid });
  await aRoute(test.deps.store, { domain_guid: domainGuid });
  const of = async (path: string) =>
    (await test.api('GET', `/v3/${path}/usage_summary`, { token: test.admin })).body.usage_summary;
  const used = { started_instances: 1, memory_in_mb: 1_024, routes: 1, domains: 0 };
  expect(await of(`spaces/${spaceGuid}`)).toMatchObject(used);
  expect(await of(`organizations/${organizationGuid}`)).toMatchObject(used);
  expect(await of('info')).toMatchObject({ ...used, routes: 2 });
  const { token } = await test.userWith({ space_developer: spaceGuid });
  expect((await test.api('GET', '/v3/info/usage_summary', { token })).status).toBe(404);
});
