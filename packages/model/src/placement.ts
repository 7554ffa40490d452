/**
 * Where the next copy goes, as Cloud Foundry's auction decides it: first the zone with the fewest copies of the app, in it the cell with the lowest score:
 * 1000 for each copy of the same app, plus the share of memory, disk and copies in use, plus 0.25 for each copy that is starting; ties by cell id. Cells
 * without the stack or the room, or of another isolation segment, do not take part.
 *
 * Loads only grow while a plan is made, so a heap of each zone's cells, the emptiest first, stays right when an entry is scored again as it comes up. Cells
 * that have the app already are passed over there, and looked at one by one when no other is left: a copy costs log C, and never the product of all.
 */
import type { CellFacts, SpecFacts } from './cluster-state.ts';
import { CELL_LIMITS } from './limits.ts';

const MIB = 1024 * 1024;
/** Left to the machine and to us in embedded mode. */
const EMBEDDED_RESERVE_MB = 300;
/** More than any share of resources can reach: 1 plus 0.25 for each of 250 copies. */
const SAME_APP_WEIGHT = 1_000;
const STARTING_WEIGHT = 0.25;

/** What embedded mode may promise of a machine's memory: twice of it, since apps rarely use what they ask for, and a 1 GB machine is to run one that asks for the default. */
export function embeddedCapacityMb(totalBytes: number): number {
  return Math.max(0, Math.floor((2 * totalBytes) / MIB) - EMBEDDED_RESERVE_MB);
}

/** What is in use on a cell by our own books. */
export interface Load {
  memoryMb: number;
  diskMb: number;
  copies: number;
  starting: number;
}
export interface LoadedCell {
  cell: CellFacts;
  load: Load;
}

type Need = Pick<SpecFacts, 'memoryMb' | 'diskMb'>;

export function emptyLoad(): Load {
  return { memoryMb: 0, diskMb: 0, copies: 0, starting: 0 };
}

/** Adds a copy of that size; `-1` takes it away. */
export function addLoad(load: Load, { memoryMb, diskMb }: Need, times: 1 | -1 = 1): void {
  load.memoryMb += times * memoryMb;
  load.diskMb += times * diskMb;
  load.copies += times;
}

export function copiesMaxOf(cell: CellFacts): number {
  return Math.min(cell.copiesMax, CELL_LIMITS.copiesMax);
}

/** Whether one more copy of that size stays within the cell. */
export function fits({ cell, load }: LoadedCell, { memoryMb, diskMb }: Need): boolean {
  return (
    load.memoryMb + memoryMb <= cell.memoryMb && load.diskMb + diskMb <= cell.diskMb && load.copies < copiesMaxOf(cell)
  );
}

/** Whether it may run there at all: what was staged for that stack (same name, and the toolchains that it took from the staging machine), in its segment. */
export function suits(cell: CellFacts, { stack, abiKey, segment }: SpecFacts): boolean {
  if (cell.segment !== segment) return false;
  return cell.stacks.some(offered => offered.name === stack && (abiKey === null || offered.abiKey === abiKey));
}

/** Without the copies of the same app. A cell that can hold nothing is full. */
function resourceShare({ cell, load }: LoadedCell): number {
  const share = (used: number, all: number): number => (all > 0 ? used / all : 1);
  const used =
    share(load.memoryMb, cell.memoryMb) + share(load.diskMb, cell.diskMb) + share(load.copies, copiesMaxOf(cell));
  return used / 3 + STARTING_WEIGHT * load.starting;
}

interface Candidate extends LoadedCell {
  score: number;
}

interface Zone {
  cells: LoadedCell[];
  /** By share of resources. */
  heap: Candidate[];
}

/** How many copies of an app are where. */
interface Spread {
  byCell: Map<string, number>;
  byZone: Map<string, number>;
}

export interface Placer {
  /** The best cell for one more copy, or null. `isOpen` may shut out cells for this copy only. */
  choose(appGuid: string, need: SpecFacts, isOpen: (loaded: LoadedCell) => boolean): LoadedCell | null;
  /** The copy is the cell's from now on, and starting. */
  place(appGuid: string, need: SpecFacts, loaded: LoadedCell): void;
}

