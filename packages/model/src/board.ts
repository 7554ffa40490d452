/** A cluster's state laid out for one pass of `decide`: found by key instead of searched, with what the plan has taken away so far. */
import {
  type CellFacts,
  type ClusterState,
  type CopyFacts,
  type DesiredProcess,
  instanceKey,
  isCurrent,
  type Placement,
} from './cluster-state.ts';
import { errorsKey, type Observations } from './observe.ts';
import type { Withdraw, WithdrawCause } from './plan.ts';

/** A placement with all that is known of its copy. */
export interface Standing {
  placement: Placement;
  copy: CopyFacts | null;
  /** Runs what its process wants now, not a former run. */
  isCurrent: boolean;
  /** Its cell's lease is lost: the copy is SUSPECT, still routed and counted, and what is known of it may be old. */
  isLost: boolean;
  /** Lost, or its cell is being emptied, or cannot start it: it needs a successor elsewhere. */
  isLeaving: boolean;
  isRunning: boolean;
  /** RUNNING, ready, and said so by an agent whose lease stands: others may be stopped for it. */
  isServing: boolean;
}

export interface Board {
  state: ClusterState;
  seen: Observations;
  clockMs: number;
  cells: ReadonlyMap<string, CellFacts>;
  copies: ReadonlyMap<string, CopyFacts>;
  /** By process guid. */
  standings: ReadonlyMap<string, Standing[]>;
  withdrawn: Map<string, Withdraw>;
  /** Highest generation known for each instance. */
  generations: ReadonlyMap<string, number>;
  /** Something is due then: the earliest wins. */
  dueAt(clockMs: number): void;
  nextAtMs(): number | null;
}

export function layOut(state: ClusterState, seen: Observations, clockMs: number): Board {
  const cells = new Map(state.cells.map(cell => [cell.id, cell]));
  const copies = new Map(state.copies.filter(copy => copy.state !== 'GONE').map(copy => [copy.guid, copy]));
  const processes = new Map(state.processes.map(process => [process.guid, process]));
  const standings = new Map<string, Standing[]>();
  const generations = new Map<string, number>();
  for (const placement of state.placements) {
    const process = processes.get(placement.processGuid);
    const standing = stand(placement, { process, cells, copies, seen, clockMs });
    const others = standings.get(placement.processGuid);
    if (others === undefined) standings.set(placement.processGuid, [standing]);
    else others.push(standing);
  }
  for (const known of [...state.placements, ...state.copies]) {
    const key = instanceKey(known);
    generations.set(key, Math.max(generations.get(key) ?? 0, known.generation));
  }
  let nextAtMs: number | null = null;
  return {
    state,
    seen,
    clockMs,
    cells,
    copies,
    standings,
    withdrawn: new Map(),
    generations,
    dueAt: atMs => {
      if (atMs > clockMs && (nextAtMs === null || atMs < nextAtMs)) nextAtMs = atMs;
    },
    nextAtMs: () => nextAtMs,
  };
}

interface Around {
  process: DesiredProcess | undefined;
  cells: ReadonlyMap<string, CellFacts>;
  copies: ReadonlyMap<string, CopyFacts>;
  seen: Observations;
  clockMs: number;
}

function stand(placement: Placement, around: Around): Standing {
  const { process, cells, copies, seen } = around;
  const copy = copies.get(placement.guid) ?? null;
  const lease = seen.cells.get(placement.cellId);
  const isLost = lease === undefined || lease.lostAtMs !== null;
  const isRunning = copy?.state === 'RUNNING';
  return {
    placement,
    copy,
    isCurrent: process !== undefined && isCurrent(placement, process),
    isLost,
    isLeaving: isLost || cells.get(placement.cellId)?.isDrained === true || cannotStart(copy, placement, around),
    isRunning,
    isServing: isRunning && copy.routable && !isLost && lease.isProven,
  };
}

function cannotStart(
  copy: CopyFacts | null,
  { runSpecGuid, cellId }: Placement,
  { seen, clockMs }: { seen: Observations; clockMs: number },
): boolean {
  if (copy === null || copy.placementError === null || copy.state === 'RUNNING') return false;
  return pausedUntil(seen, { runSpecGuid, cellId }, clockMs) !== null;
}

/** Until when the cell gets no more of that run spec, because its starts failed there before the app's code ran; null: it does get it. */
export function pausedUntil(
  seen: Observations,
  { runSpecGuid, cellId }: { runSpecGuid: string; cellId: string },
  clockMs: number,
): number | null {
  const untilMs = seen.sandboxErrors.get(errorsKey(runSpecGuid, cellId))?.pausedUntilMs ?? null;
  return untilMs !== null && untilMs > clockMs ? untilMs : null;
}

/** Takes a placement away, unless the snapshot may be old: a start too many is waste, a stop too many is an outage. */
export function withdraw(board: Board, { placement }: Standing, why: { cause: WithdrawCause; reason: string }): void {
  if (!board.state.fresh || board.withdrawn.has(placement.guid)) return;
  const { guid, processGuid, index } = placement;
  board.withdrawn.set(guid, { do: 'withdraw', placementGuid: guid, processGuid, index, ...why });
}
