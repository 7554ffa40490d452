/** When the faults have ended and time has passed: what users were told is what runs, nothing else does, and nobody moves any more. */
import { type DesiredProcess, instanceKey, isCurrent } from '../cluster-state.ts';
import { isProgressing } from '../deployments.ts';
import { holdersOn } from './judge.ts';
import type { Cluster } from './run.ts';
import { ROLLING_APP } from './users.ts';

export function judgeTheEnd(cluster: Cluster): void {
  const { world, users } = cluster;
  const { store } = world;
  const said = JSON.stringify([...users.ledger.entries()].sort());
  const own = [...store.processes.entries()].filter(([, { appGuid }]) => appGuid !== ROLLING_APP);
  const kept = JSON.stringify(own.sort());
  if (said !== kept) world.fail('what users were answered is not what the store has');
  for (const cell of store.cells.values())
    if (cell.state !== 'ACTIVE') world.fail(`the cell ${cell.id} is there and marked ${cell.state}`);
  for (const process of store.processes.values()) judgeProcess(cluster, process);
  judgeDeployment(cluster);
  judgeTasks(cluster);
  for (const placement of store.placements.values()) {
    const process = store.processes.get(placement.processGuid);
    if (process === undefined || !process.isStarted || placement.index >= process.instances)
      world.fail(`${instanceKey(placement)} is placed in the end though nobody wants it`);
  }
  for (const agent of cluster.agents.values())
    for (const guid of agent.bodies())
      if (store.placements.get(guid)?.cellId !== agent.id)
        world.fail(`${guid} runs on ${agent.id} in the end, unplaced`);
}

/** It has ended, or waits for its user with its canaries, or its version is a bad one, or has no room: then the former one serves. */
function judgeDeployment({ world }: Cluster) {
  const { store, badSpecs } = world;
  const deployment = store.deployments.get(ROLLING_APP);
  if (deployment === undefined) return;
  const processes = [...store.processes.values()].filter(({ appGuid }) => appGuid === ROLLING_APP);
  if (deployment.state === 'CANCELING') return world.fail('a cancelled deployment is not over in the end');
  const deploying = processes.find(({ guid }) => guid === deployment.deployingGuid);
  if (deployment.state === 'PAUSED') {
    if ((deploying?.instances ?? 0) < (deployment.canary?.canaries ?? 0)) world.fail('a deployment pauses too early');
    return;
  }
  if (!isProgressing(deployment.state)) {
    const [only] = processes;
    if (processes.length !== 1 || only?.instances !== deployment.wanted)
      world.fail(`after a deployment ${processes.length} processes are left`);
    return;
  }
  const isStuck = [...store.errors.values()].some(({ processGuid }) => processGuid === deployment.deployingGuid);
  if (!isStuck && !badSpecs.has(deploying?.spec?.guid ?? ''))
    world.fail('a good version is still being deployed in the end');
}

/** Each has ended, or waits for room and says so. */
function judgeTasks({ world }: Cluster) {
  const { store } = world;
  for (const { guid, state } of store.tasks.values()) {
    const isEnded = state === 'SUCCEEDED' || state === 'FAILED';
    const isWaiting = state === 'PENDING' && [...store.errors.values()].some(({ processGuid }) => processGuid === guid);
    if (!isEnded && !isWaiting) world.fail(`${guid} is ${state} in the end`);
  }
}

function judgeProcess(cluster: Cluster, process: DesiredProcess): void {
  if (!process.isStarted) return;
  for (let index = 0; index < process.instances; index++) judgeInstance(cluster, process, index);
}

function judgeInstance({ world, agents }: Cluster, process: DesiredProcess, index: number) {
  const { store, time, badSpecs } = world;
  const key = instanceKey({ processGuid: process.guid, index });
  const placed = [...store.placements.values()].filter(placement => instanceKey(placement) === key);
  const current = placed.filter(placement => isCurrent(placement, process));
  const isBad = badSpecs.has(process.spec?.guid ?? '');
  const [only] = current;
  if (current.length > 1) return world.fail(`${key} has ${current.length} placements of one run in the end`);
  if (only === undefined) {
    // Former copies go on serving while another index of a bad version crashes.
    if (isBad && placed.length > 0) return;
    if (!store.errors.has(key)) world.fail(`${key} is not placed in the end, and nobody says why`);
    const memoryMb = process.spec?.memoryMb ?? 0;
    for (const cell of store.cells.values()) {
      const used = holdersOn(store.snapshot(), cell.id).reduce((sum, holder) => sum + holder.memoryMb, 0);
      if (used + memoryMb <= cell.memoryMb) world.fail(`${key} is not placed in the end though ${cell.id} has room`);
    }
    return;
  }
  if (store.errors.has(key)) world.fail(`${key} is placed in the end and said to wait`);
  const record = agents.get(only.cellId)?.record(only.guid);
  if (record === undefined) return world.fail(`${key} is not taken up by ${only.cellId} in the end`);
  if (isBad) return;
  const waits = record.phase === 'waiting' && record.crashCount > 2 && (record.startAtMs ?? 0) > time.nowMs;
  if (waits) return;
  if (record.phase !== 'running') return world.fail(`${key} is ${record.phase} in the end`);
  if (store.copies.get(only.guid)?.state !== 'RUNNING')
    world.fail(`${key} runs in the end and the store does not know`);
  if (placed.length > 1) world.fail(`${key} runs in the end and its former copies were not withdrawn`);
}
