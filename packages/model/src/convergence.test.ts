import { expect, test } from 'vitest';
import type { ClusterState } from './cluster-state.ts';
import { decide } from './convergence.ts';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf, seenAlive, seenLater } from './fixtures.ts';
import type { Observations } from './observe.ts';
import type { Action } from './plan.ts';

const NOW = 1_000_000;

/** A plan as a readable list. */
const shown = (actions: readonly Action[]): string[] =>
  actions.map(action => {
    switch (action.do) {
      case 'place':
        return `place ${action.processGuid}/${action.index} on ${action.cellId}`;
      case 'withdraw':
        return `withdraw ${action.placementGuid} (${action.cause})`;
      case 'mark':
        return `mark ${action.cellId} ${action.cellState}`;
      default:
        return `${action.do} ${action.processGuid}/${action.index}`;
    }
  });
const plan = (state: ClusterState, seen: Observations = seenAlive(state, NOW), clockMs = NOW) =>
  decide(state, seen, { clockMs, startsInFlightMax: 100 });
const planned = (...given: Parameters<typeof plan>): string[] => shown(plan(...given).actions);

test('decide() places each missing index of a started process with what it wants now', () => {
  const process = aDesired({ instances: 2, startSequence: 3, indexStarts: { '1': 4 } });
  const state = aCluster({ processes: [process], placements: [aPlacementOf(process)], generationFloor: 70 });
  const { actions } = plan({ ...state, copies: [aCopyOf(aPlacementOf(process))] });
  expect(actions).toEqual([
    {
      do: 'place',
      processGuid: process.guid,
      appGuid: process.appGuid,
      index: 1,
      generation: 71,
      cellId: 'a',
      runSpecGuid: process.spec?.guid,
      startSequence: 7,
      memoryMb: 100,
      diskMb: 100,
      reason: 'it is wanted',
    },
  ]);
});

test('decide() gives a new placement a higher generation than anything known of its index', () => {
  const process = aDesired();
  const gone = aCopyOf(aPlacementOf(process, { generation: 41 }), { state: 'GONE' });
  const [place] = plan(aCluster({ processes: [process], copies: [gone], generationFloor: 7 })).actions;
  expect(place).toMatchObject({ do: 'place', generation: 42 });
});

test('decide() leaves a process alone that was never started, and one that has what it wants', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const state = { processes: [process, aDesired({ guid: 'new', spec: null })], placements: [placement] };
  expect(planned(aCluster({ ...state, copies: [aCopyOf(placement)] }))).toEqual([]);
});

test('decide() withdraws the highest indices at a scale down, and all of a deleted process', () => {
  const process = aDesired({ instances: 1 });
  const placements = [0, 1, 2].map(index => aPlacementOf(process, { index }));
  const copies = placements.map(placement => aCopyOf(placement));
  const withdrawals = ['withdraw process-1-1 (unwanted)', 'withdraw process-2-1 (unwanted)'];
  expect(planned(aCluster({ processes: [process], placements, copies }))).toEqual(withdrawals);
  expect(planned(aCluster({ placements, copies }))).toEqual(['withdraw process-0-1 (unwanted)', ...withdrawals]);
});

test('decide() lets a stopped app linger for two seconds, then withdraws it', () => {
  const process = aDesired({ isStarted: false, stoppedAt: 5 });
  const placement = aPlacementOf(process);
  const state = aCluster({ processes: [process], placements: [placement], copies: [aCopyOf(placement)] });
  const seen = seenAlive(state, NOW);
  expect(plan(state, seen, NOW + 1_999)).toEqual({ actions: [], nextAtMs: NOW + 2_000 });
  expect(planned(state, seen, NOW + 2_000)).toEqual(['withdraw process-0-1 (unwanted)']);
});

