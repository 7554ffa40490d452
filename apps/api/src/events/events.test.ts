import { auditEventAnswer } from '@cupola/contract/v3/platform';
import { anApp, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import type { Actor } from '../access/actor.ts';
import { NOBODY } from '../access/actor.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';
import { recordEvent } from './record.ts';

const jane: Actor = { ...NOBODY, kind: 'user', guid: 'jane-guid', name: 'jane' };

async function record(
  test: TestApi,
  type: string,
  place: { spaceGuid: string | null; organizationGuid: string | null },
  guid = 'app-1',
) {
  const target = { type: 'app', guid, name: 'hello' };
  await test.deps.store.mutate(mutation =>
    recordEvent(mutation, { type, actor: jane, target, ...place, data: { request: { name: 'hello' } } }),
  );
  test.clock.pass(1_000);
}

describe('audit events', () => {
  test('as cf events reads them: newest first, of one app', async () => {
    await using test = await startTestApi();
    const place = { spaceGuid: test.home.spaceGuid, organizationGuid: test.home.organizationGuid };
    await record(test, 'audit.app.create', place);
    await record(test, 'audit.app.start', place);
    await record(test, 'audit.app.start', place, 'app-2');
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    const { body } = await test.api('GET', '/v3/audit_events?order_by=-created_at&page=1&target_guids=app-1', {
      token,
    });
    expect(body.resources.map(({ type }: { type: string }) => type)).toEqual(['audit.app.start', 'audit.app.create']);
    expect(auditEventAnswer.parse(body.resources[1])).toEqual(body.resources[1]);
    expect(body.resources[1]).toMatchObject({
      created_at: '2026-01-02T03:04:05Z',
      actor: { guid: 'jane-guid', type: 'user', name: 'jane' },
      target: { guid: 'app-1', type: 'app', name: 'hello' },
      data: { request: { name: 'hello' } },
      space: { guid: test.home.spaceGuid },
      organization: { guid: test.home.organizationGuid },
    });
    const one = await test.api('GET', new URL(body.resources[0].links.self.href).pathname, { token });
    expect(one.body).toEqual(body.resources[0]);
  });

  test('name the client that was used, where it is a cf CLI or ours', async () => {
    await using test = await startTestApi();
    const body = { name: 'hello', relationships: { space: { data: { guid: test.home.spaceGuid } } } };
    const headers = { 'user-agent': 'cf/8.18.4+abc (go1.26; amd64 linux)' };
    const { guid } = (await test.api('POST', '/v3/apps', { token: test.admin, body, headers })).body;
    await test.api('POST', `/v3/apps/${guid}/actions/stop`, { token: test.admin });
    const { resources } = (await test.api('GET', `/v3/audit_events?target_guids=${guid}`, { token: test.admin })).body;
    expect(resources.map(({ type, data }: Json) => [type, data.client])).toContainEqual([
      'audit.app.create',
      'cf 8.18.4',
    ]);
    expect(resources.map(({ type, data }: Json) => [type, data.client])).toContainEqual(['audit.app.stop', undefined]);
  });

  test('filter by type, place, time and what they are not about', async () => {
    await using test = await startTestApi();
    const { spaceGuid, organizationGuid } = test.home;
    await record(test, 'audit.app.create', { spaceGuid, organizationGuid });
    await record(test, 'audit.organization.update', { spaceGuid: null, organizationGuid }, organizationGuid);
    const count = async (query: string) =>
      (await test.api('GET', `/v3/audit_events?${query}`, { token: test.admin })).body.pagination.total_results;
    const queries = [
      'types=audit.app.create,audit.app.x',
      `space_guids=${spaceGuid}`,
      `organization_guids=${organizationGuid}`,
      'target_guids[not]=app-1',
      'created_ats[gte]=2026-01-02T03:04:06Z',
      'order_by=-updated_at',
    ];
    expect(await Promise.all(queries.map(count))).toEqual([1, 1, 2, 1, 1, 2]);
  });

  test('are seen by developers and auditors of the space, auditors of the organization, and admins', async () => {
    await using test = await startTestApi();
    const { spaceGuid, organizationGuid } = test.home;
    const other = await aSpace(test.deps.store);
    await record(test, 'audit.app.create', { spaceGuid, organizationGuid });
    await record(test, 'audit.organization.update', { spaceGuid: null, organizationGuid });
    await record(test, 'audit.app.create', { spaceGuid: other.guid, organizationGuid: other.organization_guid });
    const seen = async (token: string) =>
      (await test.api('GET', '/v3/audit_events', { token })).body.pagination.total_results;
    const users = await Promise.all([
      test.userWith({ space_developer: spaceGuid }),
      test.userWith({ space_auditor: spaceGuid }),
      test.userWith({ space_manager: spaceGuid }),
      test.userWith({ organization_auditor: organizationGuid }),
      test.userWith({ organization_manager: organizationGuid }),
    ]);
    expect(await Promise.all(users.map(({ token }) => seen(token)))).toEqual([1, 1, 0, 2, 0]);
    expect(await seen(test.admin)).toBe(3);
  });

  test('a hidden one is 404', async () => {
    await using test = await startTestApi();
    const { spaceGuid, organizationGuid } = test.home;
    await record(test, 'audit.app.create', { spaceGuid, organizationGuid });
    const { token } = await test.userWith();
    const [event] = (await test.api('GET', '/v3/audit_events', { token: test.admin })).body.resources;
    const { status, body } = await test.api('GET', `/v3/audit_events/${event.guid}`, { token });
    expect([status, body.errors[0].detail]).toEqual([404, 'Event not found']);
  });

  test('outlive what they tell of', async () => {
    await using test = await startTestApi();
    const space = await aSpace(test.deps.store, { organization_guid: test.home.organizationGuid });
    const app = await anApp(test.deps.store, { space_guid: space.guid });
    await test.api('DELETE', `/v3/spaces/${space.guid}`, { token: test.admin });
    const { body } = await test.api('GET', `/v3/audit_events?target_guids=${app.guid},${space.guid}`, {
      token: test.admin,
    });
    expect(body.resources.map(({ type }: { type: string }) => type).sort()).toEqual([
      'audit.app.delete-request',
      'audit.space.delete-request',
    ]);
  });
});
