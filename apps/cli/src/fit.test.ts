import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fittedTable } from './fit.ts';

const ROWS = [
  ['name', 'urls'],
  ['shop', 'https://shop.apps.example.com, https://www.example.com'],
  ['a', 'x'],
];

test('fittedTable() leaves what fits, and what goes into a pipe, as it is', () => {
  const plain = 'name   urls\nshop   https://shop.apps.example.com, https://www.example.com\na      x';
  expect(fittedTable(ROWS, null)).toBe(plain);
  expect(fittedTable(ROWS, 80)).toBe(plain);
});

test('fittedTable() breaks cells within their column, behind a comma where one is; words of the last one stay whole', () => {
  expect(fittedTable(ROWS, 40)).toBe(
    'name   urls\nshop   https://shop.apps.example.com,\n       https://www.example.com\na      x',
  );
  expect(fittedTable([['https://shop.apps.example.com', 'https://www.example.com/path b']], 30)).toBe(
    'https://shop.   https://www.example.com/path\napps.example.   b\ncom',
  );
});

test('fittedTable() loses no character, and keeps to the width when columns can be so narrow', () => {
  const cell = fc.stringMatching(/^[a-z]{0,60}$/);
  const rows = fc.array(fc.tuple(cell, cell, fc.constant('x')), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 42, max: 100 }), (all, columns) => {
      const text = fittedTable(all, columns);
      expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(columns);
      expect([...text.replaceAll(/\s/g, '')].toSorted()).toEqual([...all.flat().join('')].toSorted());
    }),
  );
});
