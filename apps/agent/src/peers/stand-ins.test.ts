import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../fixtures.ts';
import { openStandIns } from './stand-ins.ts';

test('openStandIns() gives a key its address for as long as it is wanted, also after a restart', () => {
  using folder = tempFolder();
  const file = join(folder.path, 'stand-ins.json');
  const first = openStandIns(file, ['1', '2', '3']);
  expect([first.of('a'), first.of('b'), first.of('a')]).toEqual(['1', '2', '1']);
  first.keep(new Set(['b']));
  first.write();
  expect([first.keyOf('1'), first.keyOf('2')]).toEqual([null, 'b']);
  const next = openStandIns(file, ['1', '2', '3']);
  expect([next.keyOf('2'), next.of('c'), next.of('b')]).toEqual(['b', '3', '2']);
});

test('openStandIns() gives what is free again out last, and nothing twice', () => {
  using folder = tempFolder();
  const standIns = openStandIns(join(folder.path, 'stand-ins.json'), ['1', '2', '3']);
  standIns.of('a');
  standIns.keep(new Set());
  expect(['b', 'c', 'd', 'e'].map(standIns.of)).toEqual(['2', '3', '1', null]);
});
