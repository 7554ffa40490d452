import { expect, test } from 'vitest';
import type { CellFacts } from './cluster-state.ts';
import { aCellOf } from './fixtures.ts';
import { embeddedCapacityMb, emptyLoad, fits, type LoadedCell, makePlacer, suits } from './placement.ts';

const GIB = 1024 ** 3;
const SPEC = { guid: 'spec', memoryMb: 100, diskMb: 100, stack: 'host', abiKey: null, segment: null };
const loaded = (given: Partial<CellFacts> = {}): LoadedCell => ({ cell: aCellOf(given), load: emptyLoad() });

/** Ids of the cells that so many copies of one app go to, when it has one on each of `before` already. */
function spread(cells: LoadedCell[], count: number, before: string[] = []): string[] {
  const placer = makePlacer(
    cells,
    before.map(cellId => ({ appGuid: 'app', cellId })),
  );
  return Array.from({ length: count }, () => {
    const chosen = placer.choose('app', SPEC, () => true);
    if (chosen !== null) placer.place('app', SPEC, chosen);
    return chosen?.cell.id ?? 'none';
  });
}

test('embeddedCapacityMb() is twice the memory less 300 MB, never below nothing', () => {
  expect([embeddedCapacityMb(GIB), embeddedCapacityMb(GIB / 16)]).toEqual([1_748, 0]);
});

test('makePlacer() takes the cell with the fewest copies of the app, though it is fuller', () => {
  const busy = loaded({ id: 'b' });
  busy.load.memoryMb = 800;
  expect(spread([loaded(), busy], 1, ['a'])).toEqual(['b']);
});

test('makePlacer() takes the emptier of two cells, then the first by id', () => {
  const used = loaded({ id: 'a' });
  used.load.memoryMb = 300;
  expect(spread([used, loaded({ id: 'c' }), loaded({ id: 'b' })], 1)).toEqual(['b']);
});

test('makePlacer() counts each starting copy as a quarter of a cell', () => {
  const starting = loaded({ id: 'a' });
  starting.load.starting = 2;
  const used = loaded({ id: 'b' });
  used.load.memoryMb = 900;
  used.load.diskMb = 5_000;
  expect(spread([starting, used], 1)).toEqual(['b']);
  starting.load.starting = 1;
  expect(spread([starting, used], 1)).toEqual(['a']);
});

test('makePlacer() spreads over zones before cells', () => {
  const cells = [loaded({ id: 'a' }), loaded({ id: 'b' }), loaded({ id: 'c', zone: 'z2' })];
  expect(spread(cells, 4)).toEqual(['a', 'c', 'b', 'c']);
});

test('makePlacer() fills a full zone no further, and stops when all is full', () => {
  const cells = [loaded({ id: 'a', memoryMb: 250 }), loaded({ id: 'b', memoryMb: 100, zone: 'z2' })];
  expect(spread(cells, 4)).toEqual(['a', 'b', 'a', 'none']);
});

test('makePlacer() passes over a cell for one copy and still has it for the next', () => {
  const placer = makePlacer([loaded({ id: 'a' }), loaded({ id: 'b' })], []);
  expect(placer.choose('app', SPEC, ({ cell }) => cell.id !== 'a')?.cell.id).toBe('b');
  expect(placer.choose('app', SPEC, () => true)?.cell.id).toBe('a');
});

test('makePlacer() places many copies on many cells evenly', () => {
  const cells = Array.from({ length: 100 }, (_, n) => loaded({ id: `cell-${n}`, memoryMb: 10_000 }));
  const counts = Map.groupBy(spread(cells, 1_000), id => id);
  expect([...counts.values()].map(ids => ids.length)).toEqual(Array.from({ length: 100 }, () => 10));
});

test('fits() counts memory, disk and copies, at most 250 of them', () => {
  const cell = loaded({ memoryMb: 100, diskMb: 100, copiesMax: 1_000 });
  const need = { memoryMb: 100, diskMb: 100 };
  expect(fits(cell, need)).toBe(true);
  expect(fits(cell, { ...need, memoryMb: 101 })).toBe(false);
  expect(fits(cell, { ...need, diskMb: 101 })).toBe(false);
  cell.load.copies = 249;
  expect(fits(cell, need)).toBe(true);
  cell.load.copies = 250;
  expect(fits(cell, need)).toBe(false);
});

test('suits() wants the name, and the toolchains of the staging machine if there were any', () => {
  const cell = aCellOf({ stacks: [{ name: 'host', abiKey: 'debian-12' }] });
  expect(suits(cell, SPEC)).toBe(true);
  expect(suits(cell, { ...SPEC, stack: 'other' })).toBe(false);
  expect(suits(cell, { ...SPEC, abiKey: 'debian-12' })).toBe(true);
  expect(suits(cell, { ...SPEC, abiKey: 'debian-13' })).toBe(false);
});

test('suits() keeps apps of a segment on its cells, and all others away from them', () => {
  const [shared, kept] = [aCellOf(), aCellOf({ segment: 'bank' })];
  expect([suits(shared, SPEC), suits(kept, SPEC)]).toEqual([true, false]);
  const inBank = { ...SPEC, segment: 'bank' };
  expect([suits(shared, inBank), suits(kept, inBank)]).toEqual([false, true]);
});
