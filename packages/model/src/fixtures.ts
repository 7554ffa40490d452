/** Builders of a cluster's state with good defaults, for tests of the scheduler's decision. */
import {
  type CellFacts,
  type ClusterState,
  type CopyFacts,
  type DesiredProcess,
  type Placement,
  sequenceOf,
} from './cluster-state.ts';
import { type Observations, observe } from './observe.ts';

/** A started process with one instance of 100 MB, run spec `spec`. */
export function aDesired(given: Partial<DesiredProcess> = {}): DesiredProcess {
  const guid = given.guid ?? 'process';
  return {
    guid,
    appGuid: `app-of-${guid}`,
    isStarted: true,
    stoppedAt: null,
    instances: 1,
    spec: { guid: `spec-of-${guid}`, memoryMb: 100, diskMb: 100, stack: 'host', abiKey: null, segment: null },
    startSequence: 1,
    indexStarts: {},
    ...given,
  };
}

/** As the scheduler placed it for what the process wants: index 0, generation 1, on cell `a`. */
export function aPlacementOf(process: DesiredProcess, given: Partial<Placement> = {}): Placement {
  const index = given.index ?? 0;
  const generation = given.generation ?? 1;
  return {
    guid: `${process.guid}-${index}-${generation}`,
    generation,
    processGuid: process.guid,
    appGuid: process.appGuid,
    index,
    runSpecGuid: process.spec?.guid ?? '',
    startSequence: sequenceOf(process, index),
    cellId: 'a',
    memoryMb: process.spec?.memoryMb ?? 0,
    diskMb: process.spec?.diskMb ?? 0,
    ...given,
  };
}

/** RUNNING and ready. */
export function aCopyOf(placement: Placement, given: Partial<CopyFacts> = {}): CopyFacts {
  const { guid, processGuid, index, generation, cellId, memoryMb, diskMb } = placement;
  return {
    guid,
    processGuid,
    index,
    generation,
    cellId,
    state: 'RUNNING',
    attempt: 1,
    routable: (given.state ?? 'RUNNING') === 'RUNNING',
    placementError: null,
    memoryMb,
    diskMb,
    ...given,
  };
}

/** 1,000 MB of memory and 10,000 MB of disk in zone `z1`. */
export function aCellOf(given: Partial<CellFacts> = {}): CellFacts {
  return {
    id: 'a',
    zone: 'z1',
    segment: null,
    state: 'ACTIVE',
    isDrained: false,
    session: 'session',
    counter: 1,
    stacks: [{ name: 'host', abiKey: 'debian' }],
    memoryMb: 1_000,
    diskMb: 10_000,
    copiesMax: 250,
    ...given,
  };
}

/** One cell, `a`, and nothing else. */
export function aCluster(given: Partial<ClusterState> = {}): ClusterState {
  return {
    processes: [],
    placements: [],
    copies: [],
    cells: [aCellOf()],
    errors: [],
    generationFloor: 0,
    fresh: true,
    ...given,
  };
}

/** What a scheduler knows that has watched these cells live until `clockMs`, but sees all else for the first time. */
export function seenAlive(state: ClusterState, clockMs = 0): Observations {
  const earlier = { ...state, cells: state.cells.map(cell => ({ ...cell, counter: (cell.counter ?? 0) - 1 })) };
  return observe(observe(null, earlier, clockMs), state, clockMs);
}

/** The same a while later; agents of `silent` cells have shown no life since. */
export function seenLater(
  seen: Observations,
  state: ClusterState,
  { clockMs, silent = [] }: { clockMs: number; silent?: string[] },
): Observations {
  const cells = state.cells.map(cell => (silent.includes(cell.id) ? cell : { ...cell, counter: clockMs }));
  return observe(seen, { ...state, cells }, clockMs);
}
