import { aCell, aCopy, aTask } from '@cupola/store/fixtures';
import type { CopiesTable, PlacementsTable, TasksTable } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import { expect, test } from 'vitest';
import { found, startTestScheduler } from './fixtures.ts';

const taskOf = (store: Store, { guid }: TasksTable): Promise<TasksTable> =>
  store.read.selectFrom('tasks').selectAll().where('guid', '=', guid).executeTakeFirstOrThrow();

const became = (store: Store, task: TasksTable, state: TasksTable['state']): Promise<TasksTable> =>
  found(async () => {
    const row = await taskOf(store, task);
    return row.state === state ? row : null;
  });

const placementsOf = (store: Store, { guid }: TasksTable): Promise<PlacementsTable[]> =>
  store.read.selectFrom('placements').selectAll().where('process_guid', '=', guid).execute();

const placed = (store: Store, task: TasksTable): Promise<PlacementsTable> =>
  found(async () => (await placementsOf(store, task))[0]);

const withdrawn = (store: Store, task: TasksTable): Promise<true> =>
  found(async () => ((await placementsOf(store, task)).length === 0 ? true : null));

/** What its cell reports. */
const report = (store: Store, placement: PlacementsTable, facts: Partial<CopiesTable>) => {
  const { guid, generation, process_guid, app_guid, index_number, run_spec_guid, cell_id } = placement;
  return aCopy(store, { guid, generation, process_guid, app_guid, index_number, run_spec_guid, cell_id, ...facts });
};

const ended = (code: number) => ({
  state: 'CRASHED' as const,
  routable: 0 as const,
  exit_json: JSON.stringify({ code, outOfMemory: false, reason: `APP/TASK/t: Exited with status ${code}` }),
});

test('a task is placed once, is RUNNING when its cell says so, and ends with its command', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const task = await aTask(store);
  const copy = await report(store, await placed(store, task), {});
  await became(store, task, 'RUNNING');
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('copies').set(ended(0)).where('guid', '=', copy.guid).execute();
    changed('copy', copy.guid);
  });
  expect(await became(store, task, 'SUCCEEDED')).toMatchObject({ failure_reason: null, ended_at: expect.any(Number) });
  await withdrawn(store, task);
  const billed = await store.read.selectFrom('usage_events').select('data_json').execute();
  expect(billed.map(({ data_json }) => JSON.parse(data_json))).toMatchObject([
    { state: { current: 'TASK_STOPPED', previous: 'RUNNING' }, task: { guid: task.guid, name: 'task' } },
  ]);
});

test('a task that exits with another code than 0 has FAILED, though nobody saw it run', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const task = await aTask(store);
  await report(store, await placed(store, task), ended(3));
  expect((await became(store, task, 'FAILED')).failure_reason).toBe('APP/TASK/t: Exited with status 3');
});

test('a cancelled task is withdrawn at once, and is over when nothing of it is left', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const task = await aTask(store);
  const copy = await report(store, await placed(store, task), {});
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('tasks').set({ state: 'CANCELING' }).where('guid', '=', task.guid).execute();
    changed('task', task.guid);
  });
  await withdrawn(store, task);
  expect((await taskOf(store, task)).state).toBe('CANCELING');
  await store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('copies').where('guid', '=', copy.guid).execute();
    changed('copy', copy.guid);
  });
  expect((await became(store, task, 'FAILED')).failure_reason).toBe('task was cancelled');
});

test('a task whose cell is lost has failed, and is not placed on another one', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const task = await aTask(store);
  await report(store, await placed(store, task), {});
  await became(store, task, 'RUNNING');
  await aCell(store);
  scheduler.pass(15_001);
  expect((await became(store, task, 'FAILED')).failure_reason).toMatch(/^the cell that ran it was lost/);
  await withdrawn(store, task);
});

test('a task that no cell has room for waits, and says why', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store, { capacity_memory_mb: 100 });
  await scheduler.beat(cell.cell_id);
  const task = await aTask(store);
  const error = await found(() =>
    store.read.selectFrom('placement_errors').selectAll().where('process_guid', '=', task.guid).executeTakeFirst(),
  );
  expect(error.reason).toMatch(/needs 1024M/);
  expect((await taskOf(store, task)).state).toBe('PENDING');
});