/** @param cells those that may take copies. @param copies the app of each copy that is placed, and where. */
export function makePlacer(
  cells: readonly LoadedCell[],
  copies: ReadonlyArray<{ appGuid: string; cellId: string }>,
): Placer {
  const zones = zonesOf(cells);
  const zoneNames = new Map(cells.map(({ cell }) => [cell.id, cell.zone]));
  const spreads = new Map<string, Spread>();
  const spreadOf = (appGuid: string): Spread => {
    const known = spreads.get(appGuid) ?? { byCell: new Map(), byZone: new Map() };
    spreads.set(appGuid, known);
    return known;
  };
  const count = (appGuid: string, cellId: string): void => {
    const zone = zoneNames.get(cellId);
    if (zone === undefined) return;
    const { byCell, byZone } = spreadOf(appGuid);
    byCell.set(cellId, (byCell.get(cellId) ?? 0) + 1);
    byZone.set(zone, (byZone.get(zone) ?? 0) + 1);
  };
  for (const { appGuid, cellId } of copies) count(appGuid, cellId);
  return {
    choose: (appGuid, need, isOpen) => {
      const spread = spreadOf(appGuid);
      const takes = (loaded: LoadedCell): boolean => fits(loaded, need) && suits(loaded.cell, need) && isOpen(loaded);
      const copiesIn = (zone: string): number => spread.byZone.get(zone) ?? 0;
      const emptiestFirst = [...zones.keys()].sort((a, b) => copiesIn(a) - copiesIn(b));
      let best: Candidate | null = null;
      let fewest = Number.POSITIVE_INFINITY;
      for (const name of emptiestFirst) {
        if (copiesIn(name) > fewest) break;
        const found = bestOfZone(zones.get(name) as Zone, spread, takes);
        if (found === null) continue;
        fewest = copiesIn(name);
        if (best === null || isBetter(found, best)) best = found;
      }
      return best;
    },
    place: (appGuid, need, { cell, load }) => {
      addLoad(load, need);
      load.starting++;
      count(appGuid, cell.id);
    },
  };
}

function zonesOf(cells: readonly LoadedCell[]): Map<string, Zone> {
  const zones = new Map<string, Zone>();
  for (const loaded of cells) {
    const zone = zones.get(loaded.cell.zone) ?? { cells: [], heap: [] };
    zones.set(loaded.cell.zone, zone);
    zone.cells.push(loaded);
    push(zone.heap, { ...loaded, score: resourceShare(loaded) });
  }
  return zones;
}

function bestOfZone(
  { cells, heap }: Zone,
  { byCell }: Spread,
  suits: (loaded: LoadedCell) => boolean,
): Candidate | null {
  const fresh = popBest(heap, loaded => !byCell.has(loaded.cell.id) && suits(loaded));
  if (fresh !== null) return fresh;
  let best: Candidate | null = null;
  for (const loaded of cells) {
    const copies = byCell.get(loaded.cell.id);
    if (copies === undefined || !suits(loaded)) continue;
    const candidate = { ...loaded, score: SAME_APP_WEIGHT * copies + resourceShare(loaded) };
    if (best === null || isBetter(candidate, best)) best = candidate;
  }
  return best;
}

/** Looks at candidates from the top; those looked at go back, since another copy may suit them. */
function popBest(heap: Candidate[], suits: (loaded: LoadedCell) => boolean): Candidate | null {
  const lookedAt: Candidate[] = [];
  let best: Candidate | null = null;
  for (let top = pop(heap); top !== undefined; top = pop(heap)) {
    const score = resourceShare(top);
    if (score > top.score) {
      top.score = score;
      push(heap, top);
      continue;
    }
    lookedAt.push(top);
    if (!suits(top)) continue;
    best = top;
    break;
  }
  for (const candidate of lookedAt) push(heap, candidate);
  return best;
}

function isBetter(a: Candidate, b: Candidate): boolean {
  return a.score < b.score || (a.score === b.score && a.cell.id < b.cell.id);
}

/** Adds to a binary heap whose best is first. */
function push(heap: Candidate[], added: Candidate): void {
  let at = heap.length;
  heap.push(added);
  while (at > 0) {
    const parentAt = (at - 1) >> 1;
    const parent = heap[parentAt] as Candidate;
    if (!isBetter(added, parent)) break;
    heap[at] = parent;
    at = parentAt;
  }
  heap[at] = added;
}

function pop(heap: Candidate[]): Candidate | undefined {
  const best = heap[0];
  const last = heap.pop();
  if (best === undefined || last === undefined || heap.length === 0) return best;
  let at = 0;
  for (;;) {
    let childAt = 2 * at + 1;
    const right = heap[childAt + 1];
    if (right !== undefined && isBetter(right, heap[childAt] as Candidate)) childAt++;
    const child = heap[childAt];
    if (child === undefined || !isBetter(child, last)) break;
    heap[at] = child;
    at = childAt;
  }
  heap[at] = last;
  return best;
}
