import { CELL_LIMITS } from '@cupola/model/limits';
import { aCell, aCopy, aPlacement } from '@cupola/store/fixtures';
import type { CopiesTable, PlacementsTable } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import { expect, test } from 'vitest';
import { aStartedProcess, found, startAnew, startTestScheduler } from './fixtures.ts';
import { LEAD_TTL_MS } from './leadership.ts';

const placementsOf = (store: Store, processGuid: string): Promise<PlacementsTable[]> =>
  store.read
    .selectFrom('placements')
    .selectAll()
    .where('process_guid', '=', processGuid)
    .orderBy('index_number')
    .orderBy('generation')
    .execute();

/** Resolves when exactly that many placements of the process are there. */
const placed = (store: Store, processGuid: string, count: number): Promise<PlacementsTable[]> =>
  found(async () => {
    const placements = await placementsOf(store, processGuid);
    return placements.length === count ? placements : null;
  });

const reported = (store: Store, placement: PlacementsTable, facts: Partial<CopiesTable> = {}) =>
  aCopy(store, {
    guid: placement.guid,
    generation: placement.generation,
    process_guid: placement.process_guid,
    app_guid: placement.app_guid,
    index_number: placement.index_number,
    run_spec_guid: placement.run_spec_guid,
    cell_id: placement.cell_id,
    ...facts,
  });

test('start() places every wanted instance of a started process on the cell', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  const process = await aStartedProcess(store, { instances: 2 });
  const placements = await placed(store, process.guid, 2);
  // The form of Diego's: 8-4-4-4-4.
  expect(placements[0]?.guid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){4}$/);
  expect(placements).toMatchObject([
    {
      index_number: 0,
      cell_id: cell.cell_id,
      run_spec_guid: process.run_spec_guid,
      start_sequence: process.start_sequence,
      memory_mb: 64,
    },
    { index_number: 1, cell_id: cell.cell_id },
  ]);
});

test('start() says of each placement on the feed, with its space', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cursor = await store.cursor();
  await aCell(store);
  const process = await aStartedProcess(store);
  const [placement] = await placed(store, process.guid, 1);
  const changes = await store.changesAfter(cursor, 1_000);
  expect(changes?.filter(({ kind }) => kind === 'placement')).toMatchObject([
    { guid: placement?.guid, spaceGuid: placement?.space_guid, organizationGuid: placement?.organization_guid },
  ]);
});

test('start() keeps the old copy of a restarted process until the new one serves', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const { cell_id } = await aCell(store);
  const process = await aStartedProcess(store);
  const [old] = (await placed(store, process.guid, 1)) as [PlacementsTable];
  await reported(store, old);
  // It may have been there before the scheduler's first look: nothing is stopped for the word of a cell that has not moved since.
  await scheduler.beat(cell_id);
  await startAnew(store, process);
  const [kept, added] = (await placed(store, process.guid, 2)) as [PlacementsTable, PlacementsTable];
  expect(kept.guid).toBe(old.guid);
  expect(added.generation).toBeGreaterThan(old.generation);
  await reported(store, added);
  expect((await placed(store, process.guid, 1))[0]?.guid).toBe(added.guid);
});

test('start() withdraws the copies of a stopped app when its time to linger is over, and not before', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  await aCell(store);
  const process = await aStartedProcess(store);
  await placed(store, process.guid, 1);
  await store.mutate(async ({ db, changed }) => {
    await db
      .updateTable('apps')
      .set({ state: 'STOPPED', stopped_at: 1 })
      .where('guid', '=', process.app_guid)
      .execute();
    changed('app', process.app_guid);
  });
  scheduler.pass(1_900);
  const other = await aStartedProcess(store);
  await placed(store, other.guid, 1); // A pass has seen the stopped app since.
  expect(await placementsOf(store, process.guid)).toHaveLength(1);
  scheduler.pass(2_000);
  await placed(store, process.guid, 0);
});

test('start() tells why an instance waits, and takes it back when there is room', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store, { capacity_memory_mb: 1_000 });
  const process = await aStartedProcess(store, { instances: 2, specMemoryMb: 600 });
  const errorsOf = () => store.read.selectFrom('placement_errors').selectAll().execute();
  const [error] = await found(async () => ((await errorsOf()).length === 1 ? errorsOf() : null));
  expect(error).toMatchObject({
    process_guid: process.guid,
    index_number: 1,
    reason:
      'instance 1 waits: needs 600M, 400M of 1000M free on the cell. Give it less memory, or stop or scale down another app.',
  });
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('cells').set({ capacity_memory_mb: 2_000 }).execute();
    changed('cell', cell.cell_id);
  });
  await placed(store, process.guid, 2);
  await found(async () => ((await errorsOf()).length === 0 ? true : null));
});

test('start() replaces the copies of a cell whose lease ran out, and marks it LOST', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const lost = await aCell(store, { cell_id: 'a' });
  const process = await aStartedProcess(store);
  const [suspect] = (await placed(store, process.guid, 1)) as [PlacementsTable];
  await reported(store, suspect);
  const live = await aCell(store, { cell_id: 'b' });
  scheduler.pass(14_000);
  await scheduler.beat('b');
  const other = await aStartedProcess(store);
  await placed(store, other.guid, 1);
  scheduler.pass(1_500);
  const [kept, replacement] = (await placed(store, process.guid, 2)) as [PlacementsTable, PlacementsTable];
  expect([kept.guid, replacement.cell_id]).toEqual([suspect.guid, live.cell_id]);
  const cell = await store.read.selectFrom('cells').selectAll().where('cell_id', '=', lost.cell_id).executeTakeFirst();
  expect(cell).toMatchObject({ state: 'LOST', lost_at: expect.any(Number) });
});

