/**
 * Second half of a pass: each index that wants a placement gets the best cell; or waits for its turn, or for room that is coming; or its own former copies
 * make room, one at a time as long as another one serves; or its user reads why it waits.
 */
import { type Board, type Standing, withdraw } from './board.ts';
import { instanceKey, type SpecFacts, sequenceOf } from './cluster-state.ts';
import { addRoom, type Floor, isPaused, measure, needKey, reserveComing } from './floor.ts';
import { CELL_LIMITS } from './limits.ts';
import { errorsKey } from './observe.ts';
import { fits, type LoadedCell, suits } from './placement.ts';
import type { Place } from './plan.ts';
import type { Demand } from './settle.ts';
import { brakeReason, laterReason, noCellReason, noRoomReason, pausedReason } from './waiting-reasons.ts';

export interface Waiting {
  demand: Demand;
  /** For its user; null: its turn comes by itself in a moment. */
  reason: string | null;
}

export function placeDemands(
  board: Board,
  demands: readonly Demand[],
  startsInFlightMax: number,
): { places: Place[]; waiting: Waiting[] } {
  const places: Place[] = [];
  const waiting: Waiting[] = [];
  if (demands.length === 0) return { places, waiting };
  const { brakeUntilMs } = board.seen;
  if (brakeUntilMs !== null && brakeUntilMs > board.clockMs) {
    board.dueAt(brakeUntilMs);
    return { places, waiting: demands.map(demand => ({ demand, reason: brakeReason(demand.index) })) };
  }
  const floor = measure(board, startsInFlightMax);
  for (const demand of demands.toSorted(inFairOrder)) {
    const spec = demand.process.spec as SpecFacts;
    if (floor.startsLeft <= 0 && floor.cells.length > 0) {
      waiting.push({ demand, reason: null });
      continue;
    }
    const chosen = chooseCell(floor, demand, spec);
    if (chosen === null) waiting.push({ demand, reason: waitFor(floor, demand, spec) });
    else places.push(placeOn(floor, demand, { spec, chosen }));
  }
  return { places, waiting };
}

/** The first instance of every app before the second of any, the large before the small: so scarce room serves as many apps as it can. */
function inFairOrder(a: Demand, b: Demand): number {
  if (a.index !== b.index) return a.index - b.index;
  const larger = (b.process.spec?.memoryMb ?? 0) - (a.process.spec?.memoryMb ?? 0);
  if (larger !== 0) return larger;
  return a.process.guid < b.process.guid ? -1 : 1;
}

function chooseCell(floor: Floor, { process, avoid }: Demand, spec: SpecFacts): LoadedCell | null {
  const key = needKey(floor.board, spec);
  if (floor.turnedAway.has(key)) return null;
  const mayTake = ({ cell, load }: LoadedCell): boolean =>
    load.starting < CELL_LIMITS.startsInFlight && !isPaused(floor.board, spec.guid, cell.id);
  const elsewhere = (loaded: LoadedCell): boolean => loaded.cell.id !== avoid && mayTake(loaded);
  const chosen =
    floor.placer.choose(process.appGuid, spec, elsewhere) ??
    (avoid === null ? null : floor.placer.choose(process.appGuid, spec, mayTake));
  if (chosen === null) floor.turnedAway.add(key);
  return chosen;
}

function placeOn(floor: Floor, demand: Demand, { spec, chosen }: { spec: SpecFacts; chosen: LoadedCell }): Place {
  const { process, index, reason } = demand;
  const { generations, state } = floor.board;
  floor.placer.place(process.appGuid, spec, chosen);
  floor.startsLeft--;
  floor.underWay.add(process.guid);
  const known = generations.get(instanceKey({ processGuid: process.guid, index })) ?? 0;
  return {
    do: 'place',
    processGuid: process.guid,
    appGuid: process.appGuid,
    index,
    generation: Math.max(known, state.generationFloor) + 1,
    cellId: chosen.cell.id,
    runSpecGuid: spec.guid,
    startSequence: sequenceOf(process, index),
    memoryMb: spec.memoryMb,
    diskMb: spec.diskMb,
    reason,
  };
}

