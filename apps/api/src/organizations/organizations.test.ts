import { organizationAnswer } from '@cupola/contract/v3/organization';
import { anApp, anOrganization, aRoute, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';

const named = (names: Array<{ name: string }>): string[] => names.map(({ name }) => name);

describe('POST /v3/organizations', () => {
  test('as cf create-org sends it, answers the organization with the default quota', async () => {
    await using test = await startTestApi();
    const body = { name: 'acme', suspended: false };
    const { status, body: made } = await test.api('POST', '/v3/organizations', { token: test.admin, body });
    expect(status).toBe(201);
    expect(organizationAnswer.parse(made)).toEqual(made);
    expect(made).toMatchObject({ name: 'acme', suspended: false, created_at: '2026-01-02T03:04:05Z' });
    const quota = await test.api('GET', new URL(made.links.quota.href).pathname, { token: test.admin });
    expect(quota.body.name).toBe('default');
  });

  test('a name that is taken is 422 in the words that make create-org succeed', async () => {
    await using test = await startTestApi();
    const { status, body } = await test.api('POST', '/v3/organizations', {
      token: test.admin,
      body: { name: 'Cupola' },
    });
    expect([status, body.errors]).toEqual([
      422,
      [{ code: 10008, title: 'CF-UnprocessableEntity', detail: "Organization 'Cupola' already exists." }],
    ]);
  });

  test.each([
    [{}, "Name can't be blank"],
    [{ name: '' }, "Name can't be blank"],
    [{ name: 1 }, 'Name must be a string'],
    [{ name: 'a\nb' }, 'Name must not contain escaped characters'],
    [{ name: 'x'.repeat(256) }, 'Name is too long (maximum is 255 characters)'],
    [{ name: 'x', suspended: 'no' }, 'Suspended must be a boolean'],
    [{ name: 'x', color: 'red' }, "Unknown field(s): 'color'"],
    [
      { name: 'x', metadata: { labels: { 'a b': 'c' } } },
      "Metadata label key error: 'a b' contains invalid characters",
    ],
  ])('%j is 422: %s', async (body, detail) => {
    await using test = await startTestApi();
    const answer = await test.api('POST', '/v3/organizations', { token: test.admin, body });
    expect([answer.status, answer.body.errors[0].detail]).toEqual([422, detail]);
  });

  test('is for admins, and for everybody once the flag says so: the maker manages it', async () => {
    await using test = await startTestApi();
    const user = await test.userWith();
    const make = (name: string) => test.api('POST', '/v3/organizations', { token: user.token, body: { name } });
    expect((await make('mine')).status).toBe(403);
    await test.api('PATCH', '/v3/feature_flags/user_org_creation', { token: test.admin, body: { enabled: true } });
    const { body } = await make('mine');
    const roles = await test.api('GET', `/v3/roles?organization_guids=${body.guid}`, { token: user.token });
    expect(roles.body.resources.map((role: { type: string }) => role.type).sort()).toEqual([
      'organization_manager',
      'organization_user',
    ]);
  });
});

describe('GET /v3/organizations', () => {
  test('shows those in which the asker has a role', async () => {
    await using test = await startTestApi();
    await anOrganization(test.deps.store, { name: 'hidden' });
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    expect(named((await test.api('GET', '/v3/organizations', { token })).body.resources)).toEqual(['cupola']);
    expect((await test.api('GET', '/v3/organizations', { token: test.admin })).body.pagination.total_results).toBe(2);
  });

  test('filters by names, guids, times and labels, and orders', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const a = await anOrganization(store, { name: 'a', created_at: 1_000_000 });
    const b = await anOrganization(store, { name: 'b, and c' });
    await test.api('PATCH', `/v3/organizations/${a.guid}`, {
      token: test.admin,
      body: { metadata: { labels: { env: 'prod' } } },
    });
    const list = async (query: string) =>
      named((await test.api('GET', `/v3/organizations?${query}`, { token: test.admin })).body.resources);
    expect(await list('order_by=-name')).toEqual(['cupola', 'b, and c', 'a']);
    expect(await list('names=A,b%252C%20and%20c&order_by=name')).toEqual(['a', 'b, and c']);
    expect(await list(`guids=${b.guid}`)).toEqual(['b, and c']);
    expect(await list('created_ats[lt]=1970-01-02T00:00:00Z')).toEqual(['a']);
    expect(await list('label_selector=env=prod')).toEqual(['a']);
    expect(await list('label_selector=env!=prod&order_by=name')).toEqual(['b, and c', 'cupola']);
    expect(await list('names=')).toEqual([]);
  });

  test('pages: next is absolute, carries the filters, and leads through all of them', async () => {
    await using test = await startTestApi();
    await Promise.all(['a', 'b', 'c'].map(name => anOrganization(test.deps.store, { name })));
    const get = (url: string) => test.api('GET', url, { token: test.admin });
    const first = await get('/v3/organizations?order_by=name&per_page=2');
    expect(first.body.pagination).toMatchObject({ total_results: 4, total_pages: 2, previous: null });
    const { href } = first.body.pagination.next;
    expect(href).toMatch(`${test.url}/v3/organizations?order_by=name&per_page=2&page=2&after=`);
    const second = await get(href);
    expect([...named(first.body.resources), ...named(second.body.resources)]).toEqual(['a', 'b', 'c', 'cupola']);
    expect(second.body.pagination.next).toBeNull();
    expect(named((await get(second.body.pagination.previous.href)).body.resources)).toEqual(['a', 'b']);
  });

  test.each([
    ['page=0', 'Page must be a positive integer'],
    ['per_page=5001', 'Per page must be between 1 and 5000'],
    ['per_page=x', 'Per page must be a positive integer'],
    ['order_by=size', "Order by can only be: 'name', 'created_at', 'updated_at'"],
    ['label_selector=', 'Missing label_selector value'],
  ])('?%s is 400: %s', async (query, detail) => {
    await using test = await startTestApi();
    const { status, body } = await test.api('GET', `/v3/organizations?${query}`, { token: test.admin });
    expect([status, body.errors[0].detail]).toEqual([400, `The query parameter is invalid: ${detail}`]);
  });
});

