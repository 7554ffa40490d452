/** The requests of one `cf push`, in their order (cf-api-contract.md 6.1), against a whole API; stager and cell speak to the internal listener. */
import { forgeZip } from '@cupola/archive/zip-fixtures';
import { expect, test, vi } from 'vitest';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';
import { aResult, callInternal } from '../internal/fixtures.ts';
import { apiLines, cliHeaders, eventTypes, placeCopy } from './fixtures.ts';

const MANIFEST = 'applications:\n- name: web1\n  path: ./app\n  memory: 64M\n  default-route: true\n';

/** A command of the cf CLI: every request with its trace. */
function aCommand(test: TestApi) {
  const headers = cliHeaders();
  return async (method: string, path: string, call: Parameters<TestApi['api']>[2] = {}): Promise<Json> => {
    const answer = await test.api(method, path, {
      token: test.admin,
      ...call,
      headers: { ...headers, ...call.headers },
    });
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return { ...answer.body, answer };
  };
}

/** As a stager does it. */
async function stage(test: TestApi, buildGuid: string): Promise<void> {
  const path = `/internal/builds/${buildGuid}`;
  const { body: order } = await callInternal(test.socketPath, 'POST', `${path}/claim`, { stager: 's1' });
  const end = { outcome: 'staged', fence: order.fence, result: aResult() };
  await callInternal(test.socketPath, 'POST', `${path}/finish`, end);
}

async function upload(cf: ReturnType<typeof aCommand>, packageGuid: string): Promise<Json> {
  const form = new FormData();
  form.set('resources', '[]');
  const zip = forgeZip([{ name: 'index.js', content: Buffer.from('1') }]);
  form.set('bits', new Blob([new Uint8Array(zip)], { type: 'application/octet-stream' }), 'package.zip');
  return cf('POST', `/v3/packages/${packageGuid}/upload`, { form });
}

test('cf push: from the manifest to a running, routed app, each poll answered with its end', async () => {
  await using test = await startTestApi();
  const cf = aCommand(test);
  const space = test.home.spaceGuid;

  const { answer: accepted } = await cf('POST', `/v3/spaces/${space}/actions/apply_manifest`, { yaml: MANIFEST });
  expect(accepted.status).toBe(202);
  expect(await cf('GET', accepted.headers.get('location'))).toMatchObject({
    operation: 'space.apply_manifest',
    state: 'COMPLETE',
    errors: [],
  });
  const app = (await cf('GET', `/v3/apps?names=web1&space_guids=${space}`)).resources[0];

  const file = { path: 'index.js', mode: '644', checksum: { value: 'a'.repeat(40) }, size_in_bytes: 1 };
  expect((await cf('POST', '/v3/resource_matches', { body: { resources: [file] } })).resources).toEqual([]);
  const relationships = { app: { data: { guid: app.guid } } };
  const pack = await cf('POST', '/v3/packages', { body: { type: 'bits', relationships } });
  expect(await upload(cf, pack.guid)).toMatchObject({ state: 'READY' });
  const build = await cf('POST', '/v3/builds', { body: { package: { guid: pack.guid } } });
  const polled = cf('GET', `/v3/builds/${build.guid}`);
  await stage(test, build.guid);
  const droplet = await cf('GET', `/v3/droplets/${(await polled).droplet.guid}`);

  const assigned = { body: { data: { guid: droplet.guid } } };
  expect(await cf('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, assigned)).toMatchObject({
    data: { guid: droplet.guid },
  });
  expect(await cf('POST', `/v3/apps/${app.guid}/actions/restart`)).toMatchObject({ state: 'STARTED' });
  const processes = (await cf('GET', `/v3/apps/${app.guid}/processes`)).resources;
  expect(processes).toMatchObject([{ guid: app.guid, type: 'web', instances: 1, memory_in_mb: 64 }]);

  const answered = vi.fn();
  const stats = cf('GET', `/v3/processes/${app.guid}/stats`);
  void stats.then(answered);
  await placeCopy(test, app.guid, { state: 'STARTING' });
  expect(answered).not.toHaveBeenCalled();
  await test.deps.store.mutate(async ({ db, changed }) => {
    await db.updateTable('copies').set({ state: 'RUNNING' }).execute();
    changed('copy', 'c1');
  });
  expect((await stats).resources).toMatchObject([{ index: 0, state: 'RUNNING' }]);

  // The summary.
  expect((await cf('GET', `/v3/processes/${app.guid}`)).command).toBe('npm start');
  expect((await cf('GET', `/v3/processes/${app.guid}/sidecars`)).resources).toEqual([]);
  expect((await cf('GET', `/v3/processes/${app.guid}/stats`)).resources).toHaveLength(1);
  expect((await cf('GET', `/v3/apps/${app.guid}/routes`)).resources).toMatchObject([
    { host: 'web1', url: 'web1.localhost:8080', destinations: [{ app: { guid: app.guid, process: { type: 'web' } } }] },
  ]);
  expect(await cf('GET', `/v3/apps/${app.guid}/droplets/current`)).toMatchObject({ guid: droplet.guid });
  const query = `app_guids=${app.guid}&order_by=-created_at&page=1&per_page=1&status_values=ACTIVE`;
  expect((await cf('GET', `/v3/deployments?${query}`)).resources).toEqual([]);

  expect(await eventTypes(test, app.guid)).toEqual(
    expect.arrayContaining(['app.apply_manifest', 'app.create', 'app.droplet.mapped', 'app.map-route', 'app.restart']),
  );
  expect(await apiLines(test, app.guid)).toEqual(
    expect.arrayContaining([`Created app with guid ${app.guid}`, `Restarted app with guid ${app.guid}`]),
  );
});

test('cf push --no-start: an app without a droplet is shown, and is no failure', async () => {
  await using test = await startTestApi();
  const cf = aCommand(test);
  await cf('POST', `/v3/spaces/${test.home.spaceGuid}/actions/apply_manifest`, { yaml: MANIFEST });
  const app = (await cf('GET', '/v3/apps?names=web1')).resources[0];
  const current = await test.api('GET', `/v3/apps/${app.guid}/droplets/current`, { token: test.admin });
  expect(current).toMatchObject({ status: 404, body: { errors: [{ detail: 'Droplet not found', code: 10_010 }] } });
  expect((await cf('GET', `/v3/processes/${app.guid}/stats`)).resources).toMatchObject([{ index: 0, state: 'DOWN' }]);
});

test('the same manifest again changes nothing that it does not say', async () => {
  await using test = await startTestApi();
  const cf = aCommand(test);
  const path = `/v3/spaces/${test.home.spaceGuid}`;
  await cf('POST', `${path}/actions/apply_manifest`, { yaml: MANIFEST });
  expect((await cf('POST', `${path}/manifest_diff`, { yaml: MANIFEST })).diff).toEqual([
    { op: 'add', path: '/applications/0/default-route', value: true },
  ]);
  await cf('POST', `${path}/actions/apply_manifest`, { yaml: MANIFEST });
  expect((await cf('GET', '/v3/routes')).resources).toHaveLength(1);
  expect((await cf('GET', '/v3/apps')).resources).toHaveLength(1);
});
