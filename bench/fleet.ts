/**
 * Rows 17 to 19, by the real code of the decisions over fleets that are data: microseconds a placement up to 1,000 cells and 250,000 instances, how evenly they
 * lie, what one pass of the scheduler costs when everything stands, and how long it takes until the instances of one of ten cells run elsewhere.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type {
  CellFacts,
  ClusterState,
  CopyFacts,
  DesiredProcess,
  Placement,
} from '../packages/model/src/cluster-state.ts';
import { decide } from '../packages/model/src/convergence.ts';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf } from '../packages/model/src/fixtures.ts';
import { CELL_LIMITS } from '../packages/model/src/limits.ts';
import { type Observations, observe } from '../packages/model/src/observe.ts';
import { addLoad, emptyLoad, fits, type LoadedCell, makePlacer } from '../packages/model/src/placement.ts';
import type { Action } from '../packages/model/src/plan.ts';
import { median, micros, ms, type Row } from './table.ts';

const SIZES = [10, 100, 1_000];
const ZONES = 3;
const COPIES_EACH = 240;
const INSTANCES_EACH = 5;
const SPEC = { guid: 'spec', memoryMb: 64, diskMb: 64, stack: 'host', abiKey: null, segment: null };

const cellsOf = (count: number): CellFacts[] =>
  Array.from({ length: count }, (_, number) =>
    aCellOf({
      id: `cell-${String(number).padStart(4, '0')}`,
      zone: `z${number % ZONES}`,
      memoryMb: 64_000,
      diskMb: 1_000_000,
    }),
  );

/** Sizes of apps, as a few large and many small ones; the same in each run. */
const memoryOf = (app: number): number => [64, 64, 64, 128, 128, 256][app % 6] ?? 64;

interface Placed {
  microsEach: number;
  /** Standard deviation of the cells' share of memory, in points. */
  spread: number;
  /** Most copies of one app in a zone, beyond the fewest. */
  zoneGap: number;
}

type Choose = (app: string, memoryMb: number) => LoadedCell | null;

function placeAll(cells: readonly LoadedCell[], choose: Choose): Placed {
  const total = cells.length * COPIES_EACH;
  let zoneGap = 0;
  const began = performance.now();
  for (let app = 0; app * INSTANCES_EACH < total; app++) {
    const byZone = new Map<string, number>(Array.from({ length: ZONES }, (_, zone) => [`z${zone}`, 0]));
    for (let index = 0; index < INSTANCES_EACH; index++) {
      const found = choose(`app-${app}`, memoryOf(app));
      if (found !== null) byZone.set(found.cell.zone, (byZone.get(found.cell.zone) ?? 0) + 1);
    }
    zoneGap = Math.max(zoneGap, Math.max(...byZone.values()) - Math.min(...byZone.values()));
  }
  const tookMs = performance.now() - began;
  const shares = cells.map(({ cell, load }) => (100 * load.memoryMb) / cell.memoryMb);
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const spread = Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length);
  return { microsEach: (tookMs * 1_000) / total, spread, zoneGap };
}

function byHeap(cells: readonly LoadedCell[]): Choose {
  const placer = makePlacer(cells, []);
  return (app, memoryMb) => {
    const need = { ...SPEC, memoryMb };
    const found = placer.choose(app, need, () => true);
    if (found !== null) placer.place(app, need, found);
    // Started by the time the next one comes: else all cells would be as many starts apart.
    if (found !== null) found.load.starting = 0;
    return found;
  };
}