describe('PATCH /v3/organizations/:guid', () => {
  test('renames, and merges labels', async () => {
    await using test = await startTestApi();
    const patch = (body: unknown) =>
      test.api('PATCH', `/v3/organizations/${test.home.organizationGuid}/`, { token: test.admin, body });
    await patch({ metadata: { labels: { a: '1', b: '2' } } });
    const { status, body } = await patch({ name: 'foundry', metadata: { labels: { a: null, c: '3' } } });
    expect([status, body.name, body.metadata.labels]).toEqual([200, 'foundry', { b: '2', c: '3' }]);
  });

  test('is for its managers; suspending for admins, and then managers change nothing in it', async () => {
    await using test = await startTestApi();
    const guid = test.home.organizationGuid;
    const manager = await test.userWith({ organization_manager: guid });
    const auditor = await test.userWith({ organization_auditor: guid });
    const patch = (token: string, body: unknown) => test.api('PATCH', `/v3/organizations/${guid}`, { token, body });
    expect((await patch(auditor.token, { name: 'x' })).status).toBe(403);
    expect((await patch(manager.token, { name: 'x' })).status).toBe(200);
    expect((await patch(manager.token, { suspended: true })).status).toBe(403);
    expect((await patch(test.admin, { suspended: true })).body.suspended).toBe(true);
    const refused = await patch(manager.token, { name: 'y' });
    expect([refused.status, refused.body.errors[0].title]).toEqual([403, 'CF-OrgSuspended']);
    expect((await patch(test.admin, { suspended: false })).status).toBe(200);
  });

  test('a name of another one is 422', async () => {
    await using test = await startTestApi();
    const { guid } = await anOrganization(test.deps.store);
    const { body } = await test.api('PATCH', `/v3/organizations/${guid}`, {
      token: test.admin,
      body: { name: 'cupola' },
    });
    expect(body.errors[0].detail).toBe("Organization name 'cupola' is already taken.");
  });
});

