/**
 * Between the snapshot that a plan was decided from and its being written, the world moves on. What of the plan may still be written, judged in the
 * writing transaction itself: only actions whose every ground is as it was, and only while the cell has the room. So an old plan, even one of a scheduler that
 * was frozen for an hour, never moves anything backwards; what is left out is decided anew by the next pass.
 */
import { type CellFacts, type ClusterState, instanceKey } from './cluster-state.ts';
import { addLoad, emptyLoad, fits, type LoadedCell } from './placement.ts';
import type { Action, Place, Withdraw } from './plan.ts';

/** A plan that waited longer than a pass is not written at all: nobody has looked at the leases since (ours). */
const PLAN_AGE_MAX_MS = 5_000;

export interface Moment {
  /** What the plan was decided from. */
  before: ClusterState;
  /** As it is in the writing transaction. */
  now: ClusterState;
  /** Between the two, by a monotonic clock. */
  ageMs: number;
}

/**
 * The actions to write, in order.
 * @param moment `now` holds at least every process that `actions` name with all its placements and copies, and everything on the cells that they name.
 */
export function stillHolding({ before, now, ageMs }: Moment, actions: readonly Action[]): Action[] {
  if (ageMs > PLAN_AGE_MAX_MS) return [];
  const was = groundsIn(before);
  const is = groundsIn(now);
  const books = openBooks(now);
  return actions.filter(action => {
    if (was(action) !== is(action)) return false;
    if (action.do === 'withdraw') books.release(action);
    return action.do !== 'place' || books.reserve(action);
  });
}

/** Everything that an action of that kind is decided from, as text to compare. */
function groundsIn(state: ClusterState): (action: Action) => string {
  const processes = new Map(state.processes.map(process => [process.guid, process]));
  const cells = new Map(state.cells.map(cell => [cell.id, cell]));
  const placements = Map.groupBy(state.placements, instanceKey);
  const copies = Map.groupBy(state.copies, instanceKey);
  const ofCell = (id: string): unknown => {
    const cell = cells.get(id);
    return cell === undefined ? null : [cell.session, cell.state];
  };
  return action => {
    if (action.do === 'mark') {
      const counter = action.cellState === 'LOST' ? cells.get(action.cellId)?.counter : null;
      return JSON.stringify([ofCell(action.cellId), counter]);
    }
    const process = processes.get(action.processGuid);
    const key = instanceKey(action);
    return JSON.stringify([
      process === undefined
        ? null
        : [
            process.isStarted,
            process.stoppedAt,
            process.instances,
            process.spec?.guid ?? null,
            process.startSequence,
            process.indexStarts[String(action.index)] ?? 0,
          ],
      (placements.get(key) ?? []).map(({ guid, cellId }) => [guid, ofCell(cellId)]).sort(),
      (copies.get(key) ?? []).map(({ guid, state, attempt, routable }) => [guid, state, attempt, routable]).sort(),
      action.do === 'place' ? ofCell(action.cellId) : null,
    ]);
  };
}

/** Rooms of the cells by our own books, as the actions written so far leave them. */
function openBooks({ cells, placements, copies }: ClusterState) {
  const loads = new Map<string, LoadedCell>(cells.map((cell: CellFacts) => [cell.id, { cell, load: emptyLoad() }]));
  const placed = new Map(placements.map(placement => [placement.guid, placement]));
  const present = new Set(copies.filter(copy => copy.state !== 'GONE').map(copy => copy.guid));
  const held = [...placements, ...copies.filter(copy => present.has(copy.guid) && !placed.has(copy.guid))];
  for (const holder of held) {
    const loaded = loads.get(holder.cellId);
    if (loaded !== undefined) addLoad(loaded.load, holder);
  }
  return {
    /** A copy that its agent knows of holds its room until it is gone. */
    release: ({ placementGuid }: Withdraw): void => {
      const placement = placed.get(placementGuid);
      const loaded = placement === undefined ? undefined : loads.get(placement.cellId);
      if (placement !== undefined && loaded !== undefined && !present.has(placementGuid))
        addLoad(loaded.load, placement, -1);
    },
    reserve: (place: Place): boolean => {
      const loaded = loads.get(place.cellId);
      if (loaded === undefined || !fits(loaded, place)) return false;
      addLoad(loaded.load, place);
      return true;
    },
  };
}
