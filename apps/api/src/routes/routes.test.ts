import { aDomain, anOrganization, aQuota, aRoute, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { details, eventTypes, makeApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

interface Ask {
  space?: string;
  domain?: string;
  token?: string;
  [key: string]: unknown;
}

function post(test: TestApi, { space, domain, token = test.admin, ...body }: Ask = {}) {
  const relationships = {
    space: { data: { guid: space ?? test.home.spaceGuid } },
    domain: { data: { guid: domain ?? test.home.domainGuid } },
  };
  return test.api('POST', '/v3/routes', { token, body: { relationships, ...body } });
}

const hosts = (answer: { body: Json }): string[] => answer.body.resources.map((route: Json) => route.host).sort();

describe('POST /v3/routes', () => {
  test('makes a route, whose url is what one can paste', async () => {
    await using test = await startTestApi();
    const answer = await post(test, { host: 'Shop', path: '/Cart', options: { loadbalancing: 'least-connection' } });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      protocol: 'http',
      host: 'shop',
      path: '/Cart',
      port: 8_080,
      url: 'shop.localhost:8080/Cart',
      destinations: [],
      options: { loadbalancing: 'least-connection' },
      metadata: { labels: {}, annotations: {} },
      relationships: { domain: { data: { guid: test.home.domainGuid } } },
    });
    expect(await eventTypes(test, answer.body.guid)).toEqual(['route.create']);
  });

  test('the same again is 422 in the words that make the cf CLI go on', async () => {
    await using test = await startTestApi();
    await post(test, { host: 'h' });
    const again = await post(test, { host: 'H' });
    expect(again.status).toBe(422);
    expect(details(again)).toEqual(["Route already exists with host 'h' for domain 'localhost'."]);
    await post(test, { host: 'h', path: '/a' });
    expect(details(await post(test, { host: 'h', path: '/A' }))).toEqual([
      "Route already exists with host 'h' and path '/A' for domain 'localhost'.",
    ]);
  });

  test.each(['api', 'login', 'uaa', 'log-cache', 'log-stream', 'git', 'ssh', 'registry'])(
    'host %s of the system domain is refused',
    async host => {
      await using test = await startTestApi();
      expect(details(await post(test, { host }))).toEqual(['Route conflicts with a reserved system route.']);
    },
  );

  test.each([
    [{}, 'Missing host. Routes in shared domains must have a host defined.'],
    [{ host: 'a.b' }, 'Host must be either "*" or contain only alphanumeric characters, "_", or "-"'],
    [{ host: 'a', path: 'x' }, 'Path must begin with /'],
    [{ host: 'a', path: '/' }, 'Path cannot be exactly /'],
    [{ host: 'a', path: '/a?b' }, 'Path cannot contain ?'],
    [{ host: 'a', port: 8_080 }, "Routes with protocol 'http' do not support ports."],
    [{ host: 'a', options: { sticky: 'x' } }, "Options Unknown field(s): 'sticky'"],
    [
      { host: 'a', options: { loadbalancing: 'random' } },
      "Options Loadbalancing must be one of 'round-robin, least-connection' if present",
    ],
    [{ host: 'a', space: 'none' }, 'Invalid space. Ensure that the space exists and you have access to it.'],
    [{ host: 'a', domain: 'none' }, 'Invalid domain. Ensure that the domain exists and you have access to it.'],
  ])('%j is 422: %s', async (ask, text) => {
    await using test = await startTestApi();
    const answer = await post(test, ask);
    expect(answer.status).toBe(422);
    expect(details(answer)).toEqual([text]);
  });

  test("a wildcard of a shared domain is the admin's; of an own domain it is its users'", async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    expect(details(await post(test, { token, host: '*' }))[0]).toMatch(/^You do not have sufficient permissions to/);
    expect((await post(test, { host: '*' })).status).toBe(201);
    const own = await aDomain(test.deps.store, { organization_guid: test.home.organizationGuid });
    expect((await post(test, { token, host: '*', domain: own.guid })).body.url).toBe(`*.${own.name}:8080`);
    expect((await post(test, { token, domain: own.guid })).body.url).toBe(`${own.name}:8080`);
  });

  test("another organization's domain is hidden, until it is shared", async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const other = await anOrganization(store);
    const domain = await aDomain(store, { organization_guid: other.guid });
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    const ask = { host: 'a', domain: domain.guid };
    expect(details(await post(test, { token, ...ask }))[0]).toMatch(/^Invalid domain\. Ensure/);
    expect(details(await post(test, ask))).toEqual([
      `Invalid domain. Domain '${domain.name}' is not available in organization 'cupola'.`,
    ]);
    const path = `/v3/domains/${domain.guid}/relationships/shared_organizations`;
    await test.api('POST', path, { token: test.admin, body: { data: [{ guid: test.home.organizationGuid }] } });
    expect((await post(test, { token, ...ask })).status).toBe(201);
  });

  test("one host of a shared domain is one space's", async () => {
    await using test = await startTestApi();
    await post(test, { host: 'shop' });
    const space = await aSpace(test.deps.store, { organization_guid: test.home.organizationGuid });
    expect(details(await post(test, { host: 'shop', path: '/mine', space: space.guid }))[0]).toMatch(
      /^Route conflicts with another space/,
    );
  });

  test('over the quota is 422', async () => {
    await using test = await startTestApi();
    const quota = await aQuota(test.deps.store, { total_routes: 1 });
    await test.deps.store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: quota.guid }).execute());
    expect((await post(test, { host: 'one' })).status).toBe(201);
    expect(details(await post(test, { host: 'two' }))).toEqual(["Routes quota exceeded for organization 'cupola'."]);
  });

  test('two at once make one', async () => {
    await using test = await startTestApi();
    const answers = await Promise.all([1, 2, 3, 4].map(() => post(test, { host: 'h' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422]);
  });

  test('may be switched off for everyone but admins', async () => {
    await using test = await startTestApi();
    await test.api('PATCH', '/v3/feature_flags/route_creation', { token: test.admin, body: { enabled: false } });
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    expect((await post(test, { token, host: 'a' })).status).toBe(403);
    expect((await post(test, { host: 'a' })).status).toBe(201);
  });
});