test('decide() begins the linger anew for an app that was started and stopped again', () => {
  const process = aDesired({ isStarted: false, stoppedAt: 5 });
  const placement = aPlacementOf(process);
  const state = aCluster({ processes: [process], placements: [placement], copies: [aCopyOf(placement)] });
  const again = { ...state, processes: [{ ...process, stoppedAt: 6 }] };
  const seen = seenLater(seenAlive(state, NOW), again, { clockMs: NOW + 1_500 });
  expect(planned(again, seen, NOW + 2_500)).toEqual([]);
  expect(planned(again, seen, NOW + 3_500)).toEqual(['withdraw process-0-1 (unwanted)']);
});

const former = aDesired();
const restarted = aDesired({ startSequence: 2, spec: { ...former.spec!, guid: 'spec-2' } });
const old = aPlacementOf(former);
const fresh = aPlacementOf(restarted, { generation: 2 });

test('decide() restarts beside the old copy, and withdraws that one when the new one serves', () => {
  const before = aCluster({ processes: [restarted], placements: [old], copies: [aCopyOf(old)] });
  expect(planned(before)).toEqual(['place process/0 on a']);
  const starting = { ...before, placements: [old, fresh] };
  expect(planned(starting)).toEqual([]);
  const running = aCopyOf(fresh, { routable: false });
  expect(planned({ ...starting, copies: [aCopyOf(old), running] })).toEqual([]);
  expect(planned({ ...starting, copies: [aCopyOf(old), aCopyOf(fresh)] })).toEqual([
    'withdraw process-0-1 (superseded)',
  ]);
});

test('decide() keeps the old copy while the new one crashes', () => {
  const copies = [aCopyOf(old), aCopyOf(fresh, { state: 'CRASHED' })];
  expect(planned(aCluster({ processes: [restarted], placements: [old, fresh], copies }))).toEqual([]);
});

test('decide() withdraws an old copy that does not run while it places the new one', () => {
  const copies = [aCopyOf(old, { state: 'CRASHED' })];
  expect(planned(aCluster({ processes: [restarted], placements: [old], copies }))).toEqual([
    'withdraw process-0-1 (useless)',
    'place process/0 on a',
  ]);
});

test('decide() restarts a single index when only its own sequence grew', () => {
  const process = aDesired({ instances: 2 });
  const placements = [0, 1].map(index => aPlacementOf(process, { index }));
  const copies = placements.map(placement => aCopyOf(placement));
  const processes = [{ ...process, indexStarts: { '1': 1 } }];
  expect(planned(aCluster({ processes, placements, copies }))).toEqual(['place process/1 on a']);
});

test('decide() removes the old copy first where both do not fit, and places the new one when it is gone', () => {
  const cells = [aCellOf({ memoryMb: 150 })];
  const before = aCluster({ processes: [restarted], placements: [old], copies: [aCopyOf(old)], cells });
  expect(planned(before)).toEqual(['withdraw process-0-1 (room)']);
  const stopping = { ...before, placements: [], copies: [aCopyOf(old, { state: 'STOPPING' })] };
  expect(planned(stopping)).toEqual([]);
  expect(planned({ ...stopping, copies: [] })).toEqual(['place process/0 on a']);
});

test('decide() makes room index by index, so that the last copy that serves stays until a new one does', () => {
  const olds = [0, 1].map(index => aPlacementOf(former, { index }));
  const process = { ...restarted, instances: 2 };
  const cells = [aCellOf({ memoryMb: 200 })];
  const before = aCluster({ processes: [process], placements: olds, copies: olds.map(each => aCopyOf(each)), cells });
  expect(planned(before)).toEqual(['withdraw process-0-1 (room)', 'explain process/1']);
  const first = aPlacementOf(process, { generation: 2 });
  const between = { ...before, placements: [olds[1]!, first], copies: [aCopyOf(olds[1]!)] };
  expect(plan(between).actions).toMatchObject([
    { do: 'explain', index: 1, reason: expect.stringContaining('serves until one of the new run does') },
  ]);
  expect(planned({ ...between, copies: [aCopyOf(olds[1]!), aCopyOf(first)] })).toEqual(['withdraw process-1-1 (room)']);
});

