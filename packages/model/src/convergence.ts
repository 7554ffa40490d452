/**
 * The scheduler's decision: from desired state, placements, what agents report and what has been seen of them, to the placements that are to come and go.
 *
 * Keeps true: one placement of the current run for each wanted index (a second one only while its cell is lost or being emptied); a copy that serves goes
 * only by its user's will, for another one that serves, or to make room for its own successor; no cell above its capacity by our own books; stale data
 * starts things and stops nothing. Leaves out on purpose: restarts after a crash, which are the agent's alone.
 *
 * Called by the loop in `apps/scheduler` and by the simulated cluster, each pass anew and from the whole state: a lost message costs one pass.
 */
import { type Board, layOut } from './board.ts';
import { type ClusterState, instanceKey } from './cluster-state.ts';
import { CELL_LIMITS } from './limits.ts';
import type { Observations } from './observe.ts';
import { placeDemands, type Waiting } from './place-demands.ts';
import type { Action, Clear, Explain, Mark, Plan } from './plan.ts';
import { settle } from './settle.ts';

export interface DecideOptions {
  /** The monotonic clock that `observe` was given. */
  clockMs: number;
  /** How many copies may be starting at once in all; each cell has its own limit beside it. */
  startsInFlightMax: number;
}

/** What to change now, in the order to apply it. The same state always gives the same plan. */
export function decide(state: ClusterState, seen: Observations, options: DecideOptions): Plan {
  const board = layOut(state, seen, options.clockMs);
  const marks = markCells(board);
  const { places, waiting } = placeDemands(board, settle(board), options.startsInFlightMax);
  // Withdrawals are read last: a demand may take its own former copies away to have room.
  const actions: Action[] = [...marks, ...board.withdrawn.values(), ...places, ...explainWaiting(state, waiting)];
  return { actions, nextAtMs: board.nextAtMs() };
}

/** Brings `cells.state` in line with the leases and the operator's wish, and asks to be called when the next lease runs out. */
function markCells(board: Board): Mark[] {
  const marks: Mark[] = [];
  for (const { id, session, state, isDrained } of board.state.cells) {
    const lease = board.seen.cells.get(id);
    if (lease === undefined) continue;
    const isLost = lease.lostAtMs !== null;
    if (!isLost) board.dueAt(lease.movedAtMs + CELL_LIMITS.leaseTtlMs);
    const cellState = isLost ? 'LOST' : isDrained ? 'DRAINING' : 'ACTIVE';
    if (cellState !== state) marks.push({ do: 'mark', cellId: id, session, cellState });
  }
  return marks;
}

/** Who waits only for a turn that comes by itself keeps the reason that was written, and gets none. */
function explainWaiting({ errors }: ClusterState, waiting: readonly Waiting[]): Array<Explain | Clear> {
  const written = new Map(errors.map(error => [instanceKey(error), error]));
  const actions: Array<Explain | Clear> = [];
  for (const { demand, reason } of waiting) {
    // A copy of the current run stands, if only on a lost cell: there is nothing to tell.
    if (!demand.isBare) continue;
    const instance = { processGuid: demand.process.guid, index: demand.index };
    const key = instanceKey(instance);
    if (reason !== null && written.get(key)?.reason !== reason) actions.push({ do: 'explain', ...instance, reason });
    written.delete(key);
  }
  for (const { processGuid, index } of written.values()) actions.push({ do: 'clear', processGuid, index });
  return actions;
}
