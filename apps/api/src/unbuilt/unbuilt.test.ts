import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';

describe('what is not built yet', () => {
  test.each([
    '/v3/tasks',
    '/v3/deployments?app_guids=a&order_by=-created_at&page=1&per_page=1&status_values=ACTIVE',
    '/v3/service_instances?fields[service_plan]=guid,name&order_by=name&per_page=5000&space_guids=s',
    '/v3/service_credential_bindings?include=app&service_instance_guids=',
    '/v3/service_route_bindings?include=service_instance&route_guids=r',
    '/v3/service_brokers',
    '/v3/isolation_segments?organization_guids=o',
    '/v3/space_quotas?organization_guids=o',
  ])('GET %s, as the cf CLI sends it, is an empty page', async path => {
    await using test = await startTestApi();
    const { status, body } = await test.api('GET', path, { token: test.admin });
    expect([status, body.resources, body.pagination.total_results, body.pagination.next]).toEqual([200, [], 0, null]);
  });

  test.each(['/v3/service_plans?available=true&include=service_offering', '/v3/service_offerings'])(
    'GET %s needs no login, as cf marketplace has none',
    async path => {
      await using test = await startTestApi();
      expect((await test.api('GET', path)).body.resources).toEqual([]);
      expect((await test.api('GET', '/v3/service_instances')).status).toBe(401);
    },
  );

  test.each([
    ['/v3/service_route_bindings', 'Support for route services is disabled.'],
    ['/v3/service_brokers', 'Service brokers are not supported yet'],
  ])('POST %s is 422 with a sentence that says so', async (path, sentence) => {
    await using test = await startTestApi();
    const { status, body } = await test.api('POST', path, { token: test.admin, body: { name: 'x' } });
    expect(status).toBe(422);
    expect(body.errors[0].detail).toContain(sentence);
  });

  test.each([
    ['GET', '/v3/tasks/x', 'Task not found'],
    ['GET', '/v3/deployments/x', 'Deployment not found'],
    ['PATCH', '/v3/service_plans/x', 'Service plan not found'],
  ])('%s %s is 404: %s', async (method, path, detail) => {
    await using test = await startTestApi();
    const { status, body } = await test.api(method, path, { token: test.admin });
    expect([status, body.errors[0].detail]).toEqual([404, detail]);
  });

  test('network policies and router groups answer in forms of their own', async () => {
    await using test = await startTestApi();
    const token = test.admin;
    const refused = await test.api('POST', '/networking/v0/external/policies', { token, body: { policies: [] } });
    expect([refused.status, refused.body.error]).toEqual([400, expect.stringContaining('use /networking/v1')]);
    expect((await test.api('GET', '/routing/v1/router_groups', { token })).body).toEqual([]);
    const named = await test.api('GET', '/routing/v1/router_groups?name=tcp', { token });
    expect([named.status, named.body.name]).toEqual([404, 'ResourceNotFoundError']);
  });
});
