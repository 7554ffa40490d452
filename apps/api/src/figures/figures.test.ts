import type { RequestCounts } from '@cupola/contract/internal';
import { CLASSES_AT, PACK_MS, REQUEST_NUMBERS } from '@cupola/model/metrics';
import { anApp, aPlacement, aProcess, aSpace } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { callInternal } from '../internal/fixtures.ts';
import { forgetFigures, packFigures } from './pack.ts';
import { createFiguresRecorder } from './record.ts';

/** So many requests with a 200 within 5 ms. */
function counts(guid: string, many: number, sequence = 1): RequestCounts {
  const numbers = new Array<number>(REQUEST_NUMBERS).fill(0);
  numbers[0] = many;
  numbers[CLASSES_AT + 1] = many;
  return { session: 's', sequence, apps: [{ guid, numbers }] };
}
const sample = (guid: string, memoryBytes = 1_000) => ({
  guid,
  cpu: 0.25,
  memoryBytes,
  diskBytes: 0,
  logBytesPerSecond: 0,
});

async function aRunningApp(api: TestApi) {
  const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid, state: 'STARTED' });
  const process = await aProcess(api.deps.store, { app_guid: app.guid });
  const placement = await aPlacement(api.deps.store, {
    app_guid: app.guid,
    process_guid: process.guid,
    cell_id: 'cell-1',
  });
  return { app, placement };
}

/** What is known, without what is not. */
async function read(api: TestApi, guid: string, query = '') {
  // Logged in just now: tests let days pass.
  const { token } = await api.userWith({ space_developer: api.home.spaceGuid });
  const { status, body } = await api.api('GET', `/v3/apps/${guid}/metrics${query}`, { token });
  expect(status).toBe(200);
  const known = (values: Array<number | null>) => values.filter(value => value !== null);
  return {
    step: body.step_seconds,
    ok: known(body.requests['2xx']),
    p50: known(body.latency_ms.p50),
    cpu: known(body.cpu),
    memory: known(body.memory_in_bytes),
    instances: known(body.instances),
    marks: body.marks,
  };
}

test('GET /v3/apps/:guid/metrics shows what routers and cells told, put together by window', async () => {
  await using api = await startTestApi();
  const { app, placement } = await aRunningApp(api);
  await using recorder = createFiguresRecorder(api.deps);
  recorder.requests(counts(app.guid, 3));
  recorder.requests(counts(app.guid, 2, 2));
  // Told again: its answer was lost.
  recorder.requests(counts(app.guid, 2, 2));
  recorder.usage('cell-1', [sample(placement.guid)]);
  await recorder.flush();
  api.clock.pass(10_000);
  recorder.usage('cell-1', [sample(placement.guid, 3_000)]);
  await recorder.flush();
  api.clock.pass(10_000);
  expect(await read(api, app.guid)).toMatchObject({
    step: 10,
    ok: [5, 0],
    p50: [2.5],
    cpu: [0.25, 0.25],
    memory: [1_000, 3_000],
    instances: [1, 1],
  });
});

test('a cell that tells of an instance that is placed elsewhere is not believed', async () => {
  await using api = await startTestApi();
  const { app, placement } = await aRunningApp(api);
  await using recorder = createFiguresRecorder(api.deps);
  recorder.usage('cell-2', [sample(placement.guid)]);
  await recorder.flush();
  api.clock.pass(10_000);
  expect((await read(api, app.guid)).cpu).toEqual([]);
});

