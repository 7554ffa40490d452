import { aBuild, aCell, aCopy, aPlacement } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { callInternal } from '../internal/fixtures.ts';
import { isChanged, openStream } from '../stream/fixtures.ts';

const RUNG = { driver: '/usr/sbin/runc', rung: 'runc', enforced: { fs: true, net: false }, missing: ['iproute2'] };
const act = (test: TestApi, guid: string, action: string, token = test.admin) =>
  test.api('POST', `/v3/cluster/cells/${guid}/actions/${action}`, { token });

test('GET /v3/cluster tells of cells, members, the leader, builds and the disk', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aCell(store, { cell_id: 'cell-1', name: 'one', segment: 'secret', rung_json: JSON.stringify(RUNG) });
  const placed = await aPlacement(store, { cell_id: 'cell-1', memory_mb: 256 });
  const crashing = await aPlacement(store, { cell_id: 'cell-1', memory_mb: 128 });
  for (const [placement, state] of [
    [placed, 'RUNNING'],
    [crashing, 'CRASHED'],
  ] as const) {
    const { guid, organization_guid, space_guid, process_guid } = placement;
    await aCopy(store, { guid, organization_guid, space_guid, process_guid, cell_id: 'cell-1', state });
  }
  await aBuild(store, { state: 'STAGING', adopted: 1 });
  await aBuild(store, { state: 'STAGING', adopted: 1, stager: 'stager-1' });
  await aBuild(store, { state: 'STAGED', adopted: 1 });
  const { status, body } = await test.api('GET', '/v3/cluster', { token: test.admin });
  expect(status).toBe(200);
  expect(body.cells).toMatchObject([
    {
      ...{ guid: 'cell-1', name: 'one', isolation_segment: 'secret', state: 'ACTIVE', drained_at: null },
      memory_in_mb: { capacity: 4_096, placed: 384 },
      instances: { placed: 2, running: 1 },
      sandbox: { name: 'runc', enforced: { net: false } },
    },
  ]);
  expect(body.builds).toMatchObject({ waiting: 1, staging: 1, oldest_waiting_since: expect.any(String) });
  expect(body).toMatchObject({ members: [], scheduler: { leader: null, terms: 0 } });
  expect(body.disk_in_mb.free).toBeGreaterThan(0);
});

test('a cell is drained and takes apps again, twice as well as once; the stream tells admins alone', async () => {
  await using test = await startTestApi();
  await aCell(test.deps.store, { cell_id: 'cell-1' });
  const user = await test.userWith({ space_developer: test.home.spaceGuid });
  await using admins = await openStream(test, { token: test.admin });
  await using users = await openStream(test, { token: user.token });
  const drained = await act(test, 'cell-1', 'drain');
  expect(drained).toMatchObject({ status: 200, body: { guid: 'cell-1', drained_at: expect.any(String) } });
  expect((await act(test, 'cell-1', 'drain')).body.drained_at).toBe(drained.body.drained_at);
  expect(await admins.until(isChanged('cell', 'cell-1'))).toMatchObject({ object: { name: expect.any(String) } });
  expect((await act(test, 'cell-1', 'activate')).body.drained_at).toBeNull();
  const body = { name: 'later', relationships: { space: { data: { guid: test.home.spaceGuid } } } };
  const { guid } = (await test.api('POST', '/v3/apps', { token: test.admin, body })).body;
  await users.until(isChanged('app', guid));
  expect(users.frames.filter(frame => 'kind' in frame && frame.kind === 'cell')).toEqual([]);
});

test('others may not, and a cell that is not there is named', async () => {
  await using test = await startTestApi();
  const user = await test.userWith({ space_developer: test.home.spaceGuid });
  expect((await test.api('GET', '/v3/cluster', { token: user.token })).status).toBe(403);
  expect((await act(test, 'cell-1', 'drain', user.token)).status).toBe(403);
  expect(details(await act(test, 'cell-1', 'drain'))).toEqual(['Cell not found']);
});

test('the platform’s own commands are told of stacks with their digests', async () => {
  await using test = await startTestApi();
  const stack = { name: 'other', digest: 'abc', abiKey: 'linux' };
  await aCell(test.deps.store, { stacks_json: JSON.stringify([stack]) });
  const { body } = await callInternal(test.socketPath, 'GET', '/internal/cells');
  expect(body.cells).toMatchObject([{ stacks: [stack] }]);
});
