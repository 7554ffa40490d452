import { expect, test } from 'vitest';
import { chartsOf, countedMarks, loneOf, marksAt, placesOf, shortNumber, stackedOf, summaryOf } from './charts.ts';
import { someFigures, timeAt } from './fixtures.ts';
import { askedOf, RANGES, rangeOf } from './ranges.ts';

test('chartsOf() has rates by the second, and no line of a class that never came', () => {
  const figures = someFigures([10, null, 30]);
  const [requests] = chartsOf({ ...figures, requests: { ...figures.requests, '5xx': [0, null, 5] } }, null);
  expect(requests?.lines.map(({ key, values }) => [key, values])).toEqual([
    ['2xx', [1, null, 3]],
    ['5xx', [0, null, 0.5]],
  ]);
});

test('chartsOf() draws memory beside its limit, if it is known', () => {
  const linesOf = (limitMb: number | null) =>
    chartsOf(someFigures([1, 2]), limitMb).find(({ key }) => key === 'memory')?.lines;
  expect(linesOf(64)?.map(({ values }) => values)).toEqual([
    [32, 32],
    [64, 64],
  ]);
  expect(linesOf(null)).toHaveLength(1);
});

test('stackedOf() sums up, and knows nothing where nothing is known', () => {
  const stacked = stackedOf([
    [1, null, null],
    [2, 3, null],
  ]);
  expect(stacked).toEqual([
    [1, null, null],
    [3, 3, null],
  ]);
});

test('loneOf() finds what has nothing known beside it', () => {
  expect(loneOf([1, null, 2, 3, null, 4])).toEqual([0, 5]);
});

test.each([
  [0, '0'],
  [0.254, '0.25'],
  [1, '1'],
  [7.34, '7.3'],
  [48.4, '48'],
  [1_240, '1.2k'],
  [38_200, '38k'],
])('shortNumber(%s) is %s', (value, text) => {
  expect(shortNumber(value)).toBe(text);
});

test('summaryOf() says in words what the graphs show, without limits', () => {
  const rows = summaryOf(chartsOf(someFigures([10, 30, null]), 64));
  expect(rows[0]).toEqual({ chart: 'requests a second', line: '2xx', now: '3', mean: '2', most: '3' });
  expect(rows.find(({ line }) => line === 'p99')).toMatchObject({ now: '1.5 s' });
  expect(rows.map(({ line }) => line)).not.toContain('limit now');
  expect(summaryOf(chartsOf(someFigures([null]), null))[0]).toMatchObject({ now: 'unknown', mean: 'unknown' });
});

test('marks are counted by kind, and found by window', () => {
  const mark = (at: number, kind: 'crash' | 'deploy') => ({
    at: timeAt(at),
    kind,
    event_guid: `e${at}`,
    event_type: '',
    actor: '',
  });
  const marks = [mark(0, 'crash'), mark(1, 'deploy'), mark(2, 'crash')];
  expect(countedMarks(marks)).toEqual([
    { kind: 'deploy', count: 1 },
    { kind: 'crash', count: 2 },
  ]);
  expect(marksAt(marks, Date.parse(timeAt(1)), 10_000)).toEqual([marks[1]]);
});

test('placesOf() has signs of one moment beside each other, also where the graph ends', () => {
  expect(placesOf([5, 5, 40], { gap: 10, most: 100 })).toEqual([5, 15, 40]);
  expect(placesOf([50, 92, 95], { gap: 10, most: 95 })).toEqual([50, 85, 95]);
  expect(placesOf([], { gap: 10, most: 95 })).toEqual([]);
});

test.each(RANGES)('askedOf() asks for $label of whole windows; rangeOf() knows them by their number', range => {
  const now = Date.parse(timeAt(0)) + 12_345;
  const { start, step } = askedOf(range, now);
  const rest = now - Date.parse(start) - range.lengthMs;
  expect([rest >= 0, rest < range.stepS * 1_000]).toEqual([true, true]);
  expect(Date.parse(start) % (Number(step) * 1_000)).toBe(0);
  expect(rangeOf(range.lengthMs / range.stepS / 1_000 + 1, range.stepS)).toBe(range);
});
