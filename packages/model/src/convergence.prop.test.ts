import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import { type ClusterState, type CopyFacts, instanceKey, isCurrent, type Placement } from './cluster-state.ts';
import { decide } from './convergence.ts';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf, seenAlive, seenLater } from './fixtures.ts';
import type { Observations } from './observe.ts';
import type { Action } from './plan.ts';

const NOW = 1_000_000;
const CELLS = ['a', 'b', 'c'];
const STATES = ['STARTING', 'RUNNING', 'CRASHED', 'STOPPING', 'GONE'] as const;

const cells = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom(...CELLS),
    zone: fc.constantFrom('z1', 'z2'),
    state: fc.constantFrom('ACTIVE', 'ACTIVE', 'DRAINING', 'LOST'),
    isDrained: fc.constantFrom(false, false, true),
    memoryMb: fc.integer({ min: 0, max: 1_000 }),
  }),
  { selector: cell => cell.id, maxLength: 3 },
);
const processes = fc.uniqueArray(
  fc.record({
    guid: fc.constantFrom('p', 'q', 'r'),
    isStarted: fc.constantFrom(true, true, false),
    instances: fc.integer({ min: 0, max: 4 }),
    startSequence: fc.integer({ min: 1, max: 2 }),
    memoryMb: fc.constantFrom(50, 200, 600),
  }),
  { selector: process => process.guid, maxLength: 3 },
);
const standing = fc.record({
  processGuid: fc.constantFrom('p', 'q', 'r', 'deleted'),
  index: fc.integer({ min: 0, max: 4 }),
  generation: fc.integer({ min: 1, max: 9 }),
  startSequence: fc.integer({ min: 1, max: 2 }),
  cellId: fc.constantFrom(...CELLS),
  copy: fc.option(fc.record({ state: fc.constantFrom(...STATES), isReady: fc.boolean(), failed: fc.boolean() })),
  isPlaced: fc.constantFrom(true, true, true, false),
});

/** Any state at all, also one that no history of ours leads to. */
const anyCluster = fc
  .record({
    cells,
    processes,
    standings: fc.uniqueArray(standing, { selector: guidOf, maxLength: 12 }),
    fresh: fc.boolean(),
  })
  .map(({ cells, processes, standings, fresh }): ClusterState => {
    const placements: Placement[] = [];
    const copies: CopyFacts[] = [];
    for (const { copy, isPlaced, ...facts } of standings) {
      const placement = aPlacementOf(aDesired({ guid: facts.processGuid }), { guid: guidOf(facts), ...facts });
      if (isPlaced) placements.push(placement);
      if (copy === null) continue;
      const { state, isReady, failed } = copy;
      const placementError = failed && state === 'STARTING' ? 'no sandbox' : null;
      copies.push(aCopyOf(placement, { state, routable: isReady && state === 'RUNNING', placementError }));
    }
    return aCluster({
      cells: cells.map(aCellOf),
      processes: processes.map(({ memoryMb, ...facts }) => {
        const process = aDesired(facts);
        return { ...process, spec: { ...process.spec!, memoryMb } };
      }),
      placements,
      copies,
      fresh,
    });
  });
function guidOf({ processGuid, index, generation }: { processGuid: string; index: number; generation: number }) {
  return `${processGuid}-${index}-${generation}`;
}
const silent = fc.subarray(CELLS);

const planFor = (state: ClusterState, seen: Observations, clockMs: number) =>
  decide(state, seen, { clockMs, startsInFlightMax: 100 });

/** The state as the plan leaves it, and as agents that obey at once leave it then. */
function obeyed(state: ClusterState, actions: readonly Action[]): ClusterState {
  const gone = new Set(actions.flatMap(action => (action.do === 'withdraw' ? [action.placementGuid] : [])));
  const added = actions.flatMap(action => (action.do === 'place' ? [{ ...action, guid: guidOf(action) }] : []));
  const placements = [...state.placements.filter(({ guid }) => !gone.has(guid)), ...added];
  return { ...state, placements, copies: placements.map(placement => aCopyOf(placement)) };
}

