import { describe, expect, test } from 'vitest';
import { details, makeStagedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const list = async (test: TestApi, kind: string, query = ''): Promise<Json[]> =>
  (await test.api('GET', `/v3/${kind}_usage_events?${query}`, { token: test.admin })).body.resources;
const act = (test: TestApi, path: string, body?: unknown) =>
  test.api('POST', path, { token: test.admin, ...(body === undefined ? {} : { body }) });

async function liveAndDie(test: TestApi): Promise<string> {
  const { guid } = await makeStagedApp(test);
  await act(test, `/v3/apps/${guid}/actions/start`);
  await act(test, `/v3/processes/${guid}/actions/scale`, { instances: 3 });
  await act(test, `/v3/apps/${guid}/actions/restart`);
  await act(test, `/v3/apps/${guid}/actions/stop`);
  await act(test, `/v3/processes/${guid}/actions/scale`, { instances: 1 });
  await act(test, `/v3/apps/${guid}/actions/start`);
  await test.api('DELETE', `/v3/apps/${guid}`, { token: test.admin });
  return guid;
}

describe('app usage events', () => {
  test('tell what began and ceased to run, and how much, in order', async () => {
    await using test = await startTestApi();
    const guid = await liveAndDie(test);
    const events = await list(test, 'app');
    expect(events.map(({ state, instance_count }) => [state.current, instance_count.current])).toEqual([
      ['STARTED', 1],
      ['STARTED', 3],
      ['STOPPED', 3],
      ['STARTED', 1],
      ['STOPPED', 1],
    ]);
    expect(events[1]).toMatchObject({
      state: { current: 'STARTED', previous: 'STARTED' },
      app: { guid },
      process: { guid, type: 'web' },
      space: { guid: test.home.spaceGuid, name: 'dev' },
      organization: { guid: test.home.organizationGuid },
      memory_in_mb_per_instance: { current: 1_024, previous: 1_024 },
      instance_count: { current: 3, previous: 1 },
    });
  });

  test('after_guid skips none, though all happened in one moment', async () => {
    await using test = await startTestApi();
    await liveAndDie(test);
    const events = await list(test, 'app');
    const rest = await list(test, 'app', `after_guid=${events[1].guid}`);
    expect(rest.map(({ guid }) => guid)).toEqual(events.slice(2).map(({ guid }) => guid));
    const lost = await test.api('GET', '/v3/app_usage_events?after_guid=x', { token: test.admin });
    expect([lost.status, details(lost)]).toEqual([422, ['After guid filter must be a valid event guid.']]);
  });

  test('are for admins; to others there are none', async () => {
    await using test = await startTestApi();
    await liveAndDie(test);
    const { token } = await test.userWith({ organization_manager: test.home.organizationGuid });
    expect((await test.api('GET', '/v3/app_usage_events', { token })).body.resources).toEqual([]);
    const [event] = await list(test, 'app');
    expect((await test.api('GET', `/v3/app_usage_events/${event.guid}`, { token })).status).toBe(404);
    expect((await test.api('GET', `/v3/app_usage_events/${event.guid}`, { token: test.admin })).body).toEqual(event);
  });

  test('a purge leaves what is started now', async () => {
    await using test = await startTestApi();
    await liveAndDie(test);
    const { guid } = await makeStagedApp(test);
    await act(test, `/v3/apps/${guid}/actions/start`);
    const purge = await act(test, '/v3/app_usage_events/actions/destructively_purge_all_and_reseed');
    expect(purge.status).toBe(200);
    expect((await list(test, 'app')).map(event => [event.app.guid, event.state.current])).toEqual([[guid, 'STARTED']]);
  });
});

test('service usage events tell of user-provided services', async () => {
  await using test = await startTestApi();
  const relationships = { space: { data: { guid: test.home.spaceGuid } } };
  const made = await act(test, '/v3/service_instances', { type: 'user-provided', name: 'db', relationships });
  const path = `/v3/service_instances/${made.body.guid}`;
  await test.api('PATCH', path, { token: test.admin, body: { name: 'store' } });
  await test.api('PATCH', path, { token: test.admin, body: { tags: ['x'] } });
  await test.api('DELETE', path, { token: test.admin });
  const events = await list(test, 'service');
  expect(events.map(({ state, service_instance }) => [state, service_instance.name])).toEqual([
    ['CREATED', 'db'],
    ['UPDATED', 'store'],
    ['DELETED', 'store'],
  ]);
  expect(await list(test, 'service', 'service_instance_types=managed_service_instance')).toEqual([]);
});
