import { aQuota } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { details, eventTypes, makeApp, makeStagedApp, makeStartedApp, placeCopy } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const row = ({ deps: { store } }: TestApi, guid: string) =>
  store.read.selectFrom('processes').selectAll().where('guid', '=', guid).executeTakeFirstOrThrow();

const types = (answer: { body: Json }): string[] => answer.body.resources.map((process: Json) => process.type).sort();

async function anAppWithWorker(test: TestApi): Promise<Json> {
  return makeStagedApp(test, { droplet: { process_types_json: '{"web":"npm start","worker":"node worker"}' } });
}

describe('lists', () => {
  test('GET /v3/processes filters by type, app, space and organization', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWorker(test);
    await makeApp(test);
    const list = async (query: string) => types(await test.api('GET', `/v3/processes?${query}`, { token: test.admin }));
    expect(await list('')).toEqual(['web', 'web', 'worker']);
    expect(await list('types=worker')).toEqual(['worker']);
    expect(await list(`app_guids=${app.guid}`)).toEqual(['web', 'worker']);
    expect(await list(`guids=${app.guid}`)).toEqual(['web']);
    expect(await list(`space_guids=${test.home.spaceGuid}&types=worker,none`)).toEqual(['worker']);
    expect(await list(`organization_guids=${test.home.organizationGuid}&types=worker`)).toEqual(['worker']);
    expect(await list('space_guids=none')).toEqual([]);
  });

  test('commands are hidden in lists, and shown to developers one by one', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWorker(test);
    const list = await test.api('GET', `/v3/apps/${app.guid}/processes?types=worker`, { token: test.admin });
    expect(list.body.resources[0].command).toBe('[PRIVATE DATA HIDDEN IN LISTS]');
    const path = `/v3/apps/${app.guid}/processes/worker`;
    expect((await test.api('GET', path, { token: test.admin })).body.command).toBe('node worker');
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    expect((await test.api('GET', path, { token: auditor.token })).body.command).toBe('[PRIVATE DATA HIDDEN]');
  });

  test("an app's list takes no filter by app", async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const answer = await test.api('GET', `/v3/apps/${app.guid}/processes?app_guids=x`, { token: test.admin });
    expect(answer.status).toBe(400);
    expect(details(answer)[0]).toMatch(/Unknown query parameter\(s\): 'app_guids'/);
  });

  test('embed=process_instances shows each wanted instance: cf apps needs no call for each app', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    await placeCopy(test, app.guid, { since: test.clock.now() - 5_000 });
    await makeApp(test);
    const { body } = await test.api('GET', '/v3/processes?embed=process_instances&order_by=created_at', {
      token: test.admin,
    });
    const shown = new Map(body.resources.map((process: Json) => [process.guid, process.process_instances]));
    expect(shown.get(app.guid)).toEqual([{ index: 0, state: 'RUNNING', since: 5 }]);
    expect([...shown.values()]).toContainEqual([{ index: 0, state: 'DOWN' }]);
    const other = await test.api('GET', '/v3/processes?embed=stats', { token: test.admin });
    expect(details(other)[0]).toMatch(/Invalid embedded resource/);
  });
});

describe('PATCH', () => {
  const patch = (test: TestApi, guid: string, body: unknown) =>
    test.api('PATCH', `/v3/processes/${guid}`, { token: test.admin, body });

  test('sets command and checks, null resets, and what is not named stays', async () => {
    await using test = await startTestApi();
    const app = await makeStagedApp(test);
    const set = {
      command: 'node server.js',
      health_check: { type: 'http', data: { endpoint: '/health', timeout: 90, interval: 10 } },
      readiness_health_check: { type: 'http', data: { endpoint: '/ready' } },
      metadata: { labels: { a: 'b' } },
    };
    expect((await patch(test, app.guid, set)).body).toMatchObject(set);
    const reset = await patch(test, app.guid, {
      command: null,
      health_check: { type: 'http', data: { timeout: null } },
    });
    expect(reset.body).toMatchObject({
      command: 'npm start',
      health_check: { type: 'http', data: { endpoint: '/health', timeout: null, interval: 10 } },
    });
    const port = await patch(test, app.guid, { health_check: { type: 'port' } });
    expect(port.body.health_check.data).not.toHaveProperty('endpoint');
  });

  test('is on record without the command', async () => {
    await using test = await startTestApi();
    const app = await makeStagedApp(test);
    await patch(test, app.guid, { command: 'secret --token=x' });
    const event = await test.deps.store.read
      .selectFrom('audit_events')
      .select('data_json')
      .where('type', '=', 'audit.app.process.update')
      .executeTakeFirstOrThrow();
    expect(JSON.parse(event.data_json)).toEqual({
      process_guid: app.guid,
      process_type: 'web',
      request: { command: '[PRIVATE DATA HIDDEN]' },
    });
  });

  test.each([
    [{ command: '' }, 'Command must be between 1 and 4096 characters'],
    [{ health_check: { type: 'tcp' } }, 'Health check type must be "port", "process", or "http"'],
    [{ health_check: { type: 'http', data: { endpoint: 'x' } } }, 'Health check endpoint must be a valid URI path'],
    [{ health_check: { type: 'port', data: { timeout: 181 } } }, 'health_check_timeout Maximum exceeded: max 180s'],
    [{ instances: 3 }, "Unknown field(s): 'instances'"],
  ])('with %j is 422', async (body, text) => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const answer = await patch(test, app.guid, body);
    expect(answer.status).toBe(422);
    expect(details(answer)).toEqual([text]);
  });
});

