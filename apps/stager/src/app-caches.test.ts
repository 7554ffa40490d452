import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAppCaches } from './app-caches.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LIMITS = { appMaxBytes: 10_000, buildingMaxBytes: 30_000, allMaxBytes: 25_000 };
const OURS = { uid: null, generation: 0 };
const fill = (cache: string, bytes: number): void => writeFileSync(join(cache, 'x'), Buffer.alloc(bytes));

test('open() gives each app a folder of its own, and the same one again', () => {
  const caches = openAppCaches(folder, LIMITS);
  const one = caches.open('a/../b', OURS);
  expect(one.startsWith(`${folder}/`)).toBe(true);
  expect(caches.open('a/../b', OURS)).toBe(one);
  expect(caches.open('b', OURS)).not.toBe(one);
});

test('trim() throws a cache away that has grown too large, and keeps a small one', async () => {
  const caches = openAppCaches(folder, LIMITS);
  const [small, large] = [caches.open('small', OURS), caches.open('large', OURS)];
  fill(small, 4_000);
  fill(large, 40_000);
  expect([await caches.isTooLarge('small'), await caches.isTooLarge('large')]).toEqual([false, true]);
  await caches.trim('small');
  await caches.trim('large');
  expect([existsSync(small), existsSync(large)]).toEqual([true, false]);
});

test('trimAll() keeps the most recently used', async () => {
  let nowMs = Date.now();
  const caches = openAppCaches(folder, { ...LIMITS, now: () => nowMs });
  const paths = ['old', 'newer', 'newest'].map(app => {
    nowMs += 10_000;
    const path = caches.open(app, OURS);
    fill(path, 10_000);
    return path;
  });
  // Writing into a folder changes its time as using it does.
  for (const app of ['newer', 'newest']) {
    nowMs += 10_000;
    caches.open(app, OURS);
  }
  await caches.trimAll();
  expect(paths.map(path => existsSync(path))).toEqual([false, true, true]);
});

test('open() gives an empty folder when the cache was thrown away since, and only then', async () => {
  const caches = openAppCaches(folder, LIMITS);
  const [one, other] = [caches.open('one', OURS), caches.open('other', OURS)];
  fill(one, 10);
  fill(other, 10);
  expect(readdirSync(caches.open('one', { uid: null, generation: 1 }))).toEqual([]);
  fill(one, 10);
  expect(readdirSync(caches.open('one', { uid: null, generation: 1 }))).toEqual(['x']);
  expect(readdirSync(caches.open('other', OURS))).toEqual(['x']);
  await caches.trimAll();
  expect(readdirSync(caches.open('one', { uid: null, generation: 1 }))).toEqual(['x']);
});
