import fc from 'fast-check';
import { expect, test } from 'vitest';
import { floodGate } from './flood-gate.ts';

test('floodGate() tells what is too many in a second, for each source by itself', () => {
  let nowMs = 500;
  const isFlood = floodGate({ perSecond: 2, monotonic: () => nowMs });
  expect(['a', 'a', 'a', 'b', 'a'].map(isFlood)).toEqual([false, false, true, false, true]);
  nowMs = 1_000;
  expect(isFlood('a')).toBe(false);
});

test('floodGate() lets through what is asked for, and in no second more of one source', () => {
  const query = fc.record({ source: fc.constantFrom('a', 'b', 'c'), afterMs: fc.integer({ min: 0, max: 600 }) });
  fc.assert(
    fc.property(fc.array(query, { maxLength: 60 }), queries => {
      let nowMs = 0;
      const isFlood = floodGate({ perSecond: 3, monotonic: () => nowMs });
      const asked = queries.map(({ source, afterMs }) => {
        nowMs += afterMs;
        return { key: `${source} ${Math.floor(nowMs / 1_000)}`, passes: !isFlood(source) };
      });
      return [...Map.groupBy(asked, ({ key }) => key).values()].every(
        alike => alike.filter(({ passes }) => passes).length === Math.min(alike.length, 3),
      );
    }),
  );
});