test('start() gives every lease its full time again after a restart of the scheduler', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  await aCell(store, { cell_id: 'a' });
  const process = await aStartedProcess(store);
  const [placement] = (await placed(store, process.guid, 1)) as [PlacementsTable];
  await reported(store, placement);
  await aCell(store, { cell_id: 'b' });
  scheduler.pass(14_000);
  await scheduler.restart();
  scheduler.pass(14_000);
  const other = await aStartedProcess(store);
  await placed(store, other.guid, 1);
  expect(await placementsOf(store, process.guid)).toHaveLength(1);
});

test('start() withdraws placements of a deleted app at once', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const orphan = await aPlacement(store);
  await store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('processes').where('guid', '=', orphan.process_guid).execute();
    changed('process', orphan.process_guid);
  });
  await placed(store, orphan.process_guid, 0);
});

test('start() changes nothing any more once another scheduler has taken over', async () => {
  await using scheduler = await startTestScheduler();
  const { store, said } = scheduler;
  await store.note(({ db }) => db.updateTable('leases').set({ fence: 99, holder: 'another' }).execute());
  await aCell(store);
  const process = await aStartedProcess(store);
  await found(async () => said.find(message => message.startsWith('another scheduler leads')));
  expect(await placementsOf(store, process.guid)).toEqual([]);
});

test('start() takes the lead from a scheduler that is still there', async () => {
  await using first = await startTestScheduler();
  const { store } = first;
  const fenceOf = () =>
    store.read.selectFrom('leases').select('fence').where('name', '=', 'scheduler').executeTakeFirst();
  const before = await fenceOf();
  await first.restart();
  expect(await fenceOf()).toEqual({ fence: (before?.fence ?? 0) + 1 });
});

const holderOf = async (store: Store): Promise<string | undefined> =>
  (await store.read.selectFrom('leases').select('holder').where('name', '=', 'scheduler').executeTakeFirst())?.holder;

test('a scheduler that waits leads at once after one that ended in order', async () => {
  await using first = await startTestScheduler();
  const { store } = first;
  const before = await holderOf(store);
  await using _second = await first.standby();
  await aCell(store);
  await placed(store, (await aStartedProcess(store)).guid, 1);
  expect(await holderOf(store)).toBe(before);
  await first.end();
  await placed(store, (await aStartedProcess(store)).guid, 1);
  expect(await holderOf(store)).not.toBe(before);
});

test('a scheduler that ends in order says so on the feed, which wakes those that wait', async () => {
  await using first = await startTestScheduler();
  const { store } = first;
  const cursor = await store.cursor();
  const before = await holderOf(store);
  await first.end();
  expect(await store.changesAfter(cursor, 1_000)).toMatchObject([{ kind: 'scheduler', guid: before }]);
});

test('a scheduler that waits takes over when the leader has not moved for its time, and the former one waits then', async () => {
  await using test = await startTestScheduler();
  const { store, said } = test;
  await test.end();
  await store.note(({ db }) => db.updateTable('leases').set({ holder: 'frozen', counter: 7 }).execute());
  await using _second = await test.standby();
  await aCell(store);
  const process = await aStartedProcess(store);
  // From the first look on the one that waits counts the time.
  await test.looks(3);
  expect(await placementsOf(store, process.guid)).toEqual([]);
  test.pass(LEAD_TTL_MS);
  await placed(store, process.guid, 1);
  // One that has the lease by a higher fence now: no rest for ever, but waiting.
  await store.note(({ db }) => db.updateTable('leases').set({ fence: 99, holder: 'another' }).execute());
  test.pass(CELL_LIMITS.heartbeatMs);
  await found(async () => said.find(message => message.startsWith('another scheduler leads')));
  await test.looks(3);
  test.pass(LEAD_TTL_MS);
  await found(async () => ((await holderOf(store)) === 'another' ? null : true));
  expect(said.filter(message => message === 'this scheduler leads')).toHaveLength(3);
});

test('start() keeps the apps of an isolation segment on its cells, by the space or its organization', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const [shared, kept] = [await aCell(store), await aCell(store, { segment: 'Bank' })];
  const process = await aStartedProcess(store, { instances: 2 });
  expect((await placed(store, process.guid, 2)).map(({ cell_id }) => cell_id)).toEqual([
    shared.cell_id,
    shared.cell_id,
  ]);
  const other = await aStartedProcess(store);
  await placed(store, other.guid, 1);
  await store.mutate(async ({ db, now, changed }) => {
    const segment = { guid: 'segment', created_at: now, updated_at: now, name: 'bank' };
    await db.insertInto('isolation_segments').values(segment).execute();
    const home = await db
      .selectFrom('apps')
      .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
      .select(['spaces.guid', 'spaces.organization_guid'])
      .where('apps.guid', '=', other.app_guid)
      .executeTakeFirstOrThrow();
    await db
      .updateTable('organizations')
      .set({ default_isolation_segment_guid: 'segment' })
      .where('guid', '=', home.organization_guid)
      .execute();
    changed('app', other.app_guid);
  });
  // What runs stays where it is until it is started anew (CF).
  const again = await startAnew(store, other);
  const placements = await found(async () => {
    const all = await placementsOf(store, again.guid);
    return all.some(({ cell_id }) => cell_id === kept.cell_id) ? all : null;
  });
  expect(placements.filter(({ run_spec_guid }) => run_spec_guid === again.run_spec_guid)).toMatchObject([
    { cell_id: kept.cell_id },
  ]);
});