test('decide() stops nothing for a new run that would not fit even then, and says so', () => {
  const large = aDesired({ startSequence: 2, spec: { ...former.spec!, guid: 'spec-2', memoryMb: 1_200 } });
  const state = aCluster({ processes: [large], placements: [old], copies: [aCopyOf(old)] });
  expect(plan(state).actions).toEqual([
    {
      do: 'explain',
      processGuid: 'process',
      index: 0,
      reason:
        'instance 0 waits: needs 1200M, 900M of 1000M free on the cell. Give it less memory, or stop or scale down another app.',
    },
  ]);
});

const twoCells = [aCellOf(), aCellOf({ id: 'b' })];

test('decide() replaces the copies of a cell whose lease is lost at once, and marks the cell', () => {
  const process = aDesired();
  const suspect = aPlacementOf(process);
  const state = aCluster({ processes: [process], placements: [suspect], copies: [aCopyOf(suspect)], cells: twoCells });
  const seen = seenAlive(state, NOW);
  const before = seenLater(seen, state, { clockMs: NOW + 14_999, silent: ['a'] });
  expect(planned(state, before, NOW + 14_999)).toEqual([]);
  expect(plan(state, before, NOW + 14_999).nextAtMs).toBe(NOW + 15_000);
  const after = seenLater(before, state, { clockMs: NOW + 15_000, silent: ['a'] });
  expect(planned(state, after, NOW + 15_000)).toEqual(['mark a LOST', 'place process/0 on b']);
});

/** Index 0 on the lost cell `a`, its replacement on `b`. */
const suspected = (replacementState: 'STARTING' | 'RUNNING') => {
  const process = aDesired();
  const placements = [aPlacementOf(process), aPlacementOf(process, { generation: 2, cellId: 'b' })];
  const copies = [aCopyOf(placements[0]!), aCopyOf(placements[1]!, { state: replacementState })];
  const cells = [aCellOf({ state: 'LOST' }), aCellOf({ id: 'b' })];
  const state = aCluster({ processes: [process], placements, copies, cells });
  const seen = seenLater(seenAlive(state, NOW), state, { clockMs: NOW + 15_000, silent: ['a'] });
  return { state, seen };
};

test('decide() keeps a SUSPECT copy until its replacement serves', () => {
  const starting = suspected('STARTING');
  expect(planned(starting.state, starting.seen, NOW + 15_000)).toEqual([]);
  const running = suspected('RUNNING');
  expect(planned(running.state, running.seen, NOW + 15_000)).toEqual(['withdraw process-0-1 (superseded)']);
});

test('decide() takes a SUSPECT copy back when its agent returns first, and cancels the replacement', () => {
  const { state, seen } = suspected('STARTING');
  const back = seenLater(seen, state, { clockMs: NOW + 16_000 });
  expect(planned(state, back, NOW + 16_000)).toEqual(['mark a ACTIVE', 'withdraw process-0-2 (superseded)']);
});

test('decide() ends the older of two copies that both serve', () => {
  const { state, seen } = suspected('RUNNING');
  const back = seenLater(seen, state, { clockMs: NOW + 16_000 });
  expect(planned(state, back, NOW + 16_000)).toEqual(['mark a ACTIVE', 'withdraw process-0-1 (superseded)']);
});

test('decide() empties a draining cell without a gap, and places nothing there', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const cells = [aCellOf({ isDrained: true }), aCellOf({ id: 'b' })];
  const state = aCluster({ processes: [process], placements: [placement], copies: [aCopyOf(placement)], cells });
  expect(planned(state)).toEqual(['mark a DRAINING', 'place process/0 on b']);
  const moved = aPlacementOf(process, { generation: 2, cellId: 'b' });
  const marked = cells.map(cell => ({ ...cell, state: cell.isDrained ? ('DRAINING' as const) : cell.state }));
  const both = {
    ...state,
    cells: marked,
    placements: [placement, moved],
    copies: [aCopyOf(placement), aCopyOf(moved)],
  };
  expect(planned(both)).toEqual(['withdraw process-0-1 (superseded)']);
  const wanted = { ...both, cells: marked.map(cell => ({ ...cell, isDrained: false })), placements: [moved] };
  expect(planned({ ...wanted, copies: [aCopyOf(moved)] })).toEqual(['mark a ACTIVE']);
});

