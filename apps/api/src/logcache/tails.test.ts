import { describe, expect, test } from 'vitest';
import { createTails } from './tails.ts';

describe('createTails()', () => {
  test('trueStart() is what was asked, unless an answer was shifted', () => {
    const tails = createTails();
    tails.shifted('app', 10n, 2_000n);
    expect(tails.trueStart('app', 10n)).toBe(2_000n);
    expect(tails.trueStart('app', 11n)).toBe(11n);
    expect(tails.trueStart('other', 10n)).toBe(10n);
  });

  test('passed() is true only after a tail asked from later than the line', () => {
    const tails = createTails();
    expect(tails.passed('app', 5n)).toBe(false);
    tails.asked('app', 5n);
    expect(tails.passed('app', 5n)).toBe(false);
    tails.asked('app', 6n);
    expect(tails.passed('app', 5n)).toBe(true);
    expect(tails.passed('other', 5n)).toBe(false);
  });

  test('asked() with an older time takes nothing back', () => {
    const tails = createTails();
    tails.asked('app', 9n);
    tails.asked('app', 1n);
    expect(tails.passed('app', 8n)).toBe(true);
  });

  test('waitPassed() resolves as soon as a tail has gone past', async () => {
    const tails = createTails();
    const waited = tails.waitPassed('app', 7n, { timeoutMs: 60_000 });
    tails.asked('app', 7n);
    tails.asked('app', 8n);
    expect(await waited).toBe(true);
  });

  test('waitPassed() is false when its time is over or its client has gone', async () => {
    const tails = createTails();
    expect(await tails.waitPassed('app', 7n, { timeoutMs: 1 })).toBe(false);
    const gone = new AbortController();
    const waited = tails.waitPassed('app', 7n, { timeoutMs: 60_000, signal: gone.signal });
    gone.abort();
    expect(await waited).toBe(false);
    expect(await tails.waitPassed('app', 7n, { timeoutMs: 60_000, signal: gone.signal })).toBe(false);
  });

  test('the positions of many tails are bounded, the oldest go', () => {
    const tails = createTails();
    for (let at = 0n; at < 1_000n; at++) tails.shifted('app', at, at + 5n);
    expect(tails.trueStart('app', 0n)).toBe(0n);
    expect(tails.trueStart('app', 999n)).toBe(1_004n);
  });
});
