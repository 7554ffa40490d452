import { expect, test } from 'vitest';
import { foldJson, unfoldJson } from './json.ts';
import { type LogLine, logLine } from './lines.ts';
import { isIn, rangeText, reaching, readRange } from './log-range.ts';
import { rowsOf } from './log-rows.ts';

test('foldJson() has the message first, and no time, which the row shows', () => {
  const line = '{"time":1,"level":50,"msg":"checkout failed","order":7,"cause":{"code":"ETIMEDOUT"}}';
  expect(foldJson(line)).toEqual({
    level: 'error',
    message: 'checkout failed',
    rest: 'order=7 cause={"code":"ETIMEDOUT"}',
  });
});

test.each([
  ['"WARN"', 'warn'],
  ['"fatal"', 'error'],
  ['30', ''],
  ['"info"', ''],
])('foldJson() reads level %s as "%s"', (level, wanted) => {
  expect(foldJson(`{"severity":${level}}`)?.level).toBe(wanted);
});

test('foldJson() leaves alone what is no object', () => {
  expect(['GET / 200', '[1]', '{half', '{no json}', '12'].map(foldJson)).toEqual([null, null, null, null, null]);
});

test('what was escaped in the JSON hides and turns nothing once it is out', () => {
  const line = String.raw`{"msg":"\u001b[31mred\u202e","\u202ekey":"\u009b2J"}`;
  const shown = [foldJson(line)?.message, foldJson(line)?.rest, ...unfoldJson(line)].join('');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
  expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(shown).toContain('red');
});

const line = (at: number, text: string): LogLine =>
  logLine({ timestamp: String(at), instance_id: '0', tags: {}, log: { payload: btoa(text), type: 'OUT' } });

test('rowsOf() has a row for each line, and below one that is unfolded its JSON', () => {
  const lines = [line(1, 'plain'), line(2, '{"a":1}'), line(3, '{"b":2}')];
  const rows = rowsOf(lines, new Set([lines[1]?.id ?? 0]));
  expect(rows.map(({ line: { plain }, detail }) => detail ?? plain)).toEqual([
    'plain',
    '{"a":1}',
    '{',
    '  "a": 1',
    '}',
    '{"b":2}',
  ]);
  expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
});

test('readRange() reads what rangeText() has written, and nothing else', () => {
  const range = { fromNs: 1796012551230000000n, toNs: 1796012551230000007n };
  expect(readRange(rangeText(range))).toEqual(range);
  expect([undefined, '', '1', '2-1', 'a-b', '1-2-3', '-1-2'].map(readRange)).toEqual(Array(7).fill(null));
});

test('reaching() grows to both sides', () => {
  const one = reaching(null, 5n);
  expect(one).toEqual({ fromNs: 5n, toNs: 5n });
  expect(reaching(reaching(one, 9n), 2n)).toEqual({ fromNs: 2n, toNs: 9n });
  expect([isIn(one, 5n), isIn(one, 6n), isIn(null, 5n)]).toEqual([true, false, false]);
});