/** Every cell looked at for every instance: the same rules without a heap. */
function byScan(cells: readonly LoadedCell[]): Choose {
  const spreads = new Map<string, { byCell: Map<string, number>; byZone: Map<string, number> }>();
  return (app, memoryMb) => {
    const need = { ...SPEC, memoryMb };
    const known = spreads.get(app) ?? { byCell: new Map<string, number>(), byZone: new Map<string, number>() };
    spreads.set(app, known);
    let best: LoadedCell | null = null;
    let bestScore = Number.POSITIVE_INFINITY;
    for (const loaded of cells) {
      const { cell, load } = loaded;
      if (!fits(loaded, need)) continue;
      const share = load.memoryMb / cell.memoryMb + load.diskMb / cell.diskMb + load.copies / cell.copiesMax;
      const score = 1e6 * (known.byZone.get(cell.zone) ?? 0) + 1_000 * (known.byCell.get(cell.id) ?? 0) + share / 3;
      if (score >= bestScore) continue;
      best = loaded;
      bestScore = score;
    }
    if (best === null) return null;
    addLoad(best.load, need);
    known.byCell.set(best.cell.id, (known.byCell.get(best.cell.id) ?? 0) + 1);
    known.byZone.set(best.cell.zone, (known.byZone.get(best.cell.zone) ?? 0) + 1);
    return best;
  };
}

const empty = (count: number): LoadedCell[] => cellsOf(count).map(cell => ({ cell, load: emptyLoad() }));

/** Everything runs where it was placed. */
function standing(count: number): ClusterState {
  const cells = empty(count);
  const choose = byHeap(cells);
  const processes: DesiredProcess[] = [];
  const placements: Placement[] = [];
  for (let app = 0; app * INSTANCES_EACH < count * COPIES_EACH; app++) {
    const process = aDesired({ guid: `p${app}`, instances: INSTANCES_EACH });
    processes.push(process);
    for (let index = 0; index < INSTANCES_EACH; index++) {
      const found = choose(process.appGuid, process.spec?.memoryMb ?? 0);
      if (found !== null) placements.push(aPlacementOf(process, { index, cellId: found.cell.id }));
    }
  }
  return aCluster({
    cells: cells.map(({ cell }) => cell),
    processes,
    placements,
    copies: placements.map(placement => aCopyOf(placement)),
  });
}

function passMs(count: number, rounds: number): number {
  const state = standing(count);
  const first = observe(null, state, 0);
  const seen = observe(first, { ...state, cells: state.cells.map(cell => ({ ...cell, counter: 2 })) }, 1_000);
  const tookMs = Array.from({ length: rounds }, () => {
    const began = performance.now();
    decide(state, seen, { clockMs: 1_000, startsInFlightMax: 1_000 });
    return performance.now() - began;
  });
  return median(tookMs);
}

const DEAD = 'cell-0000';
const STEP_MS = 100;
const START_MS = 1_000;
const TEN = { cells: 10, instances: 1_000 };

/** Virtual ms from a cell's death to its loss, and to the moment when all that ran there runs elsewhere. */
function recovery(): { lostMs: number; runningMs: number; moved: number } {
  const cells = cellsOf(TEN.cells);
  const choose = byHeap(cells.map(cell => ({ cell, load: emptyLoad() })));
  const processes = Array.from({ length: TEN.instances }, (_, app) => aDesired({ guid: `p${app}` }));
  let placements = processes.flatMap(process => {
    const found = choose(process.appGuid, 100);
    return found === null ? [] : [aPlacementOf(process, { cellId: found.cell.id })];
  });
  const moved = placements.filter(({ cellId }) => cellId === DEAD).length;
  /** When each copy runs. */
  const runsAtMs = new Map(placements.map(({ guid }) => [guid, 0]));
  let seen: Observations | null = null;
  let lostMs = 0;
  for (let clockMs = 0; ; clockMs += STEP_MS) {
    const beat = Math.floor(clockMs / CELL_LIMITS.heartbeatMs);
    const state: ClusterState = aCluster({
      cells: cells.map(cell => ({ ...cell, counter: cell.id === DEAD ? 0 : beat })),
      processes,
      placements,
      copies: placements.map((placement): CopyFacts => {
        const runs = clockMs >= (runsAtMs.get(placement.guid) ?? 0);
        return aCopyOf(placement, { state: runs ? 'RUNNING' : 'STARTING' });
      }),
      generationFloor: clockMs,
    });
    seen = observe(seen, state, clockMs);
    if (lostMs === 0 && seen.cells.get(DEAD)?.lostAtMs !== null) lostMs = clockMs;
    const { actions } = decide(state, seen, { clockMs, startsInFlightMax: 4 * TEN.cells });
    placements = follow(placements, actions, guid => runsAtMs.set(guid, clockMs + START_MS));
    const isWhole = placements.every(({ guid, cellId }) => cellId !== DEAD && (runsAtMs.get(guid) ?? 0) <= clockMs);
    if (lostMs > 0 && isWhole) return { lostMs, runningMs: clockMs, moved };
  }
}