/** What a demand that no cell takes now waits for, as its user reads it; null when it comes by itself. */
function waitFor(floor: Floor, demand: Demand, spec: SpecFacts): string | null {
  const { board } = floor;
  const { process, index } = demand;
  const suitable = floor.cells.filter(({ cell }) => suits(cell, spec));
  const open = suitable.filter(({ cell }) => !isPaused(board, spec.guid, cell.id));
  if (open.some(loaded => fits(loaded, spec))) return null;
  const nothingMore = { memoryMb: 0, diskMb: 0, copies: 0 };
  if (open.some(loaded => reserveComing(floor, loaded, { need: spec, more: nothingMore }))) {
    floor.underWay.add(process.guid);
    return null;
  }
  const own = new Set(demand.formers.map(({ placement }) => placement.cellId));
  const ownFirst = [...open.filter(({ cell }) => own.has(cell.id)), ...open.filter(({ cell }) => !own.has(cell.id))];
  const outcomes = ownFirst.values().map(loaded => makeRoom(floor, demand, { spec, loaded }));
  const outcome = outcomes.find(found => found !== 'no room');
  if (outcome !== undefined) return outcome === 'made' ? null : laterReason(index);
  if (suitable.length === 0) return noCellReason(index, { spec, cells: floor.cells.map(({ cell }) => cell) });
  if (open.length > 0) return noRoomReason(index, { spec, cells: open });
  const [first] = suitable;
  const errors = board.seen.sandboxErrors.get(errorsKey(spec.guid, first?.cell.id ?? ''));
  return pausedReason(index, errors?.reason ?? '');
}

/**
 * Takes as many copies of former runs away from this cell as the new one needs, its own index's first. Never the last one that serves while another index
 * is on its way: requests have somewhere to go until that one serves. With nobody on the way the router holds them (failure-rules.md section 5).
 * @returns `later`: as soon as that other index serves.
 */
function makeRoom(
  floor: Floor,
  demand: Demand,
  { spec, loaded }: { spec: SpecFacts; loaded: LoadedCell },
): 'made' | 'later' | 'no room' {
  const { board } = floor;
  if (!board.state.fresh) return 'no room';
  const standings = (board.standings.get(demand.process.guid) ?? []).filter(
    ({ placement }) => !board.withdrawn.has(placement.guid),
  );
  const formers = standings
    .filter(({ isCurrent, placement }) => !isCurrent && placement.cellId === loaded.cell.id)
    .sort((a, b) => distance(a, demand.index) - distance(b, demand.index));
  const taken: Standing[] = [];
  const more = { memoryMb: 0, diskMb: 0, copies: 0 };
  for (const former of formers) {
    taken.push(former);
    more.memoryMb += former.placement.memoryMb;
    more.diskMb += former.placement.diskMb;
    more.copies++;
    const leftServing = standings.some(standing => standing.isServing && !taken.includes(standing));
    const wouldEndService = taken.some(({ isServing }) => isServing) && !leftServing;
    if (wouldEndService && floor.underWay.has(demand.process.guid)) return 'later';
    if (!reserveComing(floor, loaded, { need: spec, more })) continue;
    for (const standing of taken) {
      withdraw(board, standing, { cause: 'room', reason: 'there is no room for it beside the new run' });
      addRoom(floor, loaded.cell.id, standing.placement);
    }
    floor.underWay.add(demand.process.guid);
    return 'made';
  }
  return 'no room';
}

/** Its own index first, then the highest: those are the last that a scale down would keep. */
function distance({ placement }: Standing, index: number): number {
  return placement.index === index ? Number.NEGATIVE_INFINITY : -placement.index;
}
