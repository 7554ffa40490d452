import { expect, test } from 'vitest';
import { tempFolder } from '../fixtures.ts';
import { openUids, type Uids } from './uids.ts';

const range = { first: 500, count: 3 };

function open(folder: string, clock: { now: number }): Uids {
  return openUids({ folder, range, now: () => clock.now });
}

test('of() gives each app an id of its own, the same each time, and after a restart', () => {
  using folder = tempFolder();
  const clock = { now: 1_000_000 };
  const uids = open(folder.path, clock);
  expect([uids.of('a'), uids.of('b'), uids.of('a')]).toEqual([500, 501, 500]);
  expect(open(folder.path, clock).of('b')).toBe(501);
});

test('of() gives an id to another app no sooner than 60 s after keep() took it back, over a restart too', () => {
  using folder = tempFolder();
  const clock = { now: 1_000_000 };
  const uids = open(folder.path, clock);
  uids.of('a');
  uids.keep(new Set());
  expect(uids.of('b')).toBe(501);
  clock.now += 59_999;
  expect(open(folder.path, clock).of('c')).toBe(502);
  clock.now += 2;
  expect(open(folder.path, clock).of('d')).toBe(500);
});

test('of() gives an app that comes back its own id again, at once and after a restart', () => {
  using folder = tempFolder();
  const clock = { now: 1_000_000 };
  const uids = open(folder.path, clock);
  uids.of('a');
  uids.of('b');
  uids.keep(new Set());
  expect(uids.of('b')).toBe(501);
  expect(open(folder.path, clock).of('a')).toBe(500);
});

test('of() gives to another app, when all others are taken, the id that has rested longest', () => {
  using folder = tempFolder();
  const clock = { now: 1_000_000 };
  const uids = open(folder.path, clock);
  for (const app of ['a', 'b', 'c']) uids.of(app);
  uids.keep(new Set(['a', 'c']));
  clock.now += 30_000;
  uids.keep(new Set(['c']));
  clock.now += 60_000;
  expect(uids.of('d')).toBe(501);
  expect(uids.of('e')).toBe(500);
});

test('of() says so when no id is left', () => {
  using folder = tempFolder();
  const uids = open(folder.path, { now: 0 });
  for (const app of ['a', 'b', 'c']) uids.of(app);
  expect(() => uids.of('d')).toThrow('all 3 user ids for apps are in use');
});

test('keep() leaves the ids of apps that still have copies', () => {
  using folder = tempFolder();
  const uids = open(folder.path, { now: 0 });
  uids.of('a');
  uids.of('b');
  uids.keep(new Set(['b']));
  expect(uids.of('b')).toBe(501);
});

test('an ordinary user has one id for all, its own', () => {
  using folder = tempFolder();
  const uids = openUids({ folder: folder.path, range: null, now: () => 0 });
  expect(uids.separate).toBe(false);
  expect(uids.of('a')).toBe(uids.of('b'));
});
