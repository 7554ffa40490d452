import { expect, test } from 'vitest';
import { nextCrashCount, restartDelayMs } from './crash-table.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

test('restartDelayMs() follows the crash table of failure-rules.md to its 200th row', () => {
  const waits = Array.from({ length: 201 }, (_, index) => restartDelayMs(index + 1));
  const expected = [0, 0, 30, 60, 120, 240, 480].map(seconds => seconds * SECOND);
  expect(waits).toEqual([...expected, ...Array.from({ length: 192 }, () => 960 * SECOND), null, null]);
});

test('nextCrashCount() counts crashes in a row', () => {
  expect(nextCrashCount(0, 0)).toBe(1);
  expect(nextCrashCount(6, 10 * SECOND)).toBe(7);
  expect(nextCrashCount(198, 0)).toBe(199);
});

test('nextCrashCount() begins anew after more than five minutes of RUNNING, and not after exactly five', () => {
  expect(nextCrashCount(6, 5 * MINUTE)).toBe(7);
  expect(nextCrashCount(6, 5 * MINUTE + 1)).toBe(1);
});
