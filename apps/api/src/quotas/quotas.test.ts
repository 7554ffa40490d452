import { organizationQuotaAnswer } from '@cupola/contract/v3/organization-quota';
import { anOrganization, aQuota } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';

const PATH = '/v3/organization_quotas';

describe('organization quotas', () => {
  test('POST as cf create-org-quota sends it: 0 is none, null unlimited', async () => {
    await using test = await startTestApi();
    const body = {
      name: 'small',
      apps: {
        total_memory_in_mb: 2048,
        per_process_memory_in_mb: null,
        total_instances: null,
        log_rate_limit_in_bytes_per_second: -0,
      },
      services: { total_service_instances: 0, paid_services_allowed: false },
      routes: { total_routes: 0, total_reserved_ports: 0 },
    };
    const { status, body: made } = await test.api('POST', PATH, { token: test.admin, body });
    expect(status).toBe(201);
    expect(organizationQuotaAnswer.parse(made)).toEqual(made);
    expect(made).toMatchObject({
      apps: {
        total_memory_in_mb: 2048,
        total_instances: null,
        per_app_tasks: null,
        log_rate_limit_in_bytes_per_second: 0,
      },
      services: { paid_services_allowed: false, total_service_instances: 0 },
      routes: { total_routes: 0 },
      domains: { total_domains: null },
      relationships: { organizations: { data: [] } },
    });
  });

  test('a name that is taken is 422 in the words that make create-org-quota succeed', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('POST', PATH, { token: test.admin, body: { name: 'Default' } });
    expect(body.errors[0].detail).toBe("Organization Quota 'Default' already exists.");
  });

  test.each([
    [{ name: 'x', apps: { total_memory_in_mb: -1 } }, 'Apps Total memory in mb must be greater than or equal to 0'],
    [{ name: 'x', apps: { total_memory_in_mb: 'much' } }, 'Apps Total memory in mb is not a number'],
    [{ name: 'x', apps: { size: 1 } }, "Apps Unknown field(s): 'size'"],
    [
      { name: 'x', routes: { total_routes: 1, total_reserved_ports: 2 } },
      'Total reserved ports must be -1, 0, or a positive integer, and must be less than or equal to total routes.',
    ],
    [
      { name: 'x', relationships: { organizations: { data: [{ guid: 'none' }] } } },
      'Organizations with guids ["none"] do not exist',
    ],
  ])('%j is 422: %s', async (body, detail) => {
    await using test = await startTestApi();
    const answer = await test.api('POST', PATH, { token: test.admin, body });
    expect([answer.status, answer.body.errors[0].detail]).toEqual([422, detail]);
  });

  test('PATCH changes what it names', async () => {
    await using test = await startTestApi();
    const { guid } = await aQuota(test.deps.store, { total_routes: 5 });
    const body = { name: 'big', apps: { total_instances: 7 }, services: { paid_services_allowed: false } };
    const { body: changed } = await test.api('PATCH', `${PATH}/${guid}`, { token: test.admin, body });
    expect(changed).toMatchObject({
      name: 'big',
      apps: { total_instances: 7, total_memory_in_mb: null },
      services: { paid_services_allowed: false },
      routes: { total_routes: 5 },
    });
    const lifted = await test.api('PATCH', `${PATH}/${guid}`, {
      token: test.admin,
      body: { routes: { total_routes: null } },
    });
    expect(lifted.body.routes.total_routes).toBeNull();
  });

  test('applied to an organization it replaces the former one; in use it cannot be deleted', async () => {
    await using test = await startTestApi();
    const { guid } = await aQuota(test.deps.store);
    const organization = await anOrganization(test.deps.store);
    const path = `${PATH}/${guid}/relationships/organizations`;
    const body = { data: [{ guid: organization.guid }] };
    const { body: applied } = await test.api('POST', path, { token: test.admin, body });
    expect(applied).toMatchObject({ data: [{ guid: organization.guid }], links: { self: { href: test.url + path } } });
    const shown = await test.api('GET', `/v3/organizations/${organization.guid}`, { token: test.admin });
    expect(shown.body.relationships.quota.data.guid).toBe(guid);
    expect((await test.api('DELETE', `${PATH}/${guid}`, { token: test.admin })).body.errors[0].detail).toMatch(
      /^This quota is applied to one or more organizations\./,
    );
    const former = await test.api('DELETE', `${PATH}/${organization.quota_guid}`, { token: test.admin });
    expect(former.status).toBe(202);
  });

  test("lists those of one's own organizations; writes are the admins'", async () => {
    await using test = await startTestApi();
    const other = await anOrganization(test.deps.store);
    const { token } = await test.userWith({ organization_manager: test.home.organizationGuid });
    const { body } = await test.api('GET', PATH, { token });
    expect(body.resources).toMatchObject([
      { name: 'default', relationships: { organizations: { data: [{ guid: test.home.organizationGuid }] } } },
    ]);
    expect((await test.api('GET', `${PATH}?organization_guids=${other.guid}`, { token })).body.resources).toEqual([]);
    expect((await test.api('GET', `${PATH}?names=DEFAULT`, { token: test.admin })).body.resources).toHaveLength(1);
    const { guid } = body.resources[0];
    const writes = await Promise.all([
      test.api('POST', PATH, { token, body: { name: 'x' } }),
      test.api('PATCH', `${PATH}/${guid}`, { token, body: { name: 'x' } }),
      test.api('DELETE', `${PATH}/${guid}`, { token }),
      test.api('POST', `${PATH}/${guid}/relationships/organizations`, { token, body: { data: [] } }),
    ]);
    expect(writes.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
  });

  test('the last one stays: new organizations need one', async () => {
    await using test = await startTestApi();
    await test.deps.store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: 'other' }).execute());
    const { body } = await test.api('GET', PATH, { token: test.admin });
    const { status } = await test.api('DELETE', `${PATH}/${body.resources[0].guid}`, { token: test.admin });
    expect(status).toBe(422);
  });
});