function follow(placements: Placement[], actions: readonly Action[], started: (guid: string) => void): Placement[] {
  const gone = new Set(actions.flatMap(action => (action.do === 'withdraw' ? [action.placementGuid] : [])));
  const added = actions.flatMap(action =>
    action.do === 'place' ? [{ ...action, guid: `${action.processGuid}-${action.generation}` }] : [],
  );
  for (const { guid } of added) started(guid);
  return [...placements.filter(({ guid }) => !gone.has(guid)), ...added];
}

/** After what nobody holds has gone. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

export async function benchFleet(rounds: number): Promise<Row[]> {
  const curve = SIZES.map(count => {
    const cells = empty(count);
    return placeAll(cells, byHeap(cells));
  });
  const scanned = empty(SIZES.at(-1) ?? 0);
  const scan = placeAll(scanned, byScan(scanned));
  const last = curve.at(-1) ?? scan;
  const before = heapBytes();
  const state = standing(SIZES.at(-1) ?? 0);
  const stateMb = (heapBytes() - before) / 2 ** 20;
  const passes = SIZES.map(count => passMs(count, rounds));
  const { lostMs, runningMs, moved } = recovery();
  // On the nine that are left, each with so many starts at once.
  const pureMs = Math.ceil(moved / ((TEN.cells - 1) * CELL_LIMITS.startsInFlight)) * START_MS;
  const sizes = SIZES.map(count => count.toLocaleString('en')).join(' / ');
  const instances = (SIZES.at(-1) ?? 0) * COPIES_EACH;
  return [
    {
      row: '17',
      what: `placing an instance, ${sizes} cells, ${COPIES_EACH} instances on each`,
      ours: curve.map(({ microsEach }) => micros(microsEach)).join(' / '),
      beside: `every cell looked at: ${micros(scan.microsEach)}`,
      ratio: last.microsEach / scan.microsEach,
      aim: '<= 10 us at 1,000 cells',
      met: last.microsEach <= 10,
    },
    {
      row: '17',
      what: `one pass with nothing to do, ${sizes} cells`,
      ours: passes.map(ms).join(' / '),
      beside: `${stateMb.toFixed(0)} MB for ${instances.toLocaleString('en')} instances (${state.copies.length.toLocaleString('en')} copies)`,
      ratio: null,
      aim: 'told',
      met: true,
    },
    {
      row: '18',
      what: 'how evenly they lie on 1,000 cells: deviation of the share of memory',
      ours: `${last.spread.toFixed(2)} points, zones ${last.zoneGap} apart at most`,
      beside: `every cell looked at: ${scan.spread.toFixed(2)} points, ${scan.zoneGap}`,
      ratio: last.spread / scan.spread,
      aim: '<= 1.2x, zones <= 1 apart',
      met: last.spread <= 1.2 * scan.spread && last.zoneGap <= 1,
    },
    {
      row: '19',
      what: `1 of ${TEN.cells} cells dies with ${moved} of ${TEN.instances} instances: all run again after its loss (virtual time)`,
      ours: ms(runningMs - lostMs),
      beside: `starts alone: ${ms(pureMs)}`,
      ratio: (runningMs - lostMs) / pureMs,
      aim: '<= 1.5x',
      met: runningMs - lostMs <= 1.5 * pureMs,
    },
  ];
}
