import { expect, test } from 'vitest';
import { joinLines, LINES_MAX, type LogLine, logLine, matcherOf, NO_FILTER } from './lines.ts';

const line = (at: number, text: string, source = 'APP/PROC/WEB'): LogLine =>
  logLine({
    timestamp: String(at),
    instance_id: '0',
    tags: { source_type: source },
    log: { payload: btoa(String.fromCharCode(...new TextEncoder().encode(text))), type: 'OUT' },
  });

test('logLine() reads UTF-8', () => {
  expect(line(1, 'größer ✓').text).toBe('größer ✓');
});

test('joinLines() keeps the order of time, also when a batch is late', () => {
  const joined = joinLines([line(1, 'a'), line(4, 'd')], [line(3, 'c'), line(2, 'b')]);
  expect(joined.map(({ text }) => text).join('')).toBe('abcd');
});

test('joinLines() is bounded: the oldest go', () => {
  const many = Array.from({ length: LINES_MAX }, (_, index) => line(index, 'x'));
  const joined = joinLines(many, [line(LINES_MAX, 'last')]);
  expect([joined.length, joined.at(-1)?.text, joined[0]?.timestampNs]).toEqual([LINES_MAX, 'last', 1n]);
});

test('matcherOf() filters by text, pattern, source and instance', () => {
  const lines = [line(1, 'GET /a 200'), line(2, 'GET /b 500'), line(3, 'GET /b 500', 'RTR')];
  const found = (given: Partial<typeof NO_FILTER>): number =>
    lines.filter(matcherOf({ ...NO_FILTER, ...given }) ?? (() => false)).length;
  expect(found({ text: 'get /A' })).toBe(1);
  expect(found({ text: '5\\d\\d$', isRegex: true })).toBe(2);
  expect(found({ text: '500', source: 'RTR' })).toBe(1);
  expect(found({ instance: '1' })).toBe(0);
});

test('matcherOf() is null for a pattern that is typed by half', () => {
  expect(matcherOf({ ...NO_FILTER, text: '(', isRegex: true })).toBeNull();
});

test('a line of the platform that tells of a crash is one; what an app prints never is', () => {
  expect(line(1, 'Process has crashed with type: "web"', 'API').isCrash).toBe(true);
  expect(line(1, 'Process has crashed with type: "web"').isCrash).toBe(false);
});
