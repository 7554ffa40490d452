/**
 * What a plan must never do, written a second time and from the other side than `decide`: the loop applies no plan that breaks one of these and raises an
 * alarm instead; tests and the simulated cluster call it after every decision.
 */
import {
  type CellFacts,
  type ClusterState,
  type CopyFacts,
  type DesiredProcess,
  instanceKey,
  type Placement,
  sequenceOf,
} from './cluster-state.ts';
import { CELL_LIMITS } from './limits.ts';
import type { Observations } from './observe.ts';
import type { Action, Place, Withdraw } from './plan.ts';

interface Facts {
  state: ClusterState;
  seen: Observations;
  places: readonly Place[];
  processes: ReadonlyMap<string, DesiredProcess>;
  cells: ReadonlyMap<string, CellFacts>;
  copies: ReadonlyMap<string, CopyFacts>;
  placements: ReadonlyMap<string, Placement>;
  /** By instance, without those that the plan withdraws. */
  kept: ReadonlyMap<string, Placement[]>;
}

/** The broken invariants, a sentence each; empty when the plan may be applied. */
export function checkPlan(state: ClusterState, seen: Observations, actions: readonly Action[]): string[] {
  if (actions.length === 0) return [];
  const withdrawals = actions.filter(action => action.do === 'withdraw');
  const gone = new Set(withdrawals.map(({ placementGuid }) => placementGuid));
  const facts: Facts = {
    state,
    seen,
    places: actions.filter(action => action.do === 'place'),
    processes: new Map(state.processes.map(process => [process.guid, process])),
    cells: new Map(state.cells.map(cell => [cell.id, cell])),
    copies: new Map(state.copies.map(copy => [copy.guid, copy])),
    placements: new Map(state.placements.map(placement => [placement.guid, placement])),
    kept: Map.groupBy(
      state.placements.filter(({ guid }) => !gone.has(guid)),
      instanceKey,
    ),
  };
  return [
    ...checkOwners(facts),
    ...facts.places.flatMap(place => checkPlace(facts, place)),
    ...withdrawals.flatMap(withdrawal => checkWithdrawal(facts, withdrawal)),
    ...checkCapacity(facts),
  ];
}

function isAway({ seen }: Facts, cellId: string): boolean {
  const lease = seen.cells.get(cellId);
  return lease === undefined || lease.lostAtMs !== null;
}

function runsWhatIsWanted(placement: Placement | Place, { processes }: Facts): boolean {
  const process = processes.get(placement.processGuid);
  return (
    process?.isStarted === true &&
    placement.index < process.instances &&
    placement.runSpecGuid === process.spec?.guid &&
    placement.startSequence === sequenceOf(process, placement.index)
  );
}

/** One owner for each index: its newest placement. Another one of the same run only where the cell is lost, drained, or could not start it. */
function checkOwners(facts: Facts): string[] {
  const broken: string[] = [];
  const highest = new Map<string, number>();
  for (const known of [...facts.state.placements, ...facts.state.copies])
    highest.set(instanceKey(known), Math.max(known.generation, highest.get(instanceKey(known)) ?? 0));
  for (const place of facts.places) {
    const key = instanceKey(place);
    if (place.generation <= (highest.get(key) ?? 0))
      broken.push(`${key} is placed with generation ${place.generation}, which is not its highest`);
    highest.set(key, Number.POSITIVE_INFINITY);
    for (const other of facts.kept.get(key) ?? []) {
      const mayDouble =
        isAway(facts, other.cellId) ||
        facts.cells.get(other.cellId)?.isDrained === true ||
        typeof facts.copies.get(other.guid)?.placementError === 'string';
      if (!mayDouble && runsWhatIsWanted(other, facts))
        broken.push(`${key} is placed although ${other.guid} stands on the live cell ${other.cellId}`);
    }
  }
  return broken;
}

function checkPlace(facts: Facts, place: Place): string[] {
  const broken: string[] = [];
  if (!runsWhatIsWanted(place, facts))
    broken.push(`${instanceKey(place)} is placed although nobody wants that run of it`);
  const cell = facts.cells.get(place.cellId);
  if (cell === undefined || cell.isDrained || isAway(facts, place.cellId))
    broken.push(`${instanceKey(place)} is placed on the cell ${place.cellId}, which takes nothing`);
  return broken;
}

/** A copy that runs is taken away for its user's will, for another one that serves, or by its own successor that needs the room. */
function checkWithdrawal(facts: Facts, { placementGuid, cause }: Withdraw): string[] {
  const placement = facts.placements.get(placementGuid);
  if (placement === undefined) return [`${placementGuid} is withdrawn but was not placed`];
  const key = instanceKey(placement);
  if (!facts.state.fresh) return [`${key} is withdrawn on data that may be old`];
  const process = facts.processes.get(placement.processGuid);
  const copy = facts.copies.get(placementGuid);
  const isWanted = process?.isStarted === true && placement.index < process.instances;
  if (!isWanted || copy?.state !== 'RUNNING') return [];
  const isOfFormerRun = !runsWhatIsWanted(placement, facts);
  if (isOfFormerRun && cause === 'room') return [];
  const asReady = copy.routable || isOfFormerRun;
  const hasSuccessor = (facts.kept.get(key) ?? []).some(
    other => runsWhatIsWanted(other, facts) && runsNow(facts, other, { asReady }),
  );
  return hasSuccessor ? [] : [`${key} is withdrawn while it runs and no other copy serves`];
}

/** By the word of an agent whose lease stands. */
function runsNow({ copies, seen }: Facts, placement: Placement, { asReady }: { asReady: boolean }): boolean {
  const copy = copies.get(placement.guid);
  const lease = seen.cells.get(placement.cellId);
  return copy?.state === 'RUNNING' && (copy.routable || !asReady) && lease?.lostAtMs === null && lease.isProven;
}

/** By our own books: what is placed, and what has no placement any more but is not gone. What was too much before may stay. */
function checkCapacity({ state, places, cells, kept }: Facts): string[] {
  if (places.length === 0) return [];
  const placed = [...kept.values()].flat();
  const placedGuids = new Set(placed.map(({ guid }) => guid));
  const ending = state.copies.filter(copy => copy.state !== 'GONE' && !placedGuids.has(copy.guid));
  const holders = Map.groupBy([...placed, ...ending, ...places], holder => holder.cellId);
  const broken: string[] = [];
  for (const cellId of new Set(places.map(place => place.cellId))) {
    const cell = cells.get(cellId);
    const here = holders.get(cellId) ?? [];
    if (cell === undefined) continue;
    const memoryMb = here.reduce((sum, holder) => sum + holder.memoryMb, 0);
    const diskMb = here.reduce((sum, holder) => sum + holder.diskMb, 0);
    if (memoryMb > cell.memoryMb) broken.push(`the cell ${cellId} is over its memory`);
    if (diskMb > cell.diskMb) broken.push(`the cell ${cellId} is over its disk`);
    if (here.length > Math.min(cell.copiesMax, CELL_LIMITS.copiesMax))
      broken.push(`the cell ${cellId} has too many copies`);
  }
  return broken;
}
