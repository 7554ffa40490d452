import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { gathered } from './gathered.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('gathered() acts once for a burst that does not end, and once more for what came meanwhile', async () => {
  const acts: PromiseWithResolvers<void>[] = [];
  const { soon, end } = gathered(100, () => {
    const act = Promise.withResolvers<void>();
    acts.push(act);
    return act.promise;
  });
  for (let at = 0; at < 30; at++) {
    soon();
    await vi.advanceTimersByTimeAsync(10);
  }
  // A hundred ms after the first one; the others wait for it.
  expect(acts).toHaveLength(1);
  acts[0]?.resolve();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(acts).toHaveLength(2);
  soon();
  const ended = end();
  acts[1]?.resolve();
  await ended;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(acts).toHaveLength(2);
});