describe('scale', () => {
  const scale = (test: TestApi, path: string, body: unknown) =>
    test.api('POST', `/v3/${path}/actions/scale`, { token: test.admin, body });

  test('answers 202 with the process, by guid and by type', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWorker(test);
    const size = { instances: 3, memory_in_mb: 256, disk_in_mb: 512, log_rate_limit_in_bytes_per_second: -1 };
    const web = await scale(test, `processes/${app.guid}`, size);
    expect(web).toMatchObject({ status: 202, body: { type: 'web', ...size } });
    const worker = await scale(test, `apps/${app.guid}/processes/worker`, { instances: 2 });
    expect(worker.body).toMatchObject({ type: 'worker', instances: 2, memory_in_mb: 1_024 });
    expect(await eventTypes(test, app.guid)).toEqual(expect.arrayContaining(['app.process.scale']));
  });

  test('a type that came after the start is fixed when it is wanted', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const web = await row(test, app.guid);
    const yaml = `applications:\n- name: ${app.name}\n  processes:\n  - type: worker\n    command: run\n    instances: 0\n`;
    await test.api('POST', `/v3/spaces/${test.home.spaceGuid}/actions/apply_manifest`, { token: test.admin, yaml });
    const worker = await scale(test, `apps/${app.guid}/processes/worker`, { instances: 1 });
    expect((await row(test, worker.body.guid)).run_spec_guid).not.toBeNull();
    expect((await row(test, app.guid)).run_spec_guid).toBe(web.run_spec_guid);
  });

  test('with numbers spelled as strings is as with numbers', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const answer = await scale(test, `processes/${app.guid}`, { instances: '2', memory_in_mb: '256' });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ instances: 2, memory_in_mb: 256 });
  });

  test.each([
    [{ instances: -1 }, 'Instances must be greater than or equal to 0'],
    [{ instances: 'two' }, 'Instances is not a number'],
    [{ instances: '-1' }, 'Instances must be greater than or equal to 0'],
    [{ memory_in_mb: 0 }, 'Memory in mb must be greater than 0'],
    [{ disk_in_mb: 9_999 }, 'disk_quota too much disk requested (requested 9999 MB - must be less than 2048 MB)'],
  ])('with %j is 422, and nothing changes', async (body, text) => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const before = await row(test, app.guid);
    const answer = await scale(test, `processes/${app.guid}`, body);
    expect(answer.status).toBe(422);
    expect(details(answer)).toEqual([text]);
    expect(await row(test, app.guid)).toEqual(before);
  });

  test('over the quota is refused for what runs, and says what is left', async () => {
    await using test = await startTestApi();
    const quota = await aQuota(test.deps.store, { name: 'small', total_memory_mb: 2_048, total_instances: 10 });
    await test.deps.store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: quota.guid }).execute());
    const app = await makeStartedApp(test);
    const memory = await scale(test, `processes/${app.guid}`, { instances: 3 });
    expect(memory).toMatchObject({ status: 400, body: { errors: [{ title: 'CF-AppMemoryQuotaExceeded' }] } });
    expect(details(memory)[0]).toContain('this asks for 2G more, the quota "small" has 1G left of 2G');
    const small = await scale(test, `processes/${app.guid}`, { instances: 11, memory_in_mb: 1 });
    expect(small.body.errors[0].title).toBe('CF-QuotaInstanceLimitExceeded');
    expect((await row(test, app.guid)).instances).toBe(1);
  });

  test('may be switched off for everyone but admins', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    await test.api('PATCH', '/v3/feature_flags/app_scaling', { token: test.admin, body: { enabled: false } });
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    const path = `/v3/processes/${app.guid}/actions/scale`;
    expect((await test.api('POST', path, { token, body: { instances: 2 } })).status).toBe(403);
    expect((await scale(test, `processes/${app.guid}`, { instances: 2 })).status).toBe(202);
  });
});

describe('DELETE instances/:index', () => {
  test("starts that index anew: its number grows, and no other's", async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    await test.api('POST', `/v3/processes/${app.guid}/actions/scale`, { token: test.admin, body: { instances: 2 } });
    const remove = (path: string) => test.api('DELETE', `/v3/${path}`, { token: test.admin });
    expect((await remove(`apps/${app.guid}/processes/web/instances/1`)).status).toBe(204);
    expect((await remove(`processes/${app.guid}/instances/1`)).status).toBe(204);
    expect(JSON.parse((await row(test, app.guid)).index_starts_json)).toEqual({ 1: 2 });
    expect(await eventTypes(test, app.guid)).toEqual(expect.arrayContaining(['app.process.terminate_instance']));
  });

  test.each(['1', '-1', 'x', '1e3'])('%s of a process with one instance is 404', async index => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const answer = await test.api('DELETE', `/v3/processes/${app.guid}/instances/${index}`, { token: test.admin });
    expect(answer.status).toBe(404);
    expect(details(answer)).toEqual(['Instance not found']);
  });
});

test.each([
  ['/v3/processes/none', 'Process not found'],
  ['/v3/apps/none/processes/web', 'App not found'],
  ['/v3/processes/none/sidecars', 'Process not found'],
])('GET %s is 404: %s', async (path, text) => {
  await using test = await startTestApi();
  expect(details(await test.api('GET', path, { token: test.admin }))).toEqual([text]);
});

test('a type that an app does not have is 404', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const answer = await test.api('GET', `/v3/apps/${app.guid}/processes/cron`, { token: test.admin });
  expect(details(answer)).toEqual(['Process not found']);
});
