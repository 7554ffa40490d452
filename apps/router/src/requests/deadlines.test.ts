import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDeadlines, type Deadlines } from './deadlines.ts';

describe('createDeadlines()', () => {
  let late: string[];
  let deadlines: Deadlines<string>;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
    late = [];
    deadlines = createDeadlines({
      limitMs: 100,
      monotonic: () => performance.now(),
      late: item => late.push(item),
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('names each item that stayed for the limit, at its own time', () => {
    deadlines.add('first');
    vi.advanceTimersByTime(60);
    deadlines.add('second');
    vi.advanceTimersByTime(39);
    expect(late).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(late).toEqual(['first']);
    vi.advanceTimersByTime(60);
    expect(late).toEqual(['first', 'second']);
  });

  test('never names one that was removed, and goes on for those that come later', () => {
    deadlines.add('gone');
    deadlines.remove('gone');
    vi.advanceTimersByTime(500);
    deadlines.add('stays');
    vi.advanceTimersByTime(100);
    expect(late).toEqual(['stays']);
  });

  test('has one timer however many there are, and none once all have gone', () => {
    for (let n = 0; n < 1_000; n++) deadlines.add(`request-${n}`);
    expect(vi.getTimerCount()).toBe(1);
    for (let n = 0; n < 1_000; n++) deadlines.remove(`request-${n}`);
    vi.advanceTimersByTime(100);
    expect(vi.getTimerCount()).toBe(0);
  });
});
