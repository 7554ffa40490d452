import type { Move } from '@cupola/archive/zip-base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinMoves } from './move-later.ts';

/** Ranges that keep some of what lies in a pack, pushed together as `copyBase` does. */
const moves = fc.array(fc.record({ size: fc.integer({ min: 1, max: 5 }), stays: fc.boolean() })).map(parts => {
  const ranges: Move[] = [];
  let from = 0;
  let to = 0;
  for (const { size, stays } of parts) {
    if (stays) {
      ranges.push({ from, until: from + size, shift: from - to });
      to += size;
    }
    from += size;
  }
  return ranges;
});

function placeAfter(place: number | null, ranges: readonly Move[]): number | null {
  const range = ranges.find(({ from, until }) => place !== null && place >= from && place < until);
  return range === undefined || place === null ? null : place - range.shift;
}

test('joined moves lead to where one after the other leads, and nowhere else', () => {
  fc.assert(
    fc.property(moves, moves, fc.nat(60), (first, then, place) => {
      expect(placeAfter(place, joinMoves(first, then))).toBe(placeAfter(placeAfter(place, first), then));
    }),
  );
});
