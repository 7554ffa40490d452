import { domainAnswer } from '@cupola/contract/v3/domain';
import { aDomain, anOrganization, aRoute, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const ownedBy = (guid: string, name = 'acme.example') => ({
  name,
  relationships: { organization: { data: { guid } } },
});
const make = (test: TestApi, body: unknown, token = test.admin) => test.api('POST', '/v3/domains', { token, body });
const named = (resources: Json[]): string[] => resources.map(({ name }) => name).sort();

describe('POST /v3/domains', () => {
  test('as cf create-shared-domain sends it', async () => {
    await using test = await startTestApi();
    const { status, body } = await make(test, { name: 'Apps.Example', internal: false });
    expect(status).toBe(201);
    expect(domainAnswer.parse(body)).toEqual(body);
    expect(body).toMatchObject({
      name: 'apps.example',
      router_group: null,
      supported_protocols: ['http'],
      relationships: { organization: { data: null }, shared_organizations: { data: [] } },
    });
  });

  test("shared ones are the admins', private ones their organization's managers', while the flag is on", async () => {
    await using test = await startTestApi();
    const { organizationGuid } = test.home;
    const manager = await test.userWith({ organization_manager: organizationGuid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    expect((await make(test, { name: 'a.example' }, manager.token)).status).toBe(403);
    expect((await make(test, ownedBy(organizationGuid), developer.token)).status).toBe(403);
    expect((await make(test, ownedBy(organizationGuid), manager.token)).status).toBe(201);
    const body = { enabled: false, custom_error_message: 'Ask the desk' };
    await test.api('PATCH', '/v3/feature_flags/private_domain_creation', { token: test.admin, body });
    const refused = await make(test, ownedBy(organizationGuid, 'b.example'), manager.token);
    expect([refused.status, refused.body.errors[0]]).toMatchObject([
      403,
      { title: 'CF-FeatureDisabled', detail: 'Feature Disabled: Ask the desk' },
    ]);
  });

  test.each([
    [{}, "Name can't be blank"],
    [{ name: 'localhost' }, 'Name does not comply with RFC 1035 standards, Name must contain at least one "."'],
    [{ name: '-a.example' }, 'Name does not comply with RFC 1035 standards'],
    [
      { name: 'a_b.example' },
      'Name does not comply with RFC 1035 standards, Name must consist of alphanumeric characters and hyphens',
    ],
    [
      { name: 'a.example', internal: true, relationships: { organization: { data: { guid: 'x' } } } },
      'Cannot associate an internal domain with an organization',
    ],
    [
      { name: 'a.example', router_group: { guid: 'x' } },
      'TCP routing is not supported yet. Make a domain without a router group.',
    ],
    [
      { name: 'a.example', relationships: { shared_organizations: { data: [{ guid: 'x' }] } } },
      'Relationships cannot contain shared_organizations without an owning organization.',
    ],
    [ownedBy('x'), "Organization with guid 'x' does not exist or you do not have access to it."],
  ])('%j is 422: %s', async (body, detail) => {
    await using test = await startTestApi();
    const answer = await make(test, body);
    expect([answer.status, answer.body.errors[0].detail]).toEqual([422, detail]);
  });

  test("a name that is taken, or too near to somebody else's, is 422", async () => {
    await using test = await startTestApi();
    const { organizationGuid } = test.home;
    const other = await anOrganization(test.deps.store);
    await make(test, ownedBy(other.guid, 'acme.example'));
    const details = await Promise.all(
      [
        { name: 'ACME.example' },
        ownedBy(organizationGuid, 'sub.acme.example'),
        ownedBy(organizationGuid, 'api.localhost'),
      ].map(async body => (await make(test, body)).body.errors[0].detail),
    );
    expect(details).toEqual([
      'The domain name "acme.example" is already in use',
      'The domain name "sub.acme.example" cannot be created because "acme.example" is already reserved by another domain',
      'The "api.localhost" domain is reserved and cannot be used for org-scoped domains.',
    ]);
    expect((await make(test, ownedBy(other.guid, 'sub.acme.example'))).status).toBe(201);
  });

  test('a name that is a route already is 422', async () => {
    await using test = await startTestApi();
    const domain = await aDomain(test.deps.store, { name: 'acme.example' });
    await aRoute(test.deps.store, { domain_guid: domain.guid, host: 'www' });
    expect((await make(test, { name: 'www.acme.example' })).body.errors[0].detail).toBe(
      'The domain name "www.acme.example" cannot be created because it is already reserved by a route',
    );
  });

  test('over the quota of the organization is 422', async () => {
    await using test = await startTestApi();
    const quota = await test.api('POST', '/v3/organization_quotas', {
      token: test.admin,
      body: {
        name: 'small',
        domains: { total_domains: 1 },
        relationships: { organizations: { data: [{ guid: test.home.organizationGuid }] } },
      },
    });
    expect(quota.status).toBe(201);
    await make(test, ownedBy(test.home.organizationGuid));
    expect((await make(test, ownedBy(test.home.organizationGuid, 'b.example'))).body.errors[0].detail).toBe(
      'The number of private domains exceeds the quota for organization "cupola"',
    );
  });
});

describe('GET /v3/domains', () => {
  test('shows shared ones to all, private ones to who works in an organization that may use them', async () => {
    await using test = await startTestApi();
    const { organizationGuid, spaceGuid } = test.home;
    const other = await anOrganization(test.deps.store);
    await make(test, ownedBy(organizationGuid, 'mine.example'));
    await make(test, ownedBy(other.guid, 'theirs.example'));
    const list = async (token: string, path = '/v3/domains') =>
      named((await test.api('GET', path, { token })).body.resources);
    const developer = await test.userWith({ space_developer: spaceGuid });
    const member = await test.userWith({ organization_user: organizationGuid });
    const outsider = await test.userWith({ organization_manager: other.guid });
    expect(await list(developer.token)).toEqual(['apps.internal', 'localhost', 'mine.example']);
    expect(await list(member.token)).toEqual(['apps.internal', 'localhost']);
    expect(await list(outsider.token)).toEqual(['apps.internal', 'localhost', 'theirs.example']);
    expect(await list(test.admin)).toEqual(['apps.internal', 'localhost', 'mine.example', 'theirs.example']);
    const ofOrganization = `/v3/organizations/${organizationGuid}/domains`;
    expect(await list(test.admin, ofOrganization)).toEqual(['apps.internal', 'localhost', 'mine.example']);
    expect(await list(member.token, ofOrganization)).toEqual(['apps.internal', 'localhost']);
    expect(await list(test.admin, `/v3/domains?organization_guids=${other.guid}`)).toEqual(['theirs.example']);
    expect(await list(test.admin, '/v3/domains?names=LOCALHOST')).toEqual(['localhost']);
  });

  test('a hidden one is 404', async () => {
    await using test = await startTestApi();
    const { body } = await make(test, ownedBy(test.home.organizationGuid));
    const { token } = await test.userWith();
    expect((await test.api('GET', `/v3/domains/${body.guid}`, { token })).body.errors[0].detail).toBe(
      'Domain not found',
    );
  });
});

describe('sharing', () => {
  test('lets another organization see and use a private domain, until it is unshared', async () => {
    await using test = await startTestApi();
    const other = await anOrganization(test.deps.store, { name: 'other' });
    const space = await aSpace(test.deps.store, { organization_guid: other.guid });
    const guest = await test.userWith({ space_developer: space.guid });
    const { body: domain } = await make(test, ownedBy(test.home.organizationGuid));
    const path = `/v3/domains/${domain.guid}/relationships/shared_organizations`;
    const share = await test.api('POST', path, { token: test.admin, body: { data: [{ guid: other.guid }] } });
    expect([share.status, share.body]).toEqual([200, { data: [{ guid: other.guid }] }]);
    expect((await test.api('GET', `/v3/domains/${domain.guid}`, { token: guest.token })).body.name).toBe(
      'acme.example',
    );
    expect((await test.api('DELETE', `/v3/domains/${domain.guid}`, { token: test.admin })).body.errors[0].detail).toBe(
      'This domain is shared with other organizations. Unshare before deleting.',
    );

    const route = await aRoute(test.deps.store, { domain_guid: domain.guid, space_guid: space.guid });
    const unshare = () => test.api('DELETE', `${path}/${other.guid}`, { token: test.admin });
    expect((await unshare()).body.errors[0].detail).toBe(
      'This domain has associated routes in this organization. Delete the routes before unsharing.',
    );
    await test.deps.store.mutate(({ db }) => db.deleteFrom('routes').where('guid', '=', route.guid).execute());
    expect((await unshare()).status).toBe(204);
    expect((await unshare()).body.errors[0].detail).toBe(
      "Unable to unshare domain from organization with name 'other'. Ensure the domain is shared to this organization.",
    );
    expect((await test.api('GET', `/v3/domains/${domain.guid}`, { token: guest.token })).status).toBe(404);
  });

  test('is refused for shared domains, the owner, and organizations that one does not manage', async () => {
    await using test = await startTestApi();
    const { organizationGuid, domainGuid } = test.home;
    const other = await anOrganization(test.deps.store, { name: 'other' });
    const { body: domain } = await make(test, ownedBy(organizationGuid));
    const manager = await test.userWith({ organization_manager: organizationGuid, organization_user: other.guid });
    const share = async (domainId: string, guid: string, token: string) => {
      const path = `/v3/domains/${domainId}/relationships/shared_organizations`;
      return (await test.api('POST', path, { token, body: { data: [{ guid }] } })).body.errors[0].detail;
    };
    expect(await share(domainGuid, other.guid, test.admin)).toBe(
      'Domains cannot be shared with other organizations unless they are scoped to an organization.',
    );
    expect(await share(domain.guid, organizationGuid, manager.token)).toBe(
      'Domain cannot be shared with owning organization.',
    );
    expect(await share(domain.guid, other.guid, manager.token)).toBe(
      "You do not have sufficient permissions for organization 'other' to share domain.",
    );
    expect(await share(domain.guid, 'none', manager.token)).toBe(
      "Organization with guid 'none' does not exist, or you do not have access to it.",
    );
  });
});

describe('one domain', () => {
  test("route_reservations tells of anyone's route, an empty path being a path of its own", async () => {
    await using test = await startTestApi();
    const domain_guid = test.home.domainGuid;
    await aRoute(test.deps.store, { domain_guid, host: 'www', path: '/v2' });
    const { token } = await test.userWith();
    const asked = async (query: string) =>
      (await test.api('GET', `/v3/domains/${domain_guid}/route_reservations?${query}`, { token })).body.matching_route;
    expect(await Promise.all(['host=WWW&path=/V2', 'host=www', 'host=www&path=/v2&port=80', ''].map(asked))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test('is labelled and deleted by its owner, its routes with it', async () => {
    await using test = await startTestApi();
    const { organizationGuid, spaceGuid } = test.home;
    const manager = await test.userWith({ organization_manager: organizationGuid });
    const developer = await test.userWith({ space_developer: spaceGuid });
    const { body: domain } = await make(test, ownedBy(organizationGuid));
    await aRoute(test.deps.store, { domain_guid: domain.guid, space_guid: spaceGuid });
    const path = `/v3/domains/${domain.guid}`;
    const body = { metadata: { labels: { a: 'b' } } };
    expect((await test.api('PATCH', path, { token: developer.token, body })).status).toBe(403);
    expect((await test.api('PATCH', path, { token: manager.token, body })).body.metadata.labels).toEqual({ a: 'b' });
    expect((await test.api('DELETE', path, { token: developer.token })).status).toBe(403);
    expect((await test.api('DELETE', path, { token: manager.token })).status).toBe(202);
    expect(await test.deps.store.read.selectFrom('routes').selectAll().execute()).toEqual([]);
    expect((await test.api('GET', path, { token: test.admin })).status).toBe(404);
  });

  test("the platform's own stays", async () => {
    await using test = await startTestApi();
    const { status } = await test.api('DELETE', `/v3/domains/${test.home.domainGuid}`, { token: test.admin });
    expect(status).toBe(422);
  });
});
