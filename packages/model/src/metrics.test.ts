import { expect, test } from 'vitest';
import {
  CLASSES_AT,
  coarser,
  markOf,
  quantileMs,
  REQUEST_NUMBERS,
  SUM_AT,
  stepFor,
  together,
  type Window,
} from './metrics.ts';

/** Requests with a 200, in these buckets. */
function requests(buckets: readonly number[]): number[] {
  const numbers = new Array<number>(REQUEST_NUMBERS).fill(0);
  for (const [at, count] of buckets.entries()) numbers[at] = count;
  numbers[CLASSES_AT + 1] = buckets.reduce((sum, count) => sum + count, 0);
  numbers[SUM_AT] = 100;
  return numbers;
}
const usage = (cpu: number, memoryBytes: number, instances = 1) => ({ cpu, memoryBytes, instances });
const window = (at: number, given: Partial<Window>): Window => ({ at, requests: null, usage: null, ...given });

test('coarser() adds requests up, averages CPU, and takes the most memory', () => {
  const windows = [
    window(0, { requests: requests([1]), usage: usage(0.2, 100) }),
    window(10_000, { usage: usage(0.4, 300, 2) }),
    window(20_000, { requests: requests([0, 2]) }),
    window(300_000, { requests: requests([4]) }),
  ];
  const [first, second] = coarser(windows, 300_000);
  expect(first?.at).toBe(0);
  expect(first?.usage?.cpu).toBeCloseTo(0.3);
  expect(first?.usage).toMatchObject({ memoryBytes: 300, instances: 2 });
  expect(first?.requests?.slice(0, 2)).toEqual([1, 2]);
  expect(second).toEqual(window(300_000, { requests: requests([4]) }));
});

test('together() adds what several tell of one window', () => {
  const sum = together({ requests: requests([1]), usage: null }, { requests: requests([2]), usage: usage(1, 5) });
  expect(sum.requests?.[0]).toBe(3);
  expect(sum.usage).toEqual(usage(1, 5));
});

test('quantileMs() lies within the bucket that has it', () => {
  expect(quantileMs(requests([0, 0, 0, 10]), 0.5)).toBe(37.5);
  expect(quantileMs(requests([90, 0, 0, 0, 0, 10]), 0.5)).toBeCloseTo(2.78, 1);
  expect(quantileMs(requests([90, 0, 0, 0, 0, 10]), 0.95)).toBe(175);
  expect(quantileMs(requests([]), 0.5)).toBeNull();
});

test('quantileMs() says no more of the slowest than the last bound', () => {
  const slow = requests([]);
  slow[CLASSES_AT - 1] = 3;
  expect(quantileMs(slow, 0.99)).toBe(60_000);
});

test('stepFor() keeps a graph below so many points', () => {
  expect(stepFor(3_600_000, 360)).toBe(10);
  expect(stepFor(86_400_000, 360)).toBe(300);
  expect(stepFor(30 * 86_400_000, 360)).toBe(7_200);
});

test('markOf() knows what may bend a graph', () => {
  expect(markOf('audit.app.process.scale')).toBe('scale');
  expect(markOf('audit.app.ssh-authorized')).toBeNull();
});
