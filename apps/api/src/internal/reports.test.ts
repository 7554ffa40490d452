import type { CopyReport } from '@cupola/contract/internal';
import { anApp, aPlacement, aProcess } from '@cupola/store/fixtures';
import type { ProcessesTable } from '@cupola/store/schema';
import { expect, test } from 'vitest';
import { apiLines } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { aCopyReport, aRegistration, callInternal } from './fixtures.ts';

const EXIT = { code: 1, signal: null, outOfMemory: false, reason: 'exited with status 1', lastLines: ['boom'] };

/** A registered cell, with one placement, and how to report from it. */
async function aCell(test: TestApi, given: Partial<ProcessesTable> = {}) {
  const { store } = test.deps;
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration());
  const app = await anApp(store, { name: 'shop', state: 'STARTED' });
  const process = await aProcess(store, { app_guid: app.guid, ...given });
  const { guid, run_spec_guid: runSpecGuid } = await aPlacement(store, {
    cell_id: 'cell-1',
    app_guid: app.guid,
    process_guid: process.guid,
  });
  let sequence = 0;
  const copy = (given: Partial<CopyReport> = {}) =>
    aCopyReport({ guid, runSpecGuid, appGuid: app.guid, processGuid: process.guid, ...given });
  const send = (copies: CopyReport[], given: { session?: string; sequence?: number } = {}) =>
    callInternal(test.socketPath, 'POST', '/internal/cells/cell-1/reports', {
      session: 'session-1',
      sequence: ++sequence,
      copies,
      ...given,
    });
  return {
    app,
    process,
    copy,
    send,
    rows: () => store.read.selectFrom('copies').selectAll().execute(),
    readiness: () =>
      store.read
        .selectFrom('audit_events')
        .selectAll()
        .where('type', 'like', '%ready')
        .orderBy('created_at')
        .orderBy('type', 'desc')
        .execute(),
    crashes: () =>
      store.read.selectFrom('audit_events').selectAll().where('type', 'like', '%crash').orderBy('type').execute(),
  };
}

test('a report writes a copy whole, in the space of its placement', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  expect((await cell.send([cell.copy()])).status).toBe(204);
  expect(await cell.rows()).toMatchObject([
    {
      state: 'RUNNING',
      host: '127.0.0.1',
      port: 61_001,
      routable: 1,
      cell_id: 'cell-1',
      space_guid: cell.app.space_guid,
    },
  ]);
});

test('a report that says nothing new moves no revision', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  const before = await test.deps.store.cursor();
  await cell.send([cell.copy()]);
  expect(await test.deps.store.cursor()).toEqual(before);
});

test('a report that comes again, or late, changes nothing that a newer one has said', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy({ state: 'STARTING', address: null })], { sequence: 1 });
  await cell.send([cell.copy()], { sequence: 2 });
  const before = await cell.rows();
  expect((await cell.send([cell.copy({ state: 'STARTING', address: null })], { sequence: 1 })).status).toBe(204);
  expect(await cell.rows()).toEqual(before);
});

test('a report counts by its sequence, not by a clock that was set back', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy({ state: 'STARTING', address: null, sinceMs: 2_000_000 })]);
  await cell.send([cell.copy({ sinceMs: 1_000_000 })]);
  expect(await cell.rows()).toMatchObject([{ state: 'RUNNING', since: 1_000_000 }]);
});

test('a report of an older session is refused and changes nothing', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ session: 'newer' }));
  expect((await cell.send([cell.copy({ state: 'GONE' })])).status).toBe(409);
  expect(await cell.rows()).toHaveLength(1);
});

test('an agent that has lost its memory is heard: attempts begin anew with a session', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy({ attempt: 5 })]);
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ session: 'newer' }));
  await cell.send([cell.copy({ attempt: 1, state: 'STARTING', address: null })], { session: 'newer', sequence: 1 });
  expect(await cell.rows()).toMatchObject([{ attempt: 1, state: 'STARTING', host: null }]);
});

test('an older generation never replaces a newer one', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy({ generation: 2 })]);
  await cell.send([cell.copy({ generation: 1, state: 'GONE' })]);
  expect(await cell.rows()).toMatchObject([{ generation: 2, state: 'RUNNING' }]);
});

test('GONE takes the copy away, and is no error twice', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  await cell.send([cell.copy({ state: 'GONE' })]);
  expect((await cell.send([cell.copy({ state: 'GONE' })])).status).toBe(204);
  expect(await cell.rows()).toEqual([]);
});

test('a copy of a deleted app is written down while it still runs', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy({ guid: 'left', appGuid: 'deleted', processGuid: 'deleted', state: 'STOPPING' })]);
  expect(await cell.rows()).toMatchObject([{ guid: 'left', state: 'STOPPING', cell_id: 'cell-1' }]);
});

test('a crash is told once, as CF tells it: two events and two lines', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  const crash = cell.copy({ state: 'CRASHED', crashCount: 1, exit: EXIT, address: null });
  await cell.send([cell.copy()]);
  await cell.send([crash]);
  await cell.send([{ ...crash, restartAtMs: 5 }]);
  const events = await cell.crashes();
  expect(events).toMatchObject([
    { type: 'app.crash', actor_type: 'app', actor_name: 'shop', target_guid: cell.app.guid, target_name: 'shop' },
    { type: 'audit.app.process.crash', actor_type: 'process', actor_name: 'web', target_guid: cell.app.guid },
  ]);
  expect(JSON.parse(events[0]?.data_json ?? '')).toMatchObject({
    instance: crash.guid,
    index: 0,
    cell_id: 'cell-1',
    reason: 'CRASHED',
    exit_description: 'exited with status 1',
    exit_status: 1,
    last_lines: ['boom'],
  });
  const lines = await test.deps.logs.read({ appGuid: cell.app.guid, limit: 10, descending: false });
  expect(lines.map(({ sourceType, line }) => `${sourceType} ${line}`)).toEqual([
    'API Process has crashed with type: "web"',
    expect.stringContaining(`API App instance exited with guid ${cell.app.guid} payload: {"instance"=>"${crash.guid}"`),
  ]);
});