test('decide() places nothing for a minute when more than half of three cells are lost at once', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const cells = ['a', 'b', 'c'].map(id => aCellOf({ id }));
  const state = aCluster({ processes: [process], placements: [placement], copies: [aCopyOf(placement)], cells });
  const lost = seenLater(seenAlive(state, NOW), state, { clockMs: NOW + 15_000, silent: ['a', 'b'] });
  expect(planned(state, lost, NOW + 15_000)).toEqual(['mark a LOST', 'mark b LOST']);
  const later = seenLater(lost, state, { clockMs: NOW + 75_000, silent: ['a', 'b'] });
  expect(planned(state, later, NOW + 75_000)).toEqual(['mark a LOST', 'mark b LOST', 'place process/0 on c']);
});

test('decide() places the copies of one lost cell of three without a brake', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const cells = ['a', 'b', 'c'].map(id => aCellOf({ id }));
  const state = aCluster({ processes: [process], placements: [placement], copies: [aCopyOf(placement)], cells });
  const lost = seenLater(seenAlive(state, NOW), state, { clockMs: NOW + 15_000, silent: ['a'] });
  expect(planned(state, lost, NOW + 15_000)).toEqual(['mark a LOST', 'place process/0 on b']);
});

test('decide() places again what its agent did not take up within 30 s, elsewhere if it can', () => {
  const process = aDesired();
  const state = aCluster({ processes: [process], placements: [aPlacementOf(process)], cells: twoCells });
  const seen = seenAlive(state, NOW);
  const later = (clockMs: number) => seenLater(seen, state, { clockMs });
  expect(planned(state, later(NOW + 29_999), NOW + 29_999)).toEqual([]);
  expect(planned(state, later(NOW + 30_000), NOW + 30_000)).toEqual([
    'withdraw process-0-1 (failed)',
    'place process/0 on b',
  ]);
  const alone = { ...state, cells: [aCellOf()] };
  expect(planned(alone, later(NOW + 30_000), NOW + 30_000)).toEqual([
    'withdraw process-0-1 (failed)',
    'place process/0 on a',
  ]);
});

test('decide() moves a copy whose starts failed three times on its cell, and not to that cell for five minutes', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const failing = (attempt: number) =>
    aCluster({
      processes: [process],
      placements: [placement],
      copies: [aCopyOf(placement, { state: 'STARTING', attempt, placementError: 'no such layer' })],
      cells: twoCells,
    });
  const second = seenLater(seenAlive(failing(1), NOW), failing(2), { clockMs: NOW + 5_000 });
  expect(planned(failing(2), second, NOW + 5_000)).toEqual([]);
  const third = seenLater(second, failing(3), { clockMs: NOW + 10_000 });
  expect(planned(failing(3), third, NOW + 10_000)).toEqual(['place process/0 on b']);
  const onlyA = { ...failing(3), placements: [], copies: [], cells: [aCellOf()] };
  const paused = seenLater(third, onlyA, { clockMs: NOW + 309_999 });
  expect(plan(onlyA, paused, NOW + 309_999)).toMatchObject({
    actions: [{ do: 'explain', reason: expect.stringContaining('3 starts failed before the app ran (no such layer)') }],
    nextAtMs: NOW + 310_000,
  });
  const over = seenLater(paused, onlyA, { clockMs: NOW + 310_000 });
  expect(planned(onlyA, over, NOW + 310_000)).toEqual(['place process/0 on a']);
});

test('decide() starts on a snapshot that may be old, and stops nothing', () => {
  const process = aDesired({ instances: 1 });
  const surplus = aPlacementOf(process, { index: 1 });
  const state = aCluster({ processes: [process], placements: [surplus], copies: [aCopyOf(surplus)] });
  expect(planned({ ...state, fresh: false })).toEqual(['place process/0 on a']);
  expect(planned(state)).toEqual(['withdraw process-1-1 (unwanted)', 'place process/0 on a']);
});

