/** Deployments and tasks of the simulated cluster, moved as `apps/scheduler` does it: decided and written in one step, before each pass of `decide`. */
import type { ClusterState } from '../cluster-state.ts';
import { countProcess, type DeploymentFacts, decideDeployment, type ProcessCount } from '../deployments.ts';
import { errorsKey, type Observations } from '../observe.ts';
import { type ActiveTaskState, decideTask } from '../tasks.ts';
import type { Judge } from './judge.ts';
import type { SimDeployment, SimTask } from './sim-store.ts';
import type { World } from './world.ts';

interface Look {
  state: ClusterState;
  seen: Observations;
}

export function moveAll(world: World, judge: Judge, look: Look): void {
  for (const deployment of world.store.deployments.values()) moveDeployment(world, judge, { deployment, look });
  for (const task of world.store.tasks.values()) moveTask(world, task, look);
}

/** Guids of an app's processes count up: the oldest comes first. */
function countsOf(state: ClusterState, appGuid: string): ProcessCount[] {
  return state.processes.filter(process => process.appGuid === appGuid).map(process => countProcess(process, state));
}

function moveDeployment(
  world: World,
  judge: Judge,
  { deployment, look }: { deployment: SimDeployment; look: Look },
): void {
  const { store } = world;
  const counts = countsOf(look.state, deployment.appGuid);
  const facts: DeploymentFacts = {
    ...deployment,
    deploying: counts.find(({ guid }) => guid === deployment.deployingGuid) ?? null,
    others: counts.filter(({ guid }) => guid !== deployment.deployingGuid),
  };
  const steps = decideDeployment(facts);
  if (steps.length === 0) return;
  judge.moves(deployment, steps);
  for (const step of steps) {
    world.note(() => `${deployment.appGuid} ${JSON.stringify(step)}`);
    if (step.do === 'remove') store.deleteProcess(step.processGuid);
    if (step.do === 'pause') store.writeDeployment({ ...deployment, state: 'PAUSED' });
    if (step.do === 'finish') store.writeDeployment({ ...deployment, state: step.state });
    if (step.do !== 'scale') continue;
    const process = store.processes.get(step.processGuid);
    if (process !== undefined) store.writeProcess({ ...process, instances: step.instances });
  }
}

function moveTask(world: World, task: SimTask, { state, seen }: Look): void {
  const { store, time } = world;
  if (task.state === 'SUCCEEDED' || task.state === 'FAILED') return;
  const placement = state.placements.find(({ processGuid }) => processGuid === task.guid);
  const present = new Set(state.copies.map(({ guid }) => guid));
  const copy = [...store.copies.values()].findLast(
    ({ guid, processGuid }) => processGuid === task.guid && present.has(guid),
  );
  const errors = copy === undefined ? undefined : seen.sandboxErrors.get(errorsKey(task.spec.guid, copy.cellId));
  const change = decideTask({
    state: task.state satisfies ActiveTaskState,
    ageMs: time.nowMs - task.askedAtMs,
    placement:
      placement === undefined ? null : { isCellLost: (seen.cells.get(placement.cellId)?.lostAtMs ?? null) !== null },
    copy:
      copy === undefined
        ? null
        : {
            state: copy.state,
            startErrors: errors?.count ?? 0,
            placementError: copy.placementError,
            exit:
              copy.exitCode === null ? null : { code: copy.exitCode, outOfMemory: false, reason: `${copy.exitCode}` },
          },
    waitingReason: null,
  });
  if (change === null) return;
  world.note(() => `${task.guid} is ${change.state} (${change.failureReason})`);
  store.writeTask({ ...task, state: change.state });
}
