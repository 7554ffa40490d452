import fc from 'fast-check';
import { expect, test } from 'vitest';
import { watchLines } from './watch-lines.ts';

test('watchLines() tells each line once, wherever the chunks are cut, and no empty one', () => {
  const line = fc.string({ unit: 'grapheme' }).map(text => text.replaceAll('\n', ''));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(200)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map(text => `${text}\n`).join(''));
      const told: string[] = [];
      const take = watchLines(1_000_000, text => told.push(text));
      const places = [0, ...cuts.filter(cut => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
      for (const [index, place] of places.entries()) take(bytes.subarray(places[index - 1] ?? 0, place));
      expect(told).toEqual(lines.filter(text => text !== ''));
    }),
  );
});

test('watchLines() refuses a line that does not end', () => {
  const take = watchLines(10, () => undefined);
  take(Buffer.from('12345\n12345'));
  expect(() => take(Buffer.from('123456'))).toThrow('longer than 10 bytes');
});