test('decide() makes no plan that checkPlan() refuses, whatever the state', () => {
  fc.assert(
    fc.property(anyCluster, silent, fc.boolean(), (state, silentCells, isLate) => {
      const clockMs = isLate ? NOW + 40_000 : NOW;
      const seen = seenLater(seenAlive(state, NOW), state, { clockMs, silent: silentCells });
      const { actions } = planFor(state, seen, clockMs);
      expect(checkPlan(state, seen, actions)).toEqual([]);
    }),
    { numRuns: 3_000 },
  );
});

test('decide() withdraws nothing on a snapshot that may be old', () => {
  fc.assert(
    fc.property(anyCluster, state => {
      const old = { ...state, fresh: false };
      const { actions } = planFor(old, seenAlive(old, NOW), NOW);
      expect(actions.filter(action => action.do === 'withdraw')).toEqual([]);
    }),
  );
});

test('decide() gives the same plan for the same state, in whatever order it was read', () => {
  fc.assert(
    fc.property(anyCluster, state => {
      const backwards = {
        ...state,
        placements: state.placements.toReversed(),
        copies: state.copies.toReversed(),
        cells: state.cells.toReversed(),
        processes: state.processes.toReversed(),
      };
      const placesOf = (each: ClusterState): string[] =>
        planFor(each, seenAlive(each, NOW), NOW)
          .actions.map(action => JSON.stringify(action))
          .sort();
      expect(placesOf(backwards)).toEqual(placesOf(state));
    }),
  );
});

/** Passes until nothing moves, each obeyed at once; late enough for stopped apps to have lingered. */
function settled(start: ClusterState): { state: ClusterState; actions: Action[] } {
  const passAt = (state: ClusterState): Action[] => planFor(state, seenAlive(state, NOW), NOW + 5_000).actions;
  const state = Array.from({ length: 12 }).reduce<ClusterState>(now => obeyed(now, passAt(now)), {
    ...start,
    fresh: true,
  });
  return { state, actions: passAt(state) };
}

/** Each wanted instance, its placements, and whether a cell would have room for it. */
function wantedIn({ processes, placements, cells }: ClusterState) {
  const isLive = (cellId: string): boolean => cells.some(({ id, isDrained }) => id === cellId && !isDrained);
  const usedOn = (cellId: string): number =>
    placements.filter(each => each.cellId === cellId).reduce((sum, each) => sum + each.memoryMb, 0);
  const hasRoom = (memoryMb: number): boolean =>
    cells.some(cell => isLive(cell.id) && usedOn(cell.id) + memoryMb <= cell.memoryMb);
  return processes
    .filter(({ isStarted }) => isStarted)
    .flatMap(process =>
      Array.from({ length: process.instances }, (_, index) => {
        const current = placements.filter(
          each => each.processGuid === process.guid && each.index === index && isCurrent(each, process),
        );
        return {
          key: instanceKey({ processGuid: process.guid, index }),
          placed: current.length,
          placedWell: current.filter(({ cellId }) => isLive(cellId)).length,
          hasRoom: hasRoom(process.spec?.memoryMb ?? 0),
        };
      }),
    );
}

test('decide() comes to rest after a few passes of obedient agents', () => {
  fc.assert(
    fc.property(anyCluster, start => {
      const { actions } = settled(start);
      expect(actions.filter(action => action.do === 'place' || action.do === 'withdraw')).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test('decide() has in the end one copy of every wanted instance where there is room, and tells of every other', () => {
  fc.assert(
    fc.property(anyCluster, start => {
      const { state, actions } = settled(start);
      const told = actions.flatMap(action => (action.do === 'explain' ? [instanceKey(action)] : []));
      const wanted = wantedIn(state);
      expect(wanted.filter(({ placedWell }) => placedWell > 1)).toEqual([]);
      expect(wanted.filter(({ placedWell, hasRoom }) => placedWell === 0 && hasRoom)).toEqual([]);
      expect(
        wanted
          .filter(({ placed }) => placed === 0)
          .map(({ key }) => key)
          .sort(),
      ).toEqual(told.sort());
    }),
    { numRuns: 500 },
  );
});
