import { expect, test } from 'vitest';
import { afterCrash, afterStartError, decideCopies, isFresh, type KnownCopy, startProbeTimes } from './cell-plan.ts';

const NOW = 500_000;
const known = (overrides: Partial<KnownCopy> = {}): KnownCopy => ({
  guid: 'a',
  generation: 1,
  startSequence: 0,
  phase: 'running',
  startAtMs: null,
  startingSinceMs: null,
  ...overrides,
});
const placed = { guid: 'a', generation: 1, startSequence: 0 };

test('decideCopies() takes and starts a new placement, in a view that is not fresh too', () => {
  const plan = decideCopies({ now: NOW, wanted: [placed], fresh: false, copies: [] });
  expect(plan).toEqual({
    actions: [
      { do: 'take', guid: 'a' },
      { do: 'start', guid: 'a' },
    ],
    wakeAtMs: null,
  });
});

test('decideCopies() stops what a fresh view lacks, forgets it once it has stopped', () => {
  const decide = (phase: KnownCopy['phase']) =>
    decideCopies({ now: NOW, wanted: [], fresh: true, copies: [known({ phase })] }).actions;
  expect(decide('running')).toEqual([{ do: 'stop', guid: 'a', reason: 'withdrawn' }]);
  expect(decide('starting')).toEqual([{ do: 'stop', guid: 'a', reason: 'withdrawn' }]);
  expect(decide('stopping')).toEqual([]);
  expect(decide('stopped')).toEqual([{ do: 'forget', guid: 'a' }]);
  expect(decide('waiting')).toEqual([{ do: 'forget', guid: 'a' }]);
});

test('decideCopies() replaces what runs by a newer start sequence, stop first', () => {
  const wanted = [{ ...placed, startSequence: 1 }];
  const decide = (phase: KnownCopy['phase']) =>
    decideCopies({ now: NOW, wanted, fresh: false, copies: [known({ phase })] }).actions;
  expect(decide('running')).toEqual([{ do: 'stop', guid: 'a', reason: 'replaced' }]);
  expect(decide('stopping')).toEqual([]);
  expect(decide('stopped')).toEqual([
    { do: 'renew', guid: 'a' },
    { do: 'start', guid: 'a' },
  ]);
});

test('decideCopies() lets a newer generation cut a crash wait short, and an older one change nothing', () => {
  const waiting = known({ generation: 2, phase: 'waiting', startAtMs: NOW + 60_000 });
  const decide = (generation: number) =>
    decideCopies({ now: NOW, wanted: [{ ...placed, generation }], fresh: true, copies: [waiting] });
  expect(decide(3).actions.map(action => action.do)).toEqual(['renew', 'start']);
  expect(decide(1)).toEqual({ actions: [], wakeAtMs: NOW + 60_000 });
});

test('decideCopies() restarts a crashed copy that it has no view of, when its time has come', () => {
  const copies = [known({ phase: 'waiting', startAtMs: NOW })];
  expect(decideCopies({ now: NOW - 1, wanted: [], fresh: false, copies })).toEqual({ actions: [], wakeAtMs: NOW });
  expect(decideCopies({ now: NOW, wanted: [], fresh: false, copies }).actions).toEqual([{ do: 'start', guid: 'a' }]);
});

test('decideCopies() leaves a copy crashed after its 200th crash', () => {
  const copies = [known({ phase: 'waiting', ...afterCrash(199, { ranMs: 0, now: NOW }) })];
  expect(decideCopies({ now: NOW + 1e9, wanted: [placed], fresh: true, copies })).toEqual({
    actions: [],
    wakeAtMs: null,
  });
});

test('decideCopies() starts four at once, and the next when one of them has been at it for 10 s', () => {
  const copies = [1, 2, 3, 4].map(n => known({ guid: `s${n}`, phase: 'starting', startingSinceMs: NOW - 5_000 + n }));
  const waiting = known({ guid: 'w', phase: 'waiting', startAtMs: NOW - 1 });
  const decide = (now: number) => decideCopies({ now, wanted: [], fresh: false, copies: [...copies, waiting] });
  expect(decide(NOW)).toEqual({ actions: [], wakeAtMs: NOW + 5_001 });
  expect(decide(NOW + 5_001).actions).toEqual([{ do: 'start', guid: 'w' }]);
});

test('afterStartError() waits for a pass, after each third error for five minutes', () => {
  expect([1, 2, 3, 4, 6].map(errors => afterStartError(errors, 0))).toEqual([5_000, 5_000, 300_000, 5_000, 300_000]);
});

test('isFresh() holds for two minutes after the last word', () => {
  expect(isFresh(null, NOW)).toBe(false);
  expect(isFresh(NOW - 120_000, NOW)).toBe(true);
  expect(isFresh(NOW - 120_001, NOW)).toBe(false);
});

test('startProbeTimes() doubles from 10 ms, goes on each 2 s, and ends with a last one at the timeout', () => {
  const times = [...startProbeTimes(7_000)];
  expect(times).toEqual([0, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 4_560, 6_560, 7_000]);
});
