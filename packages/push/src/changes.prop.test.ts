import fc from 'fast-check';
import { expect, test } from 'vitest';
import { baseOf } from './changes.ts';
import type { PushedFolder } from './files/pushed-folder.ts';
import type { Walked, WalkedFile } from './files/walk.ts';

const SEEN = { sizeBytes: 1, mtimeMs: 1, ctimeMs: 1, inode: 1 };
const path = fc.constantFrom('a', 'b', 'c', 'd/e', 'd/f');
const files = fc.dictionary(path, fc.record({ sha1: fc.constantFrom('1', '2'), mode: fc.constantFrom(0o644, 0o755) }));
const folders = fc.uniqueArray(fc.constantFrom('x', 'y', 'z'));
const listing = fc.record({ files, folders });
interface Listing {
  files: Record<string, { sha1: string; mode: number }>;
  folders: string[];
}

const walkedOf = ({ files, folders }: Listing): Walked => ({
  files: Object.entries(files).map(([path, one]): WalkedFile => ({ path, ...one, ...SEEN })),
  links: [],
  emptyFolders: folders,
  skipped: [],
});
const formerOf = ({ files, folders }: Listing): PushedFolder => ({
  package: { guid: 'p', checksum: 'c', appGuid: 'a' },
  files: new Map(Object.entries(files).map(([path, one]): [string, WalkedFile] => [path, { path, ...one, ...SEEN }])),
  emptyFolders: folders,
});

test('a base without what it names, and with what is told to send, is the folder as it is; and no file that stays is sent', () => {
  fc.assert(
    fc.property(listing, listing, (before, now) => {
      const base = baseOf(formerOf(before), walkedOf(now));
      fc.pre(base !== null);
      const without = new Set(base?.named.without);
      const result = {
        files: {
          ...Object.fromEntries(Object.entries(before.files).filter(([path]) => !without.has(path))),
          ...Object.fromEntries((base?.files ?? []).map(({ path, sha1, mode }) => [path, { sha1, mode }])),
        },
        folders: [...before.folders.filter(path => !without.has(path)), ...(base?.emptyFolders ?? [])].sort(),
      };
      expect(result).toEqual({ files: now.files, folders: now.folders.toSorted() });
      const isSame = (path: string): boolean => JSON.stringify(before.files[path]) === JSON.stringify(now.files[path]);
      expect(base?.files.filter(({ path }) => isSame(path))).toEqual([]);
      // The server refuses what it does not have.
      const had = new Set([...Object.keys(before.files), ...before.folders]);
      expect([...without].filter(path => !had.has(path))).toEqual([]);
    }),
  );
});

test('there is no base where no package is known, or no file of it stays', () => {
  const one = { files: { a: { sha1: '1', mode: 0o644 } }, folders: [] };
  const other = { files: { a: { sha1: '2', mode: 0o644 } }, folders: [] };
  expect(baseOf(null, walkedOf(one))).toBeNull();
  expect(baseOf({ ...formerOf(one), package: null }, walkedOf(one))).toBeNull();
  expect(baseOf(formerOf(other), walkedOf(one))).toBeNull();
});
