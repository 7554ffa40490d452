import { expect, test } from 'vitest';
import type { ClusterState } from './cluster-state.ts';
import { decide } from './convergence.ts';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf, seenAlive } from './fixtures.ts';
import { stillHolding } from './still-holds.ts';

const process = aDesired();
const wanted = aCluster({ processes: [process] });
const surplus = aPlacementOf(process, { index: 1 });
const scaledDown = aCluster({ processes: [process], placements: [surplus], copies: [aCopyOf(surplus)] });

/** What is left of the plan decided from `before` when the world is `now`. */
function left(before: ClusterState, now: ClusterState): string[] {
  const { actions } = decide(before, seenAlive(before), { clockMs: 0, startsInFlightMax: 100 });
  expect(actions.length).toBeGreaterThan(0);
  return stillHolding({ before, now, ageMs: 0 }, actions).map(action => action.do);
}

test('stillHolding() lets a plan through when nothing moved, or only what it was not decided from', () => {
  const other = aDesired({ guid: 'other' });
  expect(left(wanted, wanted)).toEqual(['place']);
  expect(left(wanted, { ...wanted, processes: [process, other], generationFloor: 9 })).toEqual(['place']);
});

test.each([
  ['stopped', { isStarted: false }],
  ['scaled', { instances: 2 }],
  ['started anew', { startSequence: 2 }],
  ['restarted at that index', { indexStarts: { '0': 1 } }],
  ['given another run spec', { spec: { ...process.spec!, guid: 'next' } }],
])('stillHolding() places nothing for a process that was %s meanwhile', (_what, change) => {
  expect(left(wanted, { ...wanted, processes: [{ ...process, ...change }] })).toEqual([]);
});

test('stillHolding() places nothing for a process that was deleted, or an index that was placed meanwhile', () => {
  expect(left(wanted, { ...wanted, processes: [] })).toEqual([]);
  expect(left(wanted, { ...wanted, placements: [aPlacementOf(process)] })).toEqual([]);
});

test('stillHolding() places nothing on a cell that is lost, restarted or full by now', () => {
  expect(left(wanted, { ...wanted, cells: [aCellOf({ state: 'LOST' })] })).toEqual([]);
  expect(left(wanted, { ...wanted, cells: [aCellOf({ session: 'next' })] })).toEqual([]);
  const filler = aPlacementOf(aDesired({ guid: 'filler' }), { memoryMb: 950 });
  expect(left(wanted, { ...wanted, placements: [filler] })).toEqual([]);
});

test('stillHolding() reserves room for what it let through before', () => {
  const processes = ['p', 'q'].map(guid => aDesired({ guid }));
  const before = aCluster({ processes });
  expect(left(before, before)).toEqual(['place', 'place']);
  expect(left(before, { ...before, cells: [aCellOf({ memoryMb: 150 })] })).toEqual(['place']);
});

test('stillHolding() withdraws nothing that changed its state or is wanted again', () => {
  const places = ['withdraw', 'place'];
  expect(left(scaledDown, scaledDown)).toEqual(places);
  const crashed = [aCopyOf(surplus, { state: 'CRASHED' })];
  expect(left(scaledDown, { ...scaledDown, copies: crashed })).toEqual(['place']);
  expect(left(scaledDown, { ...scaledDown, processes: [{ ...process, instances: 2 }] })).toEqual([]);
});

test('stillHolding() marks no cell LOST that has shown life, nor one of a newer session', () => {
  const mark = { do: 'mark', cellId: 'a', session: 'session', cellState: 'LOST' } as const;
  const state = aCluster();
  const holding = (now: ClusterState) => stillHolding({ before: state, now, ageMs: 0 }, [mark]);
  expect(holding(state)).toEqual([mark]);
  expect(holding(aCluster({ cells: [aCellOf({ counter: 2 })] }))).toEqual([]);
  expect(holding(aCluster({ cells: [aCellOf({ session: 'next' })] }))).toEqual([]);
});

test('stillHolding() lets nothing through of a plan that is older than a pass', () => {
  const { actions } = decide(wanted, seenAlive(wanted), { clockMs: 0, startsInFlightMax: 100 });
  expect(stillHolding({ before: wanted, now: wanted, ageMs: 5_000 }, actions)).toEqual(actions);
  expect(stillHolding({ before: wanted, now: wanted, ageMs: 5_001 }, actions)).toEqual([]);
});
