import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aFrame, someFigures, timeAt } from './fixtures.ts';
import { isPast, wholeWindows, withMark, withWindow } from './with-window.ts';

test('withWindow() appends the next window, and the oldest goes', () => {
  const next = withWindow(someFigures([1, 2, 3]), aFrame(timeAt(3), 4));
  expect(next.requests['2xx']).toEqual([2, 3, 4]);
  expect(next.times).toEqual([1, 2, 3].map(index => timeAt(index)));
  expect(next.instances).toEqual([1, 1, 2]);
});

test('withWindow() fills one that was not known when it was read, and leaves unknown what nobody told of', () => {
  const known = someFigures([1, 2, null]);
  expect(withWindow(known, aFrame(timeAt(2), 3)).requests['2xx']).toEqual([1, 2, 3]);
  expect(withWindow(known, aFrame(timeAt(4), 5)).requests['2xx']).toEqual([null, null, 5]);
});

test('withWindow() changes nothing of coarser figures; isPast() says when they are to be read again', () => {
  const coarse = someFigures([1, 2], { step_seconds: 300, times: [timeAt(0, 300), timeAt(1, 300)] });
  expect(withWindow(coarse, aFrame(timeAt(2, 300), 1))).toBe(coarse);
  expect(isPast(coarse, aFrame(timeAt(2, 300), 1))).toBe(false);
  expect(isPast(coarse, aFrame(timeAt(3, 300), 1))).toBe(true);
});

test('withWindow() never changes the length, and times stay a step apart', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }), fc.integer({ min: -30, max: 60 }), (ok, at) => {
      const next = withWindow(someFigures(ok), aFrame(timeAt(at), 1));
      const steps = next.times.slice(1).map((time, index) => Date.parse(time) - Date.parse(next.times[index] ?? ''));
      expect(next.times).toHaveLength(ok.length);
      expect(next.requests['2xx']).toHaveLength(ok.length);
      expect(new Set([10_000, ...steps]).size).toBe(1);
    }),
  );
});

test('wholeWindows() leaves out the one that has only begun', () => {
  expect(wholeWindows(someFigures([1, 2, 3]))).toEqual(someFigures([1, 2]));
});

test('withMark() marks a deployment once, and not what somebody has looked at', () => {
  const event = { guid: 'e', type: 'audit.app.deployment.create', created_at: timeAt(1), actor: { name: 'admin' } };
  const marked = withMark(someFigures([1, 2]), event);
  expect(marked.marks).toMatchObject([{ kind: 'deploy', actor: 'admin', at: timeAt(1) }]);
  expect(withMark(marked, event)).toBe(marked);
  expect(withMark(marked, { ...event, guid: 'f', type: 'audit.app.environment.show' })).toBe(marked);
});
