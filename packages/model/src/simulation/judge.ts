/**
 * The invariants, judged by what is true in the simulated world and not by what its inhabitants believe. Nothing here is shared with the code under test:
 * the crash table stands here a second time, the rules of placing and stopping are written from fault-testing.md.
 */
import {
  type ClusterState,
  type CopyFacts,
  type DesiredProcess,
  instanceKey,
  type Placement,
  sequenceOf,
} from '../cluster-state.ts';
import type { DeploymentStep } from '../deployments.ts';
import type { Action, Place, Withdraw } from '../plan.ts';
import type { SimDeployment } from './sim-store.ts';
import type { World } from './world.ts';

const TTL_MS = 15_000;
const LINGER_MS = 2_000;
const FORGIVEN_MS = 300_000;
/** failure-rules.md section 2: ms to wait after crash 1, 2, 3 ...; the last one holds on. */
const WAITS_MS = [0, 0, 30_000, 60_000, 120_000, 240_000, 480_000, 960_000];

/** What a plan was decided from, and by whom. */
export interface Ground {
  state: ClusterState;
  places: readonly Place[];
  snapshotAtMs: number;
  /** When the same scheduler looked before; a first look counts as its own. */
  lookedBeforeMs: number;
  leadsSinceMs: number;
}

export interface Judge {
  /** Before an action of a plan is written. `books` is the store as the scheduler reads it now. */
  writes(action: Action, ground: Ground, books: ClusterState): void;
  /** A copy begins to start. */
  starts(record: { guid: string; attempt: number; crashCount: number }, atMs: number): void;
  crashed(guid: string, end: { ranMs: number; atMs: number; before: number; after: number }): void;
  /** Before the steps of a deployment are written. */
  moves(deployment: SimDeployment, steps: readonly DeploymentStep[]): void;
  /** Code of a copy begins to run. */
  runs(placement: Placement): void;
  /** A copy that runs is asked to stop. */
  stops(cellId: string, guid: string): void;
}

export function makeJudge(world: World): Judge {
  const generations = new Map<string, number>();
  const crashes = new Map<string, { atMs: number; count: number }>();
  /** Tasks whose code has run. */
  const ran = new Set<string>();
  return {
    writes: (action, ground, books) => {
      if (action.do === 'place') {
        judgePlace(world, action, { ground, books });
        const key = instanceKey(action);
        if (action.generation <= (generations.get(key) ?? 0))
          world.fail(`${key}: generation ${action.generation} was used before`);
        generations.set(key, action.generation);
      }
      if (action.do === 'withdraw') judgeWithdrawal(world, action, ground);
    },
    starts: ({ guid, crashCount }, atMs) => {
      const crash = crashes.get(guid);
      if (crash === undefined) return;
      crashes.delete(guid);
      // A newer word of its user has reset the count: it may start at once.
      if (crashCount === 0) return;
      const waitMs = WAITS_MS[Math.min(crash.count, WAITS_MS.length) - 1] ?? 0;
      if (atMs < crash.atMs + waitMs) world.fail(`${guid} starts ${crash.atMs + waitMs - atMs} ms too early`);
    },
    crashed: (guid, { ranMs, atMs, before, after }) => {
      const count = ranMs > FORGIVEN_MS ? 1 : before + 1;
      if (after !== count) world.fail(`${guid} has crash number ${after} instead of ${count}`);
      crashes.set(guid, { atMs, count });
    },
    moves: (deployment, steps) => judgeMoves(world, deployment, steps),
    runs: ({ processGuid }) => {
      if (!processGuid.startsWith('task-')) return;
      // What a machine did not live to tell nobody knows.
      const isKnown = world.store.tasks.get(processGuid)?.state !== 'PENDING';
      if (ran.has(processGuid) && isKnown) world.fail(`${processGuid} runs a second time`);
      ran.add(processGuid);
    },
    stops: (cellId, guid) => {
      if (world.store.placements.has(guid)) world.fail(`${cellId} stops ${guid}, which is placed there`);
    },
  };
}

/** What the store knows to serve of the app that is moved: never fewer than are wanted, unless fewer served before. */
function judgeMoves({ store, fail }: World, deployment: SimDeployment, steps: readonly DeploymentStep[]): void {
  const wanted = new Map<string, number>();
  for (const process of store.processes.values())
    if (process.appGuid === deployment.appGuid) wanted.set(process.guid, process.instances);
  const serving = (): number =>
    [...store.placements.values()].filter(placement => {
      const copy = store.copies.get(placement.guid);
      const isLost = store.cells.get(placement.cellId)?.state === 'LOST';
      const isKept = placement.index < (wanted.get(placement.processGuid) ?? 0);
      return isKept && !isLost && copy?.state === 'RUNNING' && copy.routable;
    }).length;
  const before = serving();
  for (const step of steps) {
    if (step.do === 'scale') wanted.set(step.processGuid, step.instances);
    if (step.do === 'remove') wanted.delete(step.processGuid);
  }
  // A cancellation goes back to what is left of the former version, and fills it up again.
  const least = deployment.state === 'CANCELING' ? 0 : Math.min(before, deployment.wanted);
  if (serving() < least)
    fail(`${deployment.appGuid}: ${serving()} of ${before} are left to serve, ${deployment.wanted} are wanted`);
}

interface Case {
  ground: Ground;
  books: ClusterState;
}