describe('GET /v3/routes', () => {
  test('filters; an empty filter asks for what is empty', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const own = await aDomain(store, { organization_guid: test.home.organizationGuid });
    const away = await aSpace(store);
    await post(test, { host: 'one', metadata: { labels: { env: 'prod' } } });
    await post(test, { host: 'one', path: '/sub' });
    await post(test, { host: '', domain: own.guid });
    await aRoute(store, { host: 'away', space_guid: away.guid, domain_guid: test.home.domainGuid });
    const list = async (query: string) => hosts(await test.api('GET', `/v3/routes?${query}`, { token: test.admin }));
    expect(await list('')).toEqual(['', 'away', 'one', 'one']);
    expect(await list('hosts=One')).toEqual(['one', 'one']);
    expect(await list('hosts=one&paths=')).toEqual(['one']);
    expect(await list('hosts=one&paths=%2Fsub')).toEqual(['one']);
    expect(await list('hosts=&paths=')).toEqual(['']);
    expect(await list(`domain_guids=${own.guid}`)).toEqual(['']);
    expect(await list(`space_guids=${away.guid}`)).toEqual(['away']);
    expect(await list(`organization_guids=${away.organization_guid}`)).toEqual(['away']);
    expect(await list('label_selector=env')).toEqual(['one']);
    expect(await list('ports=1024')).toEqual([]);
    expect(await list('ports=8080&hosts=away')).toEqual(['away']);
    expect(await list('app_guids=none')).toEqual([]);
    expect(await list('service_instance_guids=none')).toEqual([]);
  });

  test("an organization's auditor sees its routes, not the spaces that they are in", async () => {
    await using test = await startTestApi();
    const { spaceGuid, domainGuid, organizationGuid } = test.home;
    await aRoute(test.deps.store, { space_guid: spaceGuid, domain_guid: domainGuid });
    const { token } = await test.userWith({ organization_auditor: organizationGuid });
    const { body } = await test.api('GET', '/v3/routes?include=space.organization', { token });
    expect([body.resources.length, body.included.spaces.length, body.included.organizations.length]).toEqual([1, 0, 1]);
  });

  test('include=domain,space,space.organization brings all three', async () => {
    await using test = await startTestApi();
    const { body: route } = await post(test, { host: 'one' });
    const query = 'include=domain,space,space.organization';
    const { body } = await test.api('GET', `/v3/routes?${query}`, { token: test.admin });
    const names = Object.entries<Json[]>(body.included).map(([kind, items]) => [kind, items.map(({ name }) => name)]);
    expect(names).toEqual([
      ['domains', ['localhost']],
      ['spaces', ['dev']],
      ['organizations', ['cupola']],
    ]);
    const one = await test.api('GET', `/v3/routes/${route.guid}?${query}`, { token: test.admin });
    expect(one.body.included).toEqual(body.included);
  });

  test('auditors of the organization see routes and change none', async () => {
    await using test = await startTestApi();
    const { body: route } = await post(test, { host: 'one' });
    const { token } = await test.userWith({ organization_auditor: test.home.organizationGuid });
    expect(hosts(await test.api('GET', '/v3/routes', { token }))).toEqual(['one']);
    expect((await test.api('GET', `/v3/routes/${route.guid}`, { token })).status).toBe(200);
    expect((await test.api('DELETE', `/v3/routes/${route.guid}`, { token })).status).toBe(403);
  });

  test('of an app: those that lead to it', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const { body: route } = await post(test, { host: 'one' });
    await post(test, { host: 'two' });
    const body = { destinations: [{ app: { guid: app.guid } }] };
    await test.api('POST', `/v3/routes/${route.guid}/destinations`, { token: test.admin, body });
    const list = await test.api('GET', `/v3/apps/${app.guid}/routes`, { token: test.admin });
    expect(hosts(list)).toEqual(['one']);
    expect(list.body.resources[0].destinations).toMatchObject([{ app: { guid: app.guid }, port: 8_080 }]);
  });
});

