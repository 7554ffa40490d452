import { expect, test } from 'vitest';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf, seenAlive, seenLater } from './fixtures.ts';
import { observe, withoutGhosts } from './observe.ts';

test('observe() gives a lease its full time at its first look, and believes no copy facts yet', () => {
  const state = aCluster();
  const first = observe(null, state, 0);
  expect(first.cells.get('a')).toMatchObject({ isProven: false, lostAtMs: null });
  expect(observe(first, state, 14_999).cells.get('a')?.lostAtMs).toBeNull();
  expect(observe(first, state, 15_000).cells.get('a')?.lostAtMs).toBe(15_000);
});

test('observe() leaves a cell lost that was lost before its time, until it moves', () => {
  const state = aCluster({ cells: [aCellOf({ state: 'LOST' })] });
  const first = observe(null, state, 0);
  expect(first.cells.get('a')?.lostAtMs).toBe(Number.NEGATIVE_INFINITY);
  const moved = aCluster({ cells: [aCellOf({ state: 'LOST', counter: 2 })] });
  expect(observe(first, moved, 1).cells.get('a')).toMatchObject({ isProven: true, lostAtMs: null });
});

test('observe() does not brake for cells that were lost before its time', () => {
  const lost = ['a', 'b', 'c'].map(id => aCellOf({ id, state: 'LOST' }));
  const state = aCluster({ cells: [...lost, aCellOf({ id: 'd' })] });
  expect(observe(observe(null, state, 0), state, 1).brakeUntilMs).toBeNull();
});

test('observe() takes a new session as a sign of life, before its first heartbeat', () => {
  const first = observe(null, aCluster(), 0);
  const again = aCluster({ cells: [aCellOf({ session: 'next', counter: null })] });
  expect(observe(first, again, 20_000).cells.get('a')).toMatchObject({ movedAtMs: 20_000, isProven: true });
});

test('observe() measures the take-up of a placement while its agent is there only', () => {
  const placement = aPlacementOf(aDesired());
  const state = aCluster({ placements: [placement] });
  const lost = seenLater(seenAlive(state, 0), state, { clockMs: 15_000, silent: ['a'] });
  const back = seenLater(lost, state, { clockMs: 40_000 });
  expect(lost.untakenSinceMs.get(placement.guid)).toBe(15_000);
  expect(back.untakenSinceMs.get(placement.guid)).toBe(15_000);
  const gone = { ...state, copies: [aCopyOf(placement, { state: 'GONE' })] };
  expect(seenAlive(gone, 7).untakenSinceMs.get(placement.guid)).toBe(7);
  expect(seenAlive({ ...state, copies: [aCopyOf(placement)] }, 7).untakenSinceMs.size).toBe(0);
});

test('observe() counts each failed start once, whichever copy of the spec it was', () => {
  const process = aDesired({ instances: 2 });
  const placements = [0, 1].map(index => aPlacementOf(process, { index }));
  const copies = placements.map(each => aCopyOf(each, { state: 'STARTING', placementError: 'no layer' }));
  const state = aCluster({ processes: [process], placements, copies });
  const seen = seenLater(seenAlive(state, 0), state, { clockMs: 1_000 });
  expect([...seen.sandboxErrors.values()]).toMatchObject([{ count: 2, pausedUntilMs: null }]);
  const [, second] = copies;
  const third = { ...state, copies: [copies[0]!, { ...second!, attempt: 2 }] };
  const after = seenLater(seen, third, { clockMs: 2_000 });
  expect([...after.sandboxErrors.values()]).toMatchObject([{ count: 3, pausedUntilMs: 302_000 }]);
});

test('observe() forgets failed starts when one succeeds, or its spec is no longer wanted', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const failed = aCopyOf(placement, { state: 'STARTING', placementError: 'no layer' });
  const state = aCluster({ processes: [process], placements: [placement], copies: [failed] });
  const seen = seenAlive(state, 0);
  expect(seen.sandboxErrors.size).toBe(1);
  expect(observe(seen, { ...state, copies: [aCopyOf(placement)] }, 1).sandboxErrors.size).toBe(0);
  expect(observe(seen, aCluster(), 1).sandboxErrors.size).toBe(0);
});

test('withoutGhosts() leaves out what has been ending for a minute, and nothing that is placed', () => {
  const placement = aPlacementOf(aDesired());
  const ending = aCopyOf(aPlacementOf(aDesired(), { index: 1 }), { state: 'STOPPING' });
  const state = aCluster({ placements: [placement], copies: [aCopyOf(placement), ending] });
  const seen = seenAlive(state, 0);
  expect(withoutGhosts(state, seen, 59_999)).toBe(state);
  expect(withoutGhosts(state, seen, 60_000).copies).toEqual([aCopyOf(placement)]);
});
