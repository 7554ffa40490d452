import { expect, test } from 'vitest';
import { createViewEntries, type Entry } from './view-entries.ts';

const at = (revision: number, epoch = 'e1') => ({ epoch, revision });
const entry = (guid: string, given: Partial<Entry> = {}): Entry => ({
  guid,
  audience: null,
  text: `{"guid":"${guid}"}`,
  dueAtMs: null,
  ...given,
});
const parse = (lines: readonly string[]) => lines.map(line => JSON.parse(line));

test('take() says nothing of what has not changed for watchers', () => {
  const entries = createViewEntries();
  entries.reset([entry('a')], at(1));
  expect(entries.take(['a', 'unknown'], [entry('a')], at(2))).toEqual([]);
});

test('take() removes what is there no more', () => {
  const entries = createViewEntries();
  entries.reset([entry('a')], at(1));
  const [line] = entries.take(['a'], [], at(2));
  expect(JSON.parse(line?.line ?? '')).toEqual({ type: 'remove', epoch: 'e1', revision: 2, guid: 'a' });
});

test('take() of an item that moves to another audience removes it for the one before', () => {
  const entries = createViewEntries();
  entries.reset([entry('a', { audience: 'cell-1' })], at(1));
  const lines = entries.take(['a'], [entry('a', { audience: 'cell-2' })], at(2));
  expect(lines.map(({ audience, line }) => [audience, JSON.parse(line).type])).toEqual([
    ['cell-1', 'remove'],
    ['cell-2', 'upsert'],
  ]);
});

test('missed() is a snapshot of one audience for a watcher that knows nothing', () => {
  const entries = createViewEntries();
  entries.reset([entry('a', { audience: 'cell-1' }), entry('b', { audience: 'cell-2' })], at(1));
  expect(parse(entries.missed('cell-1', null, at(1)))).toEqual([
    { type: 'snapshot', epoch: 'e1', revision: 1, items: [{ guid: 'a' }] },
  ]);
});

test.each([
  ['another epoch', { epoch: 'e0', revision: 3 }],
  ['a place before this process', { epoch: 'e1', revision: 1 }],
  ['a place that is not reached yet', { epoch: 'e1', revision: 9 }],
])('missed() is a snapshot for %s', (_, after) => {
  const entries = createViewEntries();
  entries.reset([entry('a')], at(1));
  entries.take(['b'], [entry('b')], at(3));
  expect(parse(entries.missed(null, after, at(3)))).toMatchObject([{ type: 'snapshot' }]);
});

test('missed() says again what shares the revision of the cursor: the connection may have ended between two lines', () => {
  const entries = createViewEntries();
  entries.reset([entry('a'), entry('b')], at(1));
  entries.take(['a', 'b', 'c'], [entry('c')], at(2));
  entries.take(['d'], [entry('d')], at(3));
  expect(parse(entries.missed(null, at(2), at(3)))).toMatchObject([
    { type: 'remove', guid: 'a' },
    { type: 'remove', guid: 'b' },
    { type: 'upsert', item: { guid: 'c' } },
    { type: 'upsert', item: { guid: 'd' } },
    { type: 'synced', revision: 3 },
  ]);
});

test('missed() may be cut anywhere too: its lines come in the order of their own revisions', () => {
  const entries = createViewEntries();
  entries.reset([], at(1));
  entries.take(['a', 'b'], [entry('a'), entry('b')], at(2));
  entries.take(['a'], [], at(3));
  expect(parse(entries.missed(null, at(2), at(4))).map(({ type, revision }) => [type, revision])).toEqual([
    ['upsert', 2],
    ['remove', 3],
    ['synced', 4],
  ]);
});

test('missed() removes what went to another audience before it went altogether', () => {
  const entries = createViewEntries();
  entries.reset([], at(1));
  entries.take(['a'], [entry('a', { audience: 'mine' })], at(2));
  entries.take(['a'], [entry('a', { audience: 'other' })], at(3));
  entries.take(['a'], [], at(4));
  expect(parse(entries.missed('mine', at(2), at(4)))).toMatchObject([
    { type: 'remove', guid: 'a' },
    { type: 'synced' },
  ]);
});

test('missed() is a snapshot when what was removed since then is forgotten', () => {
  const entries = createViewEntries();
  const many = Array.from({ length: 10_001 }, (_, n) => entry(`g${n}`));
  entries.reset(many, at(1));
  entries.take(['x'], [entry('x')], at(2));
  entries.take(['g0'], [], at(3));
  entries.take(
    many.map(({ guid }) => guid),
    [],
    at(4),
  );
  expect(parse(entries.missed(null, at(2), at(4)))).toMatchObject([{ type: 'snapshot' }]);
  expect(parse(entries.missed(null, at(4), at(4)))).not.toMatchObject([{ type: 'snapshot' }]);
});

test('nextDueAtMs() is the first of those that are due, and none once it is gone', () => {
  const entries = createViewEntries();
  entries.reset([entry('a', { dueAtMs: 20 }), entry('b', { dueAtMs: 10 }), entry('c')], at(1));
  expect(entries.nextDueAtMs()).toBe(10);
  expect(entries.due(15)).toEqual(['b']);
  entries.take(['b'], [entry('b')], at(1));
  entries.take(['a'], [], at(1));
  expect(entries.nextDueAtMs()).toBeNull();
});