test('PATCH /v3/routes merges options and labels', async () => {
  await using test = await startTestApi();
  const { body: route } = await post(test, { host: 'one', options: { loadbalancing: 'round-robin' } });
  const patch = (body: unknown) => test.api('PATCH', `/v3/routes/${route.guid}`, { token: test.admin, body });
  const labelled = await patch({ metadata: { labels: { a: 'b' } } });
  expect(labelled.body).toMatchObject({ options: { loadbalancing: 'round-robin' }, metadata: { labels: { a: 'b' } } });
  const plain = await patch({ options: { loadbalancing: null } });
  expect(plain.body).toMatchObject({ options: {}, metadata: { labels: { a: 'b' } } });
  expect(plain.body.options).toEqual({});
  expect((await patch({ host: 'two' })).status).toBe(422);
});

test('hash_based_routing: a route chooses by a header once the flag is on, and keeps it when it goes off', async () => {
  await using test = await startTestApi();
  const flag = (enabled: boolean) =>
    test.api('PATCH', '/v3/feature_flags/hash_based_routing', { token: test.admin, body: { enabled } });
  const options = { loadbalancing: 'hash', hash_header: 'X-User', hash_balance: 1.25 };
  expect(details(await post(test, { host: 'one', options }))[0]).toContain("Options Unknown field(s): 'hash_header'");
  await flag(true);
  const { body: route } = await post(test, { host: 'one', options });
  expect(route.options).toEqual({ loadbalancing: 'hash', hash_header: 'X-User', hash_balance: '1.3' });
  const patch = (given: unknown) =>
    test.api('PATCH', `/v3/routes/${route.guid}`, { token: test.admin, body: { options: given } });
  await flag(false);
  const labelled = await test.api('PATCH', `/v3/routes/${route.guid}`, {
    token: test.admin,
    body: { metadata: { labels: { a: 'b' } } },
  });
  expect(labelled.body.options).toEqual(route.options);
  await flag(true);
  expect(details(await patch({ hash_header: null }))).toEqual([
    'Hash header must be present when loadbalancing is set to hash.',
  ]);
  expect((await patch({ loadbalancing: 'round-robin' })).body.options).toEqual({ loadbalancing: 'round-robin' });
});

test('DELETE /v3/routes is a job that has ended, and takes the destinations with it', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const { body: route } = await post(test, { host: 'one' });
  const body = { destinations: [{ app: { guid: app.guid } }] };
  await test.api('POST', `/v3/routes/${route.guid}/destinations`, { token: test.admin, body });
  const answer = await test.api('DELETE', `/v3/routes/${route.guid}`, { token: test.admin });
  expect(answer.status).toBe(202);
  const job = await test.api('GET', answer.headers.get('location') ?? '', { token: test.admin });
  expect(job.body).toMatchObject({ operation: 'route.delete', state: 'COMPLETE' });
  expect((await test.api('GET', `/v3/routes/${route.guid}`, { token: test.admin })).status).toBe(404);
  expect(await test.deps.store.read.selectFrom('route_destinations').selectAll().execute()).toEqual([]);
  expect(await eventTypes(test, route.guid)).toEqual(['route.create', 'route.delete-request']);
});

test('sharing and moving are refused: by the flag, and with a sentence where it is on', async () => {
  await using test = await startTestApi();
  const { body: route } = await post(test, { host: 'one' });
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const path = `/v3/routes/${route.guid}/relationships`;
  const body = { data: [{ guid: test.home.spaceGuid }] };
  expect((await test.api('POST', `${path}/shared_spaces`, { token, body })).status).toBe(403);
  const moved = await test.api('PATCH', `${path}/space`, { token: test.admin, body });
  expect(moved.status).toBe(422);
  expect(details(moved)[0]).toMatch(/not supported yet/);
  expect((await test.api('GET', `${path}/shared_spaces`, { token })).body.data).toEqual([]);
});
