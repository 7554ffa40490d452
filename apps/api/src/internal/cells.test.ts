import { aCell, aCopy, aPlacement, aProcess, aRunSpec, testSealer } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';
import { aRegistration, callInternal, openWatch } from './fixtures.ts';

test('POST /internal/cells makes a cell known, and raises its fence each time', async () => {
  await using test = await startTestApi();
  expect(await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration())).toEqual({
    status: 200,
    body: { fence: 1 },
  });
  const again = await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ session: 's2' }));
  expect(again.body).toEqual({ fence: 2 });
  expect(await test.deps.store.read.selectFrom('cells').selectAll().execute()).toMatchObject([
    { cell_id: 'cell-1', state: 'ACTIVE', session: 's2', fence: 2, capacity_memory_mb: 4_096 },
  ]);
});

test('a heartbeat of an older session is refused with AgentFenced', async () => {
  await using test = await startTestApi();
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ session: 'old' }));
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ session: 'new' }));
  const beat = (session: string) =>
    callInternal(test.socketPath, 'POST', '/internal/cells/cell-1/heartbeat', { session, counter: 1, usage: [] });
  const refused = await beat('old');
  expect(refused.status).toBe(409);
  expect(refused.body.errors).toMatchObject([{ code: 990_002, title: 'CF-AgentFenced' }]);
  expect(await beat('new')).toEqual({ status: 200, body: { removed: [] } });
});

test('a heartbeat keeps the newest counter and usage, and moves no revision', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration());
  const before = await store.cursor();
  const usage = [{ guid: 'copy', cpu: 0.5, memoryBytes: 1, diskBytes: 2, logBytesPerSecond: 3 }];
  const beat = (counter: number) =>
    callInternal(test.socketPath, 'POST', '/internal/cells/cell-1/heartbeat', { session: 'session-1', counter, usage });
  await beat(1);
  await beat(2);
  const [row] = await store.read.selectFrom('cell_heartbeats').selectAll().execute();
  expect(row).toMatchObject({ cell_id: 'cell-1', counter: 2, usage_json: JSON.stringify(usage) });
  expect(await store.cursor()).toEqual(before);
});

test('a heartbeat of a cell that nobody knows is answered with 404: it registers again', async () => {
  await using test = await startTestApi();
  const beat = { session: 's', counter: 1, usage: [] };
  expect((await callInternal(test.socketPath, 'POST', '/internal/cells/lost/heartbeat', beat)).status).toBe(404);
});

test('a new session forgets copies that the cell is not to run, and keeps the others', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aCell(store, { cell_id: 'cell-1', session: 'before' });
  const placed = await aPlacement(store, { cell_id: 'cell-1' });
  await aCopy(store, { ...idsOf(placed), cell_id: 'cell-1' });
  await aCopy(store, { cell_id: 'cell-1' });
  const elsewhere = await aCopy(store);
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ session: 'after' }));
  const left = await store.read.selectFrom('copies').select('guid').execute();
  expect(left.map(({ guid }) => guid).sort()).toEqual([placed.guid, elsewhere.guid].sort());
});

test('the same session registered again keeps its copies and its place in the reports', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aCell(store, { cell_id: 'cell-1', session: 'session-1', report_sequence: 7 });
  const copy = await aCopy(store, { cell_id: 'cell-1' });
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration());
  expect(await store.read.selectFrom('copies').select('guid').execute()).toEqual([{ guid: copy.guid }]);
  expect(await store.read.selectFrom('cells').select('report_sequence').execute()).toEqual([{ report_sequence: 7 }]);
});

test('the watch of a cell gives its placements alone, with their run specs opened', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aCell(store, { cell_id: 'cell-1' });
  const process = await aProcess(store);
  const spec = await aRunSpec(store, {
    app_guid: process.app_guid,
    process_guid: process.guid,
    spec_sealed: testSealer.seal('{"guid":"spec","command":"npm start"}'),
  });
  const mine = await aPlacement(store, { ...placeOf(spec), cell_id: 'cell-1', start_sequence: 3 });
  await aPlacement(store, { ...placeOf(spec), index_number: 1 });
  using watch = await openWatch(test.socketPath, '/internal/cells/cell-1/watch');
  expect([...watch.items.values()]).toEqual([
    { guid: mine.guid, generation: 1, index: 0, startSequence: 3, runSpec: { guid: 'spec', command: 'npm start' } },
  ]);
});

test('the watch of a cell tells of placements that come and go', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aCell(store, { cell_id: 'cell-1' });
  using watch = await openWatch(test.socketPath, '/internal/cells/cell-1/watch');
  const placement = await aPlacement(store, { cell_id: 'cell-1' });
  await watch.until(({ type }) => type === 'upsert');
  await store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('placements').where('guid', '=', placement.guid).execute();
    changed('placement', placement.guid);
  });
  expect(await watch.next()).toMatchObject({ type: 'remove', guid: placement.guid });
});

test('a placement whose run spec cannot be opened is not left out: it would be stopped', async () => {
  await using test = await startTestApi();
  await aCell(test.deps.store, { cell_id: 'cell-1' });
  const spec = await aRunSpec(test.deps.store, { spec_sealed: 'lost-key.AAAA' });
  const placement = await aPlacement(test.deps.store, { ...placeOf(spec), cell_id: 'cell-1' });
  using watch = await openWatch(test.socketPath, '/internal/cells/cell-1/watch');
  expect([...watch.items.values()]).toMatchObject([{ guid: placement.guid, runSpec: null }]);
});

test('the watch of an unknown cell is 404, not an empty view', async () => {
  await using test = await startTestApi();
  await expect(openWatch(test.socketPath, '/internal/cells/lost/watch')).rejects.toThrow('404');
});

const idsOf = ({ guid, app_guid, process_guid, run_spec_guid }: Awaited<ReturnType<typeof aPlacement>>) => ({
  guid,
  app_guid,
  process_guid,
  run_spec_guid,
});
const placeOf = ({ guid, app_guid, process_guid }: Awaited<ReturnType<typeof aRunSpec>>) => ({
  run_spec_guid: guid,
  app_guid,
  process_guid,
});