test('hours that are over are packed, and read as before; older than a day by five minutes', async () => {
  await using api = await startTestApi();
  const { app, placement } = await aRunningApp(api);
  await using recorder = createFiguresRecorder(api.deps);
  for (const sequence of [1, 2, 3]) {
    recorder.requests(counts(app.guid, sequence, sequence));
    recorder.usage('cell-1', [sample(placement.guid, sequence * 100)]);
    await recorder.flush();
    api.clock.pass(10_000);
  }
  const before = await read(api, app.guid, '?step=10');
  api.clock.pass(PACK_MS);
  expect(await packFigures(api.deps)).toBe(2);
  expect(await api.deps.store.read.selectFrom('metric_windows').selectAll().execute()).toEqual([]);
  const start = new Date(api.clock.now() - 2 * PACK_MS).toISOString();
  expect(await read(api, app.guid, `?step=10&start=${start}`)).toEqual({ ...before, step: 10 });
  api.clock.pass(26 * PACK_MS);
  const from = `start=${new Date(api.clock.now() - 28 * PACK_MS).toISOString()}`;
  expect(await forgetFigures(api.deps)).toBe(1);
  expect(await read(api, app.guid, `?step=300&${from}`)).toMatchObject({ ok: [6], memory: [300] });
  const { token } = await api.userWith({ space_developer: api.home.spaceGuid });
  const refused = await api.api('GET', `/v3/apps/${app.guid}/metrics?step=10&${from}`, { token });
  expect(refused.status).toBe(422);
});

test("what a task uses is none of its app's figures", async () => {
  await using api = await startTestApi();
  const { app, placement } = await aRunningApp(api);
  const task = await aPlacement(api.deps.store, { app_guid: app.guid, process_guid: 'a-task', cell_id: 'cell-1' });
  await using recorder = createFiguresRecorder(api.deps);
  recorder.usage('cell-1', [sample(placement.guid, 100), sample(task.guid, 900)]);
  await recorder.flush();
  api.clock.pass(10_000);
  expect(await read(api, app.guid)).toMatchObject({ memory: [100], instances: [1] });
});

test('figures over the budget go, the finest first', async () => {
  await using api = await startTestApi();
  const { app } = await aRunningApp(api);
  await using recorder = createFiguresRecorder(api.deps);
  recorder.requests(counts(app.guid, 1));
  await recorder.flush();
  api.clock.pass(2 * PACK_MS);
  await packFigures(api.deps);
  const packs = () => api.deps.store.read.selectFrom('metric_packs').select(['step_s', 'size_bytes']).execute();
  const coarse = (await packs()).find(({ step_s }) => step_s === 300);
  await forgetFigures(api.deps, coarse?.size_bytes ?? 0);
  expect(await packs()).toEqual([coarse]);
});

test('GET /v3/apps/:guid/metrics marks what may bend a graph', async () => {
  await using api = await startTestApi();
  const body = { name: 'dora', relationships: { space: { data: { guid: api.home.spaceGuid } } } };
  const { guid } = (await api.api('POST', '/v3/apps', { token: api.admin, body })).body;
  await api.api('POST', `/v3/processes/${guid}/actions/scale`, { token: api.admin, body: { memory_in_mb: 128 } });
  const manifest = await api.api('POST', `/v3/spaces/${api.home.spaceGuid}/actions/apply_manifest`, {
    token: api.admin,
    yaml: 'applications: [{ name: dora, memory: 128M, instances: 1, env: { COLOUR: green } }]',
  });
  expect(manifest.status).toBe(202);
  api.clock.pass(1_000);
  const { marks } = await read(api, guid);
  // Not what a manifest says again.
  expect(marks).toMatchObject([{ kind: 'scale', event_type: 'audit.app.process.scale', actor: 'admin' }]);
});

test('GET /v3/apps/:guid/metrics is for who may see the app', async () => {
  await using api = await startTestApi();
  const { app } = await aRunningApp(api);
  const other = await aSpace(api.deps.store, { organization_guid: api.home.organizationGuid });
  const stranger = await api.userWith({ space_developer: other.guid });
  expect((await api.api('GET', `/v3/apps/${app.guid}/metrics`, { token: stranger.token })).status).toBe(404);
});

test('POST /internal/metrics takes counts of a router', async () => {
  await using api = await startTestApi();
  const { app } = await aRunningApp(api);
  const taken = await callInternal(api.socketPath, 'POST', '/internal/metrics', counts(app.guid, 4));
  expect(taken.status).toBe(204);
  expect((await callInternal(api.socketPath, 'POST', '/internal/metrics', { apps: [] })).status).toBe(400);
});
