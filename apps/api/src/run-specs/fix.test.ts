import type { RunSpec } from '@cupola/model/run-spec';
import { aDroplet } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { makeApp, makeStagedApp, placeCopy } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';

const DROPLET = { process_types_json: '{"web":"npm start","worker":"node worker"}' };

/** The specs that a restart of the app fixes, by process type. */
async function restart(test: TestApi, guid: string, token = test.admin): Promise<Record<string, RunSpec>> {
  await test.api('POST', `/v3/apps/${guid}/actions/restart`, { token });
  const rows = await test.deps.store.read
    .selectFrom('processes')
    .innerJoin('run_specs', 'run_specs.guid', 'processes.run_spec_guid')
    .select(['processes.type', 'run_specs.spec_sealed'])
    .where('processes.app_guid', '=', guid)
    .execute();
  return Object.fromEntries(rows.map(row => [row.type, JSON.parse(test.deps.sealer.open(row.spec_sealed))]));
}

const patch = (test: TestApi, path: string, body: unknown) => test.api('PATCH', path, { token: test.admin, body });

test('fixRunSpecs() fixes each process with its own command, and what the user said goes over the droplet', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test, { droplet: DROPLET });
  await patch(test, `/v3/processes/${app.guid}`, { command: 'node mine.js' });
  const specs = await restart(test, app.guid);
  expect([specs.web?.command, specs.worker?.command]).toEqual(['node mine.js', 'node worker']);
});

test('fixRunSpecs(): a process without any command says so in its log, and ends', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test, { droplet: { process_types_json: '{}' } });
  expect((await restart(test, app.guid)).web?.command).toMatch(/^echo 'No start command: .* >&2; exit 1$/);
});

test("fixRunSpecs(): the platform's variables go over the app's, and the app's over those of all apps", async () => {
  await using test = await startTestApi();
  const group = { var: { A: 'all', B: 'all' } };
  await patch(test, '/v3/environment_variable_groups/running', group);
  const app = await makeStagedApp(test, {
    app: { environment_variables: { B: 'own', MEMORY_LIMIT: '9g' } },
    droplet: DROPLET,
  });
  const { web } = await restart(test, app.guid);
  expect(web?.environment).toMatchObject({ A: 'all', B: 'own', MEMORY_LIMIT: '1024m', VCAP_SERVICES: '{}' });
  expect(JSON.parse(web?.environment.VCAP_APPLICATION ?? '')).toMatchObject({
    application_id: app.guid,
    application_name: app.name,
    process_type: 'web',
    limits: { mem: 1_024, disk: 1_024 },
    space_name: 'dev',
    organization_name: 'cupola',
  });
});

test("fixRunSpecs(): VCAP_APPLICATION names the routes of that process alone, without the router's port", async () => {
  await using test = await startTestApi();
  const yaml = 'applications:\n- name: shop\n  routes:\n  - route: shop.localhost\n  - route: shop.localhost/cart\n';
  const path = `/v3/spaces/${test.home.spaceGuid}/actions/apply_manifest`;
  await test.api('POST', path, { token: test.admin, yaml });
  const [app] = (await test.api('GET', '/v3/apps', { token: test.admin })).body.resources;
  const droplet = await aDroplet(test.deps.store, { app_guid: app.guid, ...DROPLET });
  await patch(test, `/v3/apps/${app.guid}/relationships/current_droplet`, { data: { guid: droplet.guid } });
  const specs = await restart(test, app.guid);
  const uris = (type: string) => JSON.parse(specs[type]?.environment.VCAP_APPLICATION ?? '').application_uris;
  expect(uris('web').sort()).toEqual(['shop.localhost', 'shop.localhost/cart']);
  expect(uris('worker')).toEqual([]);
});

test('fixRunSpecs(): sizes, checks and layers are those of the moment, in the units of the spec', async () => {
  await using test = await startTestApi();
  const layer = { digest: 'a'.repeat(64), sizeBytes: 7, kind: 'app', mountPath: '/home/vcap' };
  const app = await makeStagedApp(test, { droplet: { layers_json: JSON.stringify([layer]) } });
  const size = { memory_in_mb: 128, disk_in_mb: 256, log_rate_limit_in_bytes_per_second: -1 };
  await test.api('POST', `/v3/processes/${app.guid}/actions/scale`, { token: test.admin, body: size });
  await patch(test, `/v3/processes/${app.guid}`, {
    health_check: { type: 'http', data: { endpoint: '/health', timeout: 90 } },
  });
  const { web } = await restart(test, app.guid);
  expect(web).toMatchObject({
    memoryMb: 128,
    diskMb: 256,
    logRateBytesPerSecond: -1,
    layers: [layer],
    ports: [8_080],
    healthCheck: { type: 'http', endpoint: '/health', timeoutMs: 90_000, invocationTimeoutMs: null },
    readinessHealthCheck: { type: 'process', endpoint: null, timeoutMs: null },
  });
});

test('fixRunSpecs() forgets specs after an hour, but not those that something still runs', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const guids = async () =>
    (await test.deps.store.read.selectFrom('run_specs').select('guid').execute()).map(({ guid }) => guid);
  const first = (await restart(test, app.guid)).web?.guid ?? '';
  await placeCopy(test, app.guid);
  const second = (await restart(test, app.guid)).web?.guid ?? '';
  expect((await guids()).sort()).toEqual([first, second].sort());
  test.clock.pass(3_600_001);
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const third = (await restart(test, app.guid, token)).web?.guid ?? '';
  expect((await guids()).sort()).toEqual([first, third].sort());
});

test('an app whose droplet is gone cannot be started', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const failed = await aDroplet(test.deps.store, { app_guid: app.guid, state: 'FAILED' });
  await test.deps.store.mutate(({ db }) => db.updateTable('apps').set({ current_droplet_guid: failed.guid }).execute());
  const answer = await test.api('POST', `/v3/apps/${app.guid}/actions/start`, { token: test.admin });
  expect(answer.status).toBe(422);
});
