/**
 * Writes what has become of tasks (`@cupola/model/tasks`): what their cells report, and what has happened to those cells. A task that has ended wants nothing
 * any more, so the same pass withdraws its placement. Decided from the pass's snapshot first, so that a pass without any tasks writes nothing.
 */
import type { ClusterState } from '@cupola/model/cluster-state';
import { errorsKey, type Observations } from '@cupola/model/observe';
import { type ActiveTaskState, decideTask, type TaskChange, type TaskFacts, taskDueInMs } from '@cupola/model/tasks';
import type { CopiesTable, Database, TasksTable } from '@cupola/store/schema';
import type { Mutation, Store } from '@cupola/store/store';
import { recordTaskUsage } from '@cupola/store/usage-events';
import type { Kysely } from 'kysely';
import type { Leadership } from './leadership.ts';
import { readState } from './read-state.ts';

interface Deps {
  store: Store;
  leadership: Leadership;
  /** Epoch ms. */
  now(): number;
  /** Without copies that cannot be there any more. */
  view(whole: ClusterState): ClusterState;
}

export interface MovedTasks {
  /** What was done, a sentence each. */
  said: string[];
  /** When one is due by time alone, ms from now; null: none is. */
  dueInMs: number | null;
}

/** @throws FencedError under another leader. */
export async function moveTasks(
  { store, leadership, now, view }: Deps,
  read: ClusterState,
  seen: Observations,
): Promise<MovedTasks> {
  const tasks = await activeTasks(store.read);
  if (tasks.length === 0) return { said: [], dueInMs: null };
  const copies = await copiesOf(store.read);
  const said: string[] = [];
  let dueInMs: number | null = null;
  for (const task of tasks) {
    const facts = factsOf(task, { state: view(read), seen, copies, now: now() });
    const due = taskDueInMs(facts);
    if (due !== null && (dueInMs === null || due < dueInMs)) dueInMs = due;
    if (decideTask(facts) === null) continue;
    const change = await store.mutate(mutation => move(mutation, { leadership, seen, view, guid: task.guid }));
    if (change !== null)
      said.push(
        `task ${task.guid} is ${change.state}${change.failureReason === null ? '' : `: ${change.failureReason}`}`,
      );
  }
  return { said, dueInMs };
}

interface Moving extends Pick<Deps, 'leadership' | 'view'> {
  seen: Observations;
  guid: string;
}

async function move(mutation: Mutation, { leadership, seen, view, guid }: Moving): Promise<TaskChange | null> {
  const { db, now, changed } = mutation;
  await leadership.check(db);
  const task = (await activeTasks(db)).find(one => one.guid === guid);
  if (task === undefined) return null;
  const facts = factsOf(task, { state: view(await readState(db)), seen, copies: await copiesOf(db), now });
  const change = decideTask(facts);
  if (change === null) return null;
  const hasEnded = change.state === 'SUCCEEDED' || change.state === 'FAILED';
  await db
    .updateTable('tasks')
    .set({
      state: change.state,
      failure_reason: change.failureReason,
      updated_at: now,
      ended_at: hasEnded ? now : null,
    })
    .where('guid', '=', guid)
    .execute();
  if (hasEnded) {
    await db.deleteFrom('placement_errors').where('process_guid', '=', guid).execute();
    await recordTaskUsage(mutation, task, 'TASK_STOPPED');
  }
  const home = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.space_guid', 'spaces.organization_guid'])
    .where('apps.guid', '=', task.app_guid)
    .executeTakeFirst();
  changed('task', guid, { spaceGuid: home?.space_guid ?? null, organizationGuid: home?.organization_guid ?? null });
  return change;
}

type ActiveTask = Pick<TasksTable, 'guid' | 'app_guid' | 'created_at' | 'run_spec_guid' | 'name' | 'memory_mb'> & {
  state: ActiveTaskState;
};

async function activeTasks(db: Kysely<Database>): Promise<ActiveTask[]> {
  const rows = await db
    .selectFrom('tasks')
    .select(['guid', 'app_guid', 'created_at', 'run_spec_guid', 'name', 'memory_mb', 'state'])
    .where('state', 'in', ['PENDING', 'RUNNING', 'CANCELING'])
    .orderBy('created_at')
    .execute();
  return rows as ActiveTask[];
}

/** Copies of tasks, by the task's guid; the newest of several. */
async function copiesOf(db: Kysely<Database>): Promise<Map<string, CopiesTable>> {
  const rows = await db
    .selectFrom('copies')
    .innerJoin('tasks', 'tasks.guid', 'copies.process_guid')
    .selectAll('copies')
    .where('tasks.state', 'in', ['PENDING', 'RUNNING', 'CANCELING'])
    .orderBy('copies.generation')
    .execute();
  return new Map(rows.map(row => [row.process_guid, row]));
}

interface Ground {
  state: ClusterState;
  seen: Observations;
  copies: ReadonlyMap<string, CopiesTable>;
  now: number;
}

function factsOf(task: ActiveTask, { state, seen, copies, now }: Ground): TaskFacts {
  const placement = state.placements.find(({ processGuid }) => processGuid === task.guid);
  const newest = copies.get(task.guid);
  const copy = state.copies.some(({ guid }) => guid === newest?.guid) ? newest : undefined;
  const lease = placement === undefined ? undefined : seen.cells.get(placement.cellId);
  const errors = copy === undefined ? undefined : seen.sandboxErrors.get(errorsKey(task.run_spec_guid, copy.cell_id));
  return {
    state: task.state,
    ageMs: Math.max(0, now - task.created_at),
    // A cell that the scheduler has not looked at yet is not lost.
    placement: placement === undefined ? null : { isCellLost: (lease?.lostAtMs ?? null) !== null },
    copy:
      copy === undefined
        ? null
        : {
            state: copy.state,
            startErrors: errors?.count ?? 0,
            placementError: copy.placement_error,
            exit: copy.exit_json === null ? null : exitOf(copy.exit_json),
          },
    waitingReason: state.errors.find(({ processGuid }) => processGuid === task.guid)?.reason ?? null,
  };
}

function exitOf(text: string): NonNullable<TaskFacts['copy']>['exit'] {
  const { code, outOfMemory, reason } = JSON.parse(text) as NonNullable<NonNullable<TaskFacts['copy']>['exit']>;
  return { code, outOfMemory, reason };
}
