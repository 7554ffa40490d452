import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { hostileZip } from './zip-arbitrary.ts';
import { everythingBelow, forgeZip } from './zip-fixtures.ts';
import { assemblePack, type MatchedEntry, type Pack, type PackedFile } from './zip-pack.ts';

/** Folders of two names, files of four: collisions are frequent, and keys of a record are unique. */
const path = fc
  .tuple(fc.constantFrom('', 'd1/', 'd2/e/'), fc.constantFrom('a', 'b', 'c', 'x y', 'ü'))
  .map(parts => parts.join(''));
const files = fc.dictionary(
  path,
  fc.string({ minLength: 1, maxLength: 3_000, unit: fc.constantFrom('a', 'b', '\n') }),
  { maxKeys: 12 },
);

/** Content by path of what lies in a folder. */
function contents(folder: string): Record<string, string> {
  const paths = everythingBelow(folder).filter(path => lstatSync(path).isFile());
  return Object.fromEntries(paths.map(file => [file.slice(folder.length + 1), readFileSync(file, 'utf8')]));
}

test('a pack of new and matched files unpacks to the same files as a zip of all of them, push after push', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-packs-'));
  let runs = 0;
  const property = fc.asyncProperty(
    fc.array(files, { minLength: 1, maxLength: 4 }),
    fc.boolean(),
    async (pushes, deflate) => {
      const work = join(root, String(runs++));
      mkdirSync(work);
      const known = new Map<string, MatchedEntry>();
      for (const [at, wanted] of pushes.entries()) {
        const all = Object.entries(wanted);
        const fresh = all.filter(([, content]) => !known.has(content));
        const matched = all.flatMap(([name, content]) => {
          const entry = known.get(content);
          return entry === undefined ? [] : [{ ...entry, path: name }];
        });
        const upload = join(work, `upload-${at}`);
        writeFileSync(upload, forgeZip(fresh.map(([name, content]) => ({ name, content, deflate }))));
        const target = join(work, `pack-${at}`);
        const pack = await assemblePack({ upload, matched, target, unpackedMaxBytes: 1_000_000 });
        for (const file of pack.files)
          known.set(wanted[file.path] ?? '', {
            ...file,
            kind: 'file',
            mode: 0o644,
            pack: { file: target, digest: pack.digest },
          });
        const out = join(work, `out-${at}`);
        mkdirSync(out);
        await unzip(target, out, { unpackedMaxBytes: 1_000_000 });
        expect(contents(out)).toEqual(wanted);
      }
      rmSync(work, { recursive: true });
    },
  );
  try {
    await fc.assert(property, { numRuns: 150 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test('a pack that starts from the one before unpacks to the files that were wanted, push after push, and tells where those that stayed lie', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-bases-'));
  let runs = 0;
  const property = fc.asyncProperty(
    fc.array(files, { minLength: 2, maxLength: 5 }),
    fc.boolean(),
    async (pushes, deflate) => {
      const work = join(root, String(runs++));
      mkdirSync(work);
      let before: { wanted: Record<string, string>; base: { file: string; digest: string } } | null = null;
      let places = new Map<string, PackedFile>();
      for (const [at, wanted] of pushes.entries()) {
        const changed = Object.entries(wanted).filter(([name, content]) => before?.wanted[name] !== content);
        const without = Object.keys(before?.wanted ?? {}).filter(name => before?.wanted[name] !== wanted[name]);
        const upload = join(work, `upload-${at}`);
        writeFileSync(upload, forgeZip(changed.map(([name, content]) => ({ name, content, deflate }))));
        const target = join(work, `pack-${at}`);
        const pack: Pack = await assemblePack({
          base: before === null ? null : { ...before.base, without: new Set(without) },
          upload,
          matched: [],
          target,
          unpackedMaxBytes: 1_000_000,
        });
        places = new Map([...movedPlaces(places, pack), ...pack.files.map(file => [file.path, file] as const)]);
        const out = join(work, `out-${at}`);
        mkdirSync(out);
        await unzip(target, out, { unpackedMaxBytes: 1_000_000 });
        expect(contents(out)).toEqual(wanted);
        expect(contentsAt(target, places)).toEqual(wanted);
        before = { wanted, base: { file: target, digest: pack.digest } };
      }
      rmSync(work, { recursive: true });
    },
  );
  try {
    await fc.assert(property, { numRuns: 150 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** Those that stayed, where the pack says that they lie now. */
function movedPlaces(places: ReadonlyMap<string, PackedFile>, { moves }: Pack): Array<[string, PackedFile]> {
  return [...places].flatMap(([path, file]): Array<[string, PackedFile]> => {
    const move = moves.find(({ from, until }) => from <= file.dataOffset && file.dataOffset < until);
    return move === undefined ? [] : [[path, { ...file, dataOffset: file.dataOffset - move.shift }]];
  });
}

function contentsAt(target: string, places: ReadonlyMap<string, PackedFile>): Record<string, string> {
  const bytes = readFileSync(target);
  return Object.fromEntries(
    [...places].map(([path, { dataOffset, compressedBytes, method }]) => {
      const data = bytes.subarray(dataOffset, dataOffset + compressedBytes);
      return [path, (method === 8 ? inflateRawSync(data) : data).toString('utf8')];
    }),
  );
}

test('assemblePack() refuses what unzip() refuses, and what it takes unpacks as the upload would have', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-hostile-'));
  const limits = { unpackedMaxBytes: 1_000 };
  let runs = 0;
  const property = fc.asyncProperty(hostileZip, async bytes => {
    const work = join(root, String(runs++));
    for (const name of ['direct', 'packed']) mkdirSync(join(work, name), { recursive: true });
    const [upload, target] = [join(work, 'upload'), join(work, 'pack')];
    writeFileSync(upload, bytes);
    const refusalOf = (error: Error): string => error.message;
    const direct = await unzip(upload, join(work, 'direct'), limits).then(() => null, refusalOf);
    const packed = await assemblePack({ upload, matched: [], target, ...limits })
      .then(() => unzip(target, join(work, 'packed'), limits))
      .then(() => null, refusalOf);
    expect(packed === null).toBe(direct === null);
    expect(listing(join(work, 'packed'))).toEqual(listing(join(work, 'direct')));
    rmSync(work, { recursive: true });
  });
  try {
    await fc.assert(property, { numRuns: 500 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** Each thing below a folder with its mode, and what it holds if it is a file. */
function listing(folder: string): string[] {
  return everythingBelow(folder)
    .map(path => {
      const found = lstatSync(path);
      const content = found.isFile() ? readFileSync(path, 'latin1') : found.isSymbolicLink() ? readlinkSync(path) : '';
      return `${path.slice(folder.length)} ${found.mode.toString(8)} ${content}`;
    })
    .sort();
}