test('a crash whose restart came before its report is told too, once', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  await cell.send([cell.copy({ state: 'STARTING', attempt: 2, crashCount: 1, exit: EXIT, address: null })]);
  await cell.send([cell.copy({ attempt: 2, crashCount: 1, exit: EXIT })]);
  expect(await cell.crashes()).toHaveLength(2);
  await cell.send([cell.copy({ state: 'CRASHED', attempt: 2, crashCount: 2, exit: EXIT, address: null })]);
  expect(await cell.crashes()).toHaveLength(4);
});

test('a report that tells of a crash and of the start after it tells of one crash, however often it comes', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  const crash = cell.copy({ state: 'CRASHED', crashCount: 1, exit: EXIT, address: null });
  const start = cell.copy({ state: 'STARTING', attempt: 2, crashCount: 1, exit: EXIT, address: null });
  await cell.send([crash, start]);
  await cell.send([crash, start]);
  expect(await cell.crashes()).toHaveLength(2);
  expect(await cell.rows()).toMatchObject([{ state: 'STARTING', attempt: 2 }]);
});

test('what a readiness check says anew is told, as CF tells it; a crash tells for itself', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test, { readiness_type: 'http' });
  await cell.send([cell.copy({ state: 'STARTING', address: null, routable: false })]);
  await cell.send([cell.copy({ routable: false })]);
  expect(await cell.readiness()).toEqual([]);
  await cell.send([cell.copy()]);
  await cell.send([cell.copy({ sinceMs: 5 })]);
  await cell.send([cell.copy({ routable: false })]);
  await cell.send([cell.copy({ state: 'CRASHED', crashCount: 1, exit: EXIT, address: null, routable: false })]);
  const events = await cell.readiness();
  expect(events).toMatchObject([
    { type: 'audit.app.process.ready', actor_type: 'process', actor_name: 'web', target_guid: cell.app.guid },
    { type: 'audit.app.process.not-ready' },
  ]);
  expect(JSON.parse(events[1]?.data_json ?? '')).toEqual({
    instance: cell.copy().guid,
    index: 0,
    cell_id: 'cell-1',
    ready: false,
    version: cell.copy().runSpecGuid,
  });
  expect(await apiLines(test, cell.app.guid)).toContainEqual(
    expect.stringContaining(`Process became not ready with guid ${cell.process.guid} payload: {"instance"=>`),
  );
});

test('of a process without a readiness check nothing is told', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  expect(await cell.readiness()).toEqual([]);
});

test('a start that never ran the app is no crash', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy({ state: 'CRASHED', crashCount: 1, exit: EXIT, address: null })]);
  const refused = { state: 'STARTING' as const, crashCount: 1, exit: EXIT, address: null, placementError: 'no room' };
  await cell.send([cell.copy({ ...refused, attempt: 2 })]);
  await cell.send([cell.copy({ ...refused, attempt: 3 })]);
  expect(await cell.crashes()).toHaveLength(2);
});

test('a cell does not speak for copies of another one', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  await cell.send([cell.copy()]);
  await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ cellId: 'cell-2', session: 'two' }));
  const other = (copies: CopyReport[], sequence: number) =>
    callInternal(test.socketPath, 'POST', '/internal/cells/cell-2/reports', { session: 'two', sequence, copies });
  const elsewhere = { host: '127.0.0.1', port: 1 };
  expect((await other([cell.copy({ generation: 9, address: elsewhere })], 1)).status).toBe(204);
  await other([cell.copy({ generation: 9, state: 'GONE' })], 2);
  expect(await cell.rows()).toMatchObject([{ cell_id: 'cell-1', generation: 1, port: 61_001 }]);
});

test('a cell does not say of which app its copy is, and of what was never placed there it tells nobody', async () => {
  await using test = await startTestApi();
  const cell = await aCell(test);
  const other = await anApp(test.deps.store, { name: 'bank', state: 'STARTED' });
  const process = await aProcess(test.deps.store, { app_guid: other.guid });
  const forged = { appGuid: other.guid, processGuid: process.guid };
  const crash = { state: 'CRASHED', crashCount: 1, exit: EXIT, address: null } as const;
  await cell.send([cell.copy({ ...forged, ...crash }), cell.copy({ ...forged, ...crash, guid: 'unknown' })]);
  await cell.send([cell.copy({ ...forged, ...crash, guid: 'unknown', attempt: 2, crashCount: 2 })]);
  expect(await cell.rows()).toMatchObject([
    { guid: cell.copy().guid, app_guid: cell.app.guid, process_guid: cell.process.guid },
    { guid: 'unknown' },
  ]);
  expect((await cell.crashes()).map(({ target_guid }) => target_guid)).toEqual([cell.app.guid, cell.app.guid]);
  expect(await apiLines(test, other.guid)).toEqual([]);
});
