import { expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import type { ClusterState } from './cluster-state.ts';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf, seenAlive, seenLater } from './fixtures.ts';
import type { Action, Place, Withdraw } from './plan.ts';

const process = aDesired();
const placement = aPlacementOf(process);
const wanted = aCluster({ processes: [process] });
const running = aCluster({ processes: [process], placements: [placement], copies: [aCopyOf(placement)] });

const aPlace = (given: Partial<Place> = {}): Place => {
  const { guid: _guid, ...facts } = aPlacementOf(process, { generation: 2 });
  return { do: 'place', reason: '', ...facts, ...given };
};
const aWithdrawal = (given: Partial<Withdraw> = {}): Withdraw => ({
  do: 'withdraw',
  placementGuid: placement.guid,
  processGuid: process.guid,
  index: 0,
  cause: 'superseded',
  reason: '',
  ...given,
});
const check = (state: ClusterState, ...actions: Action[]): string[] => checkPlan(state, seenAlive(state), actions);

test('checkPlan() finds nothing wrong with a wanted placement', () => {
  expect(check(wanted, aPlace())).toEqual([]);
});

test('checkPlan() refuses two placements of one index, and one beside a copy on a live cell', () => {
  expect(check(wanted, aPlace(), aPlace({ generation: 3 }))).toEqual([expect.stringContaining('not its highest')]);
  expect(check(running, aPlace())).toEqual([expect.stringContaining('stands on the live cell')]);
});

test('checkPlan() refuses a generation that was used before', () => {
  const gone = aCluster({ processes: [process], copies: [aCopyOf(placement, { state: 'GONE', generation: 2 })] });
  expect(check(gone, aPlace())).toEqual([expect.stringContaining('not its highest')]);
});

test('checkPlan() refuses what nobody wants', () => {
  const nobody = [expect.stringContaining('nobody wants')];
  expect(check(aCluster(), aPlace())).toEqual(nobody);
  expect(check(aCluster({ processes: [{ ...process, isStarted: false }] }), aPlace())).toEqual(nobody);
  expect(check(wanted, aPlace({ index: 1 }))).toEqual(nobody);
  expect(check(wanted, aPlace({ runSpecGuid: 'former' }))).toEqual(nobody);
  expect(check(wanted, aPlace({ startSequence: 0 }))).toEqual(nobody);
});

test('checkPlan() refuses a cell that takes nothing, or has too little', () => {
  const on = (cell: Parameters<typeof aCellOf>[0]) => check({ ...wanted, cells: [aCellOf(cell)] }, aPlace());
  expect(on({ isDrained: true })).toEqual([expect.stringContaining('takes nothing')]);
  expect(on({ id: 'b' })).toEqual([expect.stringContaining('takes nothing')]);
  expect(on({ memoryMb: 99 })).toEqual([expect.stringContaining('over its memory')]);
  expect(on({ diskMb: 99 })).toEqual([expect.stringContaining('over its disk')]);
  expect(on({ copiesMax: 0 })).toEqual([expect.stringContaining('too many copies')]);
  const lost = seenLater(seenAlive(wanted), wanted, { clockMs: 15_000, silent: ['a'] });
  expect(checkPlan(wanted, lost, [aPlace()])).toEqual([expect.stringContaining('takes nothing')]);
});

test('checkPlan() counts copies that are still ending', () => {
  const ending = aCopyOf(aPlacementOf(aDesired({ guid: 'other' })), { state: 'STOPPING' });
  const state = { ...wanted, copies: [ending], cells: [aCellOf({ memoryMb: 199 })] };
  expect(check(state, aPlace())).toEqual([expect.stringContaining('over its memory')]);
});

test('checkPlan() refuses to stop a copy that runs while nobody else serves', () => {
  expect(check(running, aWithdrawal())).toEqual([expect.stringContaining('no other copy serves')]);
  expect(check(running, aWithdrawal({ cause: 'room' }))).toEqual([expect.stringContaining('no other copy serves')]);
});

test('checkPlan() refuses every stop on data that may be old', () => {
  expect(check({ ...running, processes: [], fresh: false }, aWithdrawal())).toEqual([
    expect.stringContaining('may be old'),
  ]);
});

test('checkPlan() allows a stop that its user wants, or for a successor that serves or needs the room', () => {
  expect(check({ ...running, processes: [] }, aWithdrawal({ cause: 'unwanted' }))).toEqual([]);
  const restarted = { ...running, processes: [{ ...process, startSequence: 2 }] };
  expect(check(restarted, aWithdrawal({ cause: 'room' }))).toEqual([]);
  const successor = aPlacementOf(restarted.processes[0]!, { generation: 2 });
  const both = { ...restarted, placements: [placement, successor] };
  expect(check(both, aWithdrawal())).toEqual([expect.stringContaining('no other copy serves')]);
  expect(check({ ...both, copies: [...running.copies, aCopyOf(successor)] }, aWithdrawal())).toEqual([]);
});

test('checkPlan() refuses to withdraw what is not placed', () => {
  expect(check(wanted, aWithdrawal())).toEqual([expect.stringContaining('was not placed')]);
});