const runsWanted = (placement: Placement | Place, process: DesiredProcess | undefined): boolean =>
  process?.isStarted === true &&
  placement.index < process.instances &&
  placement.runSpecGuid === process.spec?.guid &&
  placement.startSequence === sequenceOf(process, placement.index);

function judgePlace(world: World, place: Place, { ground, books }: Case): void {
  const key = instanceKey(place);
  const task = world.store.tasks.get(place.processGuid);
  if (task !== undefined && task.state !== 'PENDING') world.fail(`${key} is placed though it is ${task.state}`);
  const process = world.store.processes.get(place.processGuid);
  if (task === undefined && !runsWanted(place, process)) world.fail(`${key} is placed though nobody wants it so`);
  for (const other of world.store.placements.values()) {
    if (instanceKey(other) !== key || !runsWanted(other, process)) continue;
    if (!maySucceed(world, other, ground)) world.fail(`${key} is placed beside ${other.guid}, whose cell is live`);
  }
  const cell = world.store.cells.get(place.cellId);
  const memoryMb = holdersOn(books, place.cellId).reduce((sum, holder) => sum + holder.memoryMb, place.memoryMb);
  if (cell === undefined || memoryMb > cell.memoryMb) world.fail(`${place.cellId} is over its memory: ${memoryMb}M`);
}

/** Two copies of one run: only when the cell was silent for a whole lease, or could not start it. */
function maySucceed(world: World, other: Placement, { snapshotAtMs, leadsSinceMs, state }: Ground): boolean {
  const wasSilent = world.heardBefore(other.cellId, snapshotAtMs) <= snapshotAtMs - TTL_MS;
  const wasLost = state.cells.find(({ id }) => id === other.cellId)?.state === 'LOST';
  const couldNotStart = state.copies.some(({ guid, placementError }) => guid === other.guid && placementError !== null);
  // A new leader believes a cell lost that was marked so before its time, until it hears of it: at most a lease long.
  return wasSilent || couldNotStart || (wasLost && snapshotAtMs - leadsSinceMs < TTL_MS);
}

function judgeWithdrawal(world: World, withdrawal: Withdraw, ground: Ground) {
  const { store, time } = world;
  const placement = store.placements.get(withdrawal.placementGuid);
  if (placement === undefined) return world.fail(`${withdrawal.placementGuid} is withdrawn twice`);
  const key = instanceKey(placement);
  const process = store.processes.get(placement.processGuid);
  if (process === undefined || (process.isStarted && placement.index >= process.instances)) return;
  if (!process.isStarted) {
    if (time.nowMs - (process.stoppedAt ?? 0) < LINGER_MS) world.fail(`${key} is withdrawn before it has lingered`);
    return;
  }
  if (store.copies.get(placement.guid)?.state !== 'RUNNING') {
    if (withdrawal.cause === 'unwanted') world.fail(`${key} is withdrawn as unwanted though it is wanted`);
    return;
  }
  if (withdrawal.cause === 'room') return judgeRoom(world, placement, ground);
  const successor = [...store.placements.values()].find(
    other =>
      other.guid !== placement.guid &&
      instanceKey(other) === key &&
      runsWanted(other, process) &&
      serves(world, other, ground),
  );
  if (successor === undefined) world.fail(`${key} is withdrawn while it runs and nobody else serves`);
}

/** As far as a scheduler can know, which sees a sign of life when it looks, up to a lease late. */
function serves(world: World, { guid, cellId }: Placement, { lookedBeforeMs }: Ground): boolean {
  const copy: CopyFacts | undefined = world.store.copies.get(guid);
  const heardAtMs = Math.max(world.heardBefore(cellId, world.time.nowMs), world.reportedAtMs.get(cellId) ?? 0);
  return copy?.state === 'RUNNING' && copy.routable && heardAtMs >= lookedBeforeMs - 2 * TTL_MS;
}

/** A copy of a former run goes first only where both do not fit on any cell that is there. */
function judgeRoom(world: World, placement: Placement, ground: Ground) {
  const process = world.store.processes.get(placement.processGuid);
  if (process?.spec == null || runsWanted(placement, process))
    return world.fail(`${instanceKey(placement)} makes room though it is what is wanted`);
  const { memoryMb, guid } = process.spec;
  const taken = { ...ground.state, placements: [...ground.state.placements, ...ground.places] };
  const roomy = ground.state.cells.find(
    cell =>
      cell.state === 'ACTIVE' &&
      world.heardBefore(cell.id, ground.snapshotAtMs) > ground.snapshotAtMs - TTL_MS &&
      holdersOn(taken, cell.id).reduce((sum, holder) => sum + holder.memoryMb, memoryMb) <= cell.memoryMb,
  );
  if (roomy !== undefined && !world.sandboxesFailed)
    world.fail(`${instanceKey(placement)} makes room for ${guid} though ${roomy.id} has it`);
}

interface Books {
  placements: ReadonlyArray<{ guid?: string; cellId: string; memoryMb: number }>;
  copies: readonly CopyFacts[];
}

/** By the books: what is placed there, and what has no placement any more but is not gone. */
export function holdersOn({ placements, copies }: Books, cellId: string): Array<{ memoryMb: number }> {
  const placed = new Set(placements.map(({ guid }) => guid));
  return [...placements, ...copies.filter(({ guid }) => !placed.has(guid))].filter(holder => holder.cellId === cellId);
}