test('decide() stops no copy for one that an agent said was RUNNING before this scheduler watched it', () => {
  const state = aCluster({ processes: [restarted], placements: [old, fresh], copies: [aCopyOf(old), aCopyOf(fresh)] });
  const firstLook = seenLater(seenAlive(aCluster({ cells: [] }), NOW), state, { clockMs: NOW });
  expect(planned(state, firstLook)).toEqual(['withdraw process-0-1 (superseded)']);
  const ofNewLeader = { ...firstLook, cells: new Map([['a', { ...firstLook.cells.get('a')!, isProven: false }]]) };
  expect(planned(state, ofNewLeader)).toEqual([]);
});

test('decide() leaves crashed copies to their agents', () => {
  const process = aDesired();
  const placement = aPlacementOf(process);
  const copies = [aCopyOf(placement, { state: 'CRASHED' })];
  expect(planned(aCluster({ processes: [process], placements: [placement], copies }))).toEqual([]);
});

test('decide() has four starts under way on a cell at once, and no more in all than it may', () => {
  const process = aDesired({ instances: 8 });
  const state = aCluster({ processes: [process], cells: twoCells });
  const seen = seenAlive(state, NOW);
  const count = (startsInFlightMax: number): number =>
    decide(state, seen, { clockMs: NOW, startsInFlightMax }).actions.length;
  expect([count(100), count(3)]).toEqual([8, 3]);
  const one = { ...state, cells: [aCellOf()] };
  expect(planned(one)).toHaveLength(4);
  const placements = [0, 1, 2, 3].map(index => aPlacementOf(process, { index }));
  const busy = { ...one, placements };
  expect(planned(busy)).toEqual([]);
  expect(planned(busy, seenAlive(busy, NOW), NOW + 10_000)).toHaveLength(4);
});

test('decide() gives the first instance of every app room before the second of any', () => {
  const processes = ['p', 'q', 'r'].map(guid => aDesired({ guid, instances: 2 }));
  expect(planned(aCluster({ processes, cells: [aCellOf({ memoryMb: 300 })] }))).toEqual([
    'place p/0 on a',
    'place q/0 on a',
    'place r/0 on a',
    'explain p/1',
    'explain q/1',
    'explain r/1',
  ]);
});

test('decide() writes a reason once, changes it when it changes, and clears it when there is none', () => {
  const process = aDesired({ spec: { ...former.spec!, memoryMb: 2_000 } });
  const state = aCluster({ processes: [process] });
  const [explain] = plan(state).actions as [Extract<Action, { do: 'explain' }>];
  expect(planned({ ...state, errors: [explain] })).toEqual([]);
  expect(planned({ ...state, errors: [{ ...explain, reason: 'another' }] })).toEqual(['explain process/0']);
  const cells = [aCellOf({ memoryMb: 3_000 })];
  expect(planned({ ...state, cells, errors: [explain] })).toEqual(['place process/0 on a', 'clear process/0']);
  expect(planned(aCluster({ errors: [explain] }))).toEqual(['clear process/0']);
});

test('decide() says in plain words what is lacking', () => {
  const process = aDesired();
  const reason = (cells: ReturnType<typeof aCellOf>[], spec = process.spec!): unknown =>
    (plan(aCluster({ processes: [{ ...process, spec }], cells })).actions[0] as { reason: string }).reason;
  expect(reason([])).toBe(
    'instance 0 waits: no cell is there to run it. "cupola status" shows whether the cell is up.',
  );
  expect(reason([aCellOf()], { ...process.spec!, stack: 'windows' })).toBe(
    'instance 0 waits: no cell has the stack "windows"; there is host.',
  );
  expect(reason([aCellOf()], { ...process.spec!, abiKey: 'ubuntu' })).toBe(
    'instance 0 waits: the system of its cells has changed since the app was staged. Restage it: "cf restage".',
  );
  expect(reason([aCellOf({ diskMb: 99 })])).toMatch('needs 100M of disk, 99M of 99M free on the cell');
  expect(reason([aCellOf({ copiesMax: 0 }), aCellOf({ id: 'b', copiesMax: 0 })])).toMatch(
    'all 0 places for instances are taken on the freest of 2 cells',
  );
});