describe('DELETE /v3/organizations/:guid', () => {
  test('takes all that is in it along, in one job that has ended', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const organization = await anOrganization(store);
    const space = await aSpace(store, { organization_guid: organization.guid });
    await anApp(store, { space_guid: space.guid });
    await aRoute(store, { space_guid: space.guid, domain_guid: test.home.domainGuid });
    await test.userWith({ space_developer: space.guid });
    const domain = { name: 'acme.example', relationships: { organization: { data: { guid: organization.guid } } } };
    await test.api('POST', '/v3/domains', { token: test.admin, body: domain });

    const path = `/v3/organizations/${organization.guid}`;
    const { status, headers } = await test.api('DELETE', path, { token: test.admin });
    expect(status).toBe(202);
    const job = await test.api('GET', headers.get('location') ?? '', { token: test.admin });
    expect(job.body).toMatchObject({ state: 'COMPLETE', operation: 'organization.delete', errors: [], warnings: [] });
    expect((await test.api('GET', path, { token: test.admin })).status).toBe(404);
    const left = await Promise.all(
      (['spaces', 'apps', 'routes', 'domains', 'roles', 'organizations'] as const).map(async table => {
        const { count } = await store.read
          .selectFrom(table)
          .select(eb => eb.fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow();
        return [table, count];
      }),
    );
    expect(Object.fromEntries(left)).toEqual({ spaces: 1, apps: 0, routes: 0, domains: 2, roles: 4, organizations: 1 });
  });

  test('is refused while a domain of it is shared, and then nothing is gone', async () => {
    await using test = await startTestApi();
    const owner = await anOrganization(test.deps.store, { name: 'owner' });
    const space = await aSpace(test.deps.store, { organization_guid: owner.guid });
    const body = {
      name: 'acme.example',
      relationships: {
        organization: { data: { guid: owner.guid } },
        shared_organizations: { data: [{ guid: test.home.organizationGuid }] },
      },
    };
    await test.api('POST', '/v3/domains', { token: test.admin, body });
    const refused = await test.api('DELETE', `/v3/organizations/${owner.guid}`, { token: test.admin });
    expect(refused.body.errors[0].detail).toContain("Domain 'acme.example' is shared with other organizations.");
    expect((await test.api('GET', `/v3/spaces/${space.guid}`, { token: test.admin })).status).toBe(200);
  });
});

describe('what cf org reads', () => {
  test('domains, default domain, isolation segment and usage', async () => {
    await using test = await startTestApi();
    const path = `/v3/organizations/${test.home.organizationGuid}`;
    const { token } = await test.userWith({ organization_user: test.home.organizationGuid });
    const get = async (part: string) => (await test.api('GET', `${path}/${part}`, { token })).body;
    expect(named((await get('domains')).resources)).toEqual(['localhost', 'apps.internal']);
    expect((await get('domains/default')).name).toBe('localhost');
    expect((await get('relationships/default_isolation_segment')).data).toBeNull();
    expect((await get('usage_summary')).usage_summary).toMatchObject({ memory_in_mb: 0, routes: 0, domains: 0 });
  });

  test('an isolation segment cannot be chosen, none can', async () => {
    await using test = await startTestApi();
    const path = `/v3/organizations/${test.home.organizationGuid}/relationships/default_isolation_segment`;
    const choose = (data: unknown) => test.api('PATCH', path, { token: test.admin, body: { data } });
    expect((await choose({ guid: 'x' })).status).toBe(422);
    expect((await choose(null)).body.data).toBeNull();
  });
});
