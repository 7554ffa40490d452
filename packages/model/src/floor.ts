/** Where demands meet the cells, for one pass: what is in use by our own books, what is starting, and what will be free because copies are ending. */
import { type Board, pausedUntil } from './board.ts';
import type { CellFacts, Placement, SpecFacts } from './cluster-state.ts';
import { CELL_LIMITS } from './limits.ts';
import { addLoad, copiesMaxOf, emptyLoad, type LoadedCell, makePlacer, type Placer } from './placement.ts';

/** A start that takes longer is the app's own slowness: it must not keep others waiting (ours). */
const START_COUNTS_MS = 10_000;

interface Room {
  memoryMb: number;
  diskMb: number;
  copies: number;
}

export interface Floor {
  board: Board;
  placer: Placer;
  /** Those that take new copies. */
  cells: readonly LoadedCell[];
  /** Room of copies that are ending, by cell, less what demands of this pass count on already. */
  coming: ReadonlyMap<string, Room>;
  /** In all, and on the cells that are open. */
  startsLeft: number;
  /** Needs that found no cell in this pass, by {@link needKey}: who needs the same does not look again. */
  turnedAway: Set<string>;
  /** Processes that have a copy of the current run coming, which does not serve yet. */
  underWay: Set<string>;
}

/** Counts what the plan has left standing so far: every withdrawal for other reasons than room is in `board.withdrawn` already. */
export function measure(board: Board, startsInFlightMax: number): Floor {
  const cells = new Map<string, LoadedCell>();
  const coming = new Map<string, Room>();
  for (const cell of board.state.cells) {
    cells.set(cell.id, { cell, load: emptyLoad() });
    coming.set(cell.id, { memoryMb: 0, diskMb: 0, copies: 0 });
  }
  const underWay = new Set<string>();
  const placed: Placement[] = [];
  const kept = new Set<string>();
  let starting = 0;
  for (const { placement, isCurrent, isServing } of [...board.standings.values()].flat()) {
    if (board.withdrawn.has(placement.guid)) continue;
    kept.add(placement.guid);
    if (isCurrent && !isServing) underWay.add(placement.processGuid);
    const load = cells.get(placement.cellId)?.load;
    if (load === undefined) continue;
    addLoad(load, placement);
    placed.push(placement);
    if (!isStarting(board, placement.guid)) continue;
    load.starting++;
    starting++;
  }
  // Copies without a placement hold their room until their agent says that nothing is left of them.
  for (const copy of board.copies.values()) {
    const load = cells.get(copy.cellId)?.load;
    if (kept.has(copy.guid) || load === undefined) continue;
    addLoad(load, copy);
    addRoom({ coming }, copy.cellId, copy);
  }
  const open = [...cells.values()].filter(({ cell }) => isOpen(board, cell));
  return {
    board,
    placer: makePlacer(open, placed),
    cells: open,
    coming,
    startsLeft: Math.min(startsInFlightMax - starting, startsLeftOn(open)),
    turnedAway: new Set(),
    underWay,
  };
}

function startsLeftOn(cells: readonly LoadedCell[]): number {
  return cells.reduce((sum, { load }) => sum + Math.max(0, CELL_LIMITS.startsInFlight - load.starting), 0);
}

/** Equal for what the same cells can take. A spec that cells may have been paused for is like no other. */
export function needKey({ seen }: Board, { guid, memoryMb, diskMb, stack, abiKey, segment }: SpecFacts): string {
  for (const key of seen.sandboxErrors.keys()) if (key.startsWith(guid)) return guid;
  return JSON.stringify([memoryMb, diskMb, stack, abiKey, segment]);
}

function isOpen(board: Board, { id, isDrained }: CellFacts): boolean {
  const lease = board.seen.cells.get(id);
  return lease !== undefined && lease.lostAtMs === null && !isDrained;
}

function isStarting(board: Board, placementGuid: string): boolean {
  const sinceMs = board.seen.startingSinceMs.get(placementGuid);
  if (sinceMs === undefined || board.clockMs - sinceMs >= START_COUNTS_MS) return false;
  board.dueAt(sinceMs + START_COUNTS_MS);
  return true;
}

/** Whether the cell gets no more of this run spec for a while. */
export function isPaused(board: Board, runSpecGuid: string, cellId: string): boolean {
  const untilMs = pausedUntil(board.seen, { runSpecGuid, cellId }, board.clockMs);
  if (untilMs !== null) board.dueAt(untilMs);
  return untilMs !== null;
}

type Need = Pick<SpecFacts, 'memoryMb' | 'diskMb'>;

/** A copy that ends now will leave this room on its cell. */
export function addRoom({ coming }: Pick<Floor, 'coming'>, cellId: string, { memoryMb, diskMb }: Need): void {
  const room = coming.get(cellId);
  if (room === undefined) return;
  room.memoryMb += memoryMb;
  room.diskMb += diskMb;
  room.copies++;
}

/** Takes room that is coming for one more copy, if with it and with `more` there will be enough. */
export function reserveComing(floor: Floor, loaded: LoadedCell, { need, more }: { need: Need; more: Room }): boolean {
  const { cell, load } = loaded;
  const room = floor.coming.get(cell.id);
  if (room === undefined) return false;
  const willFit =
    load.memoryMb + need.memoryMb - room.memoryMb - more.memoryMb <= cell.memoryMb &&
    load.diskMb + need.diskMb - room.diskMb - more.diskMb <= cell.diskMb &&
    load.copies + 1 - room.copies - more.copies <= copiesMaxOf(cell);
  if (!willFit) return false;
  room.memoryMb -= need.memoryMb;
  room.diskMb -= need.diskMb;
  room.copies--;
  return true;
}
