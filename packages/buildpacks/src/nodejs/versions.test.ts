import { expect, test } from 'vitest';
import { isIn, newestIn, overlaps } from './versions.ts';

test('newestIn() takes the newest of a range, no pre-release', () => {
  const versions = ['18.1.0', '20.3.0', '20.20.2', '22.0.0', '23.0.0-rc.1'];
  expect(newestIn('20.x', versions)).toBe('20.20.2');
  expect(newestIn(null, versions)).toBe('22.0.0');
  expect(newestIn('>=30', versions)).toBeNull();
});

test('isIn() and overlaps() hold every version for a null range', () => {
  expect([isIn(null, '1.0.0'), isIn('2.x', '1.0.0')]).toEqual([true, false]);
  expect([overlaps(null, '<2'), overlaps('1.10.0', '<2'), overlaps('^4', '<2')]).toEqual([true, true, false]);
});
