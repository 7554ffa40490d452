import { randomUUID } from 'node:crypto';
import { aCell, aCopy, aDeployment, aProcess } from '@cupola/store/fixtures';
import type { DeploymentsTable, PlacementsTable, ProcessesTable } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import { expect, test } from 'vitest';
import { aStartedProcess, found, startAnew, startTestScheduler } from './fixtures.ts';

/** As `POST /v3/deployments` leaves it: a second web process beside the one that serves, with one instance to begin with. */
async function aRollingApp(store: Store, given: { instances?: number } = {}) {
  const { instances = 2 } = given;
  const old = await aStartedProcess(store, { instances });
  const app_guid = old.app_guid;
  const made = await aProcess(store, { app_guid, created_at: old.created_at + 1, instances: 1 });
  const deploying = await startAnew(store, made);
  const worker = await aProcess(store, { app_guid, type: 'worker', instances: 0 });
  const deployment = await aDeployment(store, {
    app_guid,
    process_guid: deploying.guid,
    original_instances: instances,
    others_json: JSON.stringify([{ processGuid: worker.guid, runSpecGuid: 'spec-of-worker', command: 'work' }]),
  });
  return { old, deploying, worker, deployment };
}

/** Its placements become copies that serve, as long as the test lasts. */
async function serve(store: Store, process: ProcessesTable, count: number): Promise<void> {
  const placements = await found(async () => {
    const rows = await placementsOf(store, process);
    return rows.length === count ? rows : null;
  });
  const copies = await store.read.selectFrom('copies').select('guid').execute();
  const known = new Set(copies.map(({ guid }) => guid));
  for (const placement of placements.filter(({ guid }) => !known.has(guid))) {
    const { guid, generation, process_guid, app_guid, index_number, run_spec_guid, cell_id } = placement;
    await aCopy(store, { guid, generation, process_guid, app_guid, index_number, run_spec_guid, cell_id });
  }
}

const placementsOf = (store: Store, { guid }: ProcessesTable): Promise<PlacementsTable[]> =>
  store.read.selectFrom('placements').selectAll().where('process_guid', '=', guid).execute();

const instancesOf = async (store: Store, { guid }: ProcessesTable): Promise<number | undefined> =>
  (await store.read.selectFrom('processes').select('instances').where('guid', '=', guid).executeTakeFirst())?.instances;

const stateOf = async (store: Store, guid: string): Promise<string> =>
  (await store.read.selectFrom('deployments').select('state').where('guid', '=', guid).executeTakeFirstOrThrow()).state;

test('a rolling deployment moves one instance at a time, and ends with the new process alone', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const { old, deploying, worker, deployment } = await aRollingApp(store);
  await serve(store, old, 2);
  await serve(store, deploying, 1);
  await found(async () => ((await instancesOf(store, old)) === 1 ? true : null));
  expect(await instancesOf(store, deploying)).toBe(2);
  await serve(store, deploying, 2);
  await found(async () => ((await stateOf(store, deployment.guid)) === 'DEPLOYED' ? true : null));
  expect(await instancesOf(store, old)).toBeUndefined();
  await found(async () => ((await placementsOf(store, old)).length === 0 ? true : null));
  expect(await placementsOf(store, deploying)).toHaveLength(2);
  const other = await store.read
    .selectFrom('processes')
    .selectAll()
    .where('guid', '=', worker.guid)
    .executeTakeFirstOrThrow();
  expect(other).toMatchObject({ run_spec_guid: 'spec-of-worker', command: 'work', start_sequence: 1 });
});

test('a version that is not ready leaves all of the old one placed, and a cancellation takes it away', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const { old, deploying, deployment } = await aRollingApp(store);
  await serve(store, old, 2);
  await found(async () => ((await placementsOf(store, deploying)).length === 1 ? true : null));
  expect(await instancesOf(store, old)).toBe(2);
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('deployments').set({ state: 'CANCELING' }).where('guid', '=', deployment.guid).execute();
    changed('deployment', deployment.guid);
  });
  await found(async () => ((await stateOf(store, deployment.guid)) === 'CANCELED' ? true : null));
  await found(async () => ((await placementsOf(store, deploying)).length === 0 ? true : null));
  expect(await placementsOf(store, old)).toHaveLength(2);
});

test('a canary deployment waits at each of its steps until somebody lets it go on', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const cell = await aCell(store);
  await scheduler.beat(cell.cell_id);
  const { old, deploying, deployment } = await aRollingApp(store);
  const write = (values: Partial<DeploymentsTable>) =>
    store.mutate(async ({ db, changed }) => {
      await db.updateTable('deployments').set(values).where('guid', '=', deployment.guid).execute();
      changed('deployment', deployment.guid);
    });
  await write({ state: 'PREPAUSED', strategy: 'canary', canary_step: 1, canary_weights_json: '[50,100]' });
  await serve(store, old, 2);
  await serve(store, deploying, 1);
  await found(async () => ((await stateOf(store, deployment.guid)) === 'PAUSED' ? true : null));
  expect([await instancesOf(store, old), await instancesOf(store, deploying)]).toEqual([2, 1]);
  const row = await store.read.selectFrom('deployments').select('status_reason').executeTakeFirstOrThrow();
  expect(row.status_reason).toBe('PAUSED');
  await write({ state: 'PREPAUSED', canary_step: 2 });
  await serve(store, deploying, 2);
  await found(async () => ((await stateOf(store, deployment.guid)) === 'PAUSED' ? true : null));
  expect([await instancesOf(store, old), await instancesOf(store, deploying)]).toEqual([0, 2]);
  await write({ state: 'DEPLOYING' });
  await found(async () => ((await stateOf(store, deployment.guid)) === 'DEPLOYED' ? true : null));
  expect(await instancesOf(store, old)).toBeUndefined();
});

test('a deployment of a stopped app waits', async () => {
  await using scheduler = await startTestScheduler();
  const { store } = scheduler;
  const { old, deployment } = await aRollingApp(store, { instances: 0 });
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('apps').set({ state: 'STOPPED', stopped_at: 1 }).where('guid', '=', old.app_guid).execute();
    await db.updateTable('deployments').set({ state: 'DEPLOYING', guid: randomUUID() }).execute();
    changed('app', old.app_guid);
  });
  const other = await aRollingApp(store, { instances: 0 });
  await found(async () => ((await stateOf(store, other.deployment.guid)) === 'DEPLOYED' ? true : null));
  const states = await store.read
    .selectFrom('deployments')
    .select('state')
    .where('app_guid', '=', deployment.app_guid)
    .execute();
  expect(states).toEqual([{ state: 'DEPLOYING' }]);
});
