import { expect, test } from 'vitest';
import { createPace } from './pace.ts';

test('createPace() lets an upload begin slowly', () => {
  const pace = createPace(0);
  expect(pace(0, 5_000)).toBe(true);
  expect(pace(0, 59_999)).toBe(true);
});

test('createPace() ends an upload of which 60 s brought nothing', () => {
  const pace = createPace(0);
  expect(pace(1_000_000, 30_000)).toBe(true);
  expect(pace(1_000_000, 60_000)).toBe(true);
  expect(pace(1_000_000, 90_000)).toBe(false);
});

test('createPace() ends a trickle, however much came before', () => {
  const pace = createPace(0);
  expect(pace(10_000_000, 10_000)).toBe(true);
  expect(pace(10_030_000, 40_000)).toBe(true);
  expect(pace(10_060_000, 70_000)).toBe(false);
});

test('createPace() keeps 1 KiB a second alive for a whole day', () => {
  const pace = createPace(0);
  const looks = Array.from({ length: 17_280 }, (_, at) => pace((at + 1) * 5 * 1_024, (at + 1) * 5_000));
  expect(looks).not.toContain(false);
});
