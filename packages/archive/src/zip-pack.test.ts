import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { type ForgedEntry, forgeZip } from './zip-fixtures.ts';
import { assemblePack, type MatchedEntry, MatchLostError, type Pack } from './zip-pack.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-pack-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LIMITS = { unpackedMaxBytes: 10_000_000 };
const at = (name: string): string => join(folder, name);

async function packOf(
  name: string,
  entries: readonly ForgedEntry[],
  matched: readonly MatchedEntry[] = [],
): Promise<Pack> {
  writeFileSync(at(`${name}.upload`), forgeZip(entries));
  return assemblePack({ upload: at(`${name}.upload`), matched, target: at(name), ...LIMITS });
}

async function unpacked(name: string): Promise<string> {
  mkdirSync(at(`${name}.out`));
  await unzip(at(name), at(`${name}.out`), { unpackedMaxBytes: 10_000_000 });
  return at(`${name}.out`);
}

const asMatched = (pack: Pack, packName: string, mode = 0o644): MatchedEntry[] =>
  pack.files.map(file => ({ ...file, kind: 'file', mode, pack: { file: at(packName), digest: pack.digest } }));

test('assemblePack() keeps names, contents, modes, links and empty folders of an upload', async () => {
  await packOf('one', [
    { name: 'bin/run', content: '#!/bin/sh\n', mode: 0o100755 },
    { name: 'lib.js', content: 'module.exports = 1;'.repeat(50), deflate: true },
    { name: 'link', content: 'lib.js', mode: 0o120777 },
    { name: 'empty/', mode: 0o040755 },
  ]);
  const out = await unpacked('one');
  expect(readdirSync(out).sort()).toEqual(['bin', 'empty', 'lib.js', 'link']);
  expect(readFileSync(join(out, 'link'), 'utf8')).toBe('module.exports = 1;'.repeat(50));
  expect(statSync(join(out, 'bin/run')).mode & 0o777).toBe(0o755);
});

test('assemblePack() tells the digests and places of files, not of links, folders and empty files', async () => {
  const pack = await packOf('one', [
    { name: 'a.txt', content: 'hello', deflate: true },
    { name: 'empty.txt', content: '' },
    { name: 'link', content: 'a.txt', mode: 0o120777 },
  ]);
  expect(pack.files).toMatchObject([
    { path: 'a.txt', sizeBytes: 5, sha1: createHash('sha1').update('hello').digest('hex'), method: 8 },
  ]);
  expect(pack.digest).toBe(
    createHash('sha256')
      .update(readFileSync(at('one')))
      .digest('hex'),
  );
  expect(pack.sizeBytes).toBe(statSync(at('one')).size);
});

test('assemblePack() adds matched files from older packs, at the path and with the mode that are asked for', async () => {
  const first = await packOf('first', [{ name: 'old.js', content: 'same'.repeat(100), deflate: true }]);
  const [known] = asMatched(first, 'first', 0o755);
  await packOf('second', [{ name: 'new.js', content: 'new' }], [{ ...(known as MatchedEntry), path: 'moved/same.js' }]);
  const out = await unpacked('second');
  expect(readFileSync(join(out, 'moved/same.js'), 'utf8')).toBe('same'.repeat(100));
  expect(statSync(join(out, 'moved/same.js')).mode & 0o777).toBe(0o755);
  expect(readFileSync(join(out, 'new.js'), 'utf8')).toBe('new');
});

test('assemblePack() works without an upload: every file was matched', async () => {
  const first = await packOf('first', [
    { name: 'a', content: '1' },
    { name: 'b', content: '2', deflate: true },
  ]);
  const second = await assemblePack({
    upload: null,
    matched: asMatched(first, 'first'),
    target: at('second'),
    ...LIMITS,
  });
  expect(second.files.map(({ path }) => path)).toEqual(['a', 'b']);
  expect(readdirSync(await unpacked('second')).sort()).toEqual(['a', 'b']);
});

test('assemblePack() gives the same bytes for the same files', async () => {
  const entries: ForgedEntry[] = [{ name: 'a', content: 'x' }];
  expect((await packOf('one', entries)).digest).toBe((await packOf('two', entries)).digest);
});

test('assemblePack() refuses a matched file whose kept bytes have changed', async () => {
  const first = await packOf('first', [{ name: 'a', content: 'hello' }]);
  const bytes = readFileSync(at('first'));
  bytes.writeUInt8(0x48, first.files[0]?.dataOffset ?? 0);
  writeFileSync(at('first'), bytes);
  await expect(
    assemblePack({ upload: null, matched: asMatched(first, 'first'), target: at('second'), ...LIMITS }),
  ).rejects.toThrow(MatchLostError);
});

test('assemblePack() refuses one matched file of a large pack whose kept bytes have changed, and takes the others', async () => {
  const names = Array.from({ length: 40 }, (_, at) => `f${at}`);
  const first = await packOf(
    'first',
    names.map(name => ({ name, content: name.repeat(500) })),
  );
  const bytes = readFileSync(at('first'));
  bytes.writeUInt8(0x48, first.files[1]?.dataOffset ?? 0);
  writeFileSync(at('first'), bytes);
  const matched = asMatched(first, 'first');
  const lost = assemblePack({ upload: null, matched: matched.slice(1, 2), target: at('second'), ...LIMITS });
  await expect(lost).rejects.toMatchObject({ name: 'MatchLostError', digest: first.digest });
  const kept = await assemblePack({ upload: null, matched: matched.slice(2, 4), target: at('third'), ...LIMITS });
  expect(kept.files.map(({ path, isNew }) => [path, isNew])).toEqual([
    ['f2', false],
    ['f3', false],
  ]);
});

test('assemblePack() says that a pack is lost when it is gone, or shorter than it was', async () => {
  const first = await packOf('first', [{ name: 'a', content: 'hello'.repeat(100) }]);
  const matched = asMatched(first, 'first');
  writeFileSync(at('first'), readFileSync(at('first')).subarray(0, 40));
  const cut = assemblePack({ upload: null, matched, target: at('second'), ...LIMITS });
  await expect(cut).rejects.toBeInstanceOf(MatchLostError);
  rmSync(at('first'));
  const gone = assemblePack({ upload: null, matched, target: at('third'), ...LIMITS });
  await expect(gone).rejects.toBeInstanceOf(MatchLostError);
});

test('assemblePack() copies from many packs, each file with its own content', async () => {
  const packs = await Promise.all(
    ['p1', 'p2', 'p3'].map(async name => asMatched(await packOf(name, [{ name, content: name.repeat(50) }]), name)),
  );
  await assemblePack({ upload: null, matched: packs.flat(), target: at('all'), ...LIMITS });
  const out = await unpacked('all');
  expect(['p1', 'p2', 'p3'].map(name => readFileSync(join(out, name), 'utf8'))).toEqual(
    ['p1', 'p2', 'p3'].map(name => name.repeat(50)),
  );
});

test('assemblePack() refuses links of an upload that lead out, before anything is staged', async () => {
  await expect(packOf('one', [{ name: 'a', content: '../../etc', mode: 0o120777 }])).rejects.toThrow(
    /out of the archive/,
  );
});

test('assemblePack() refuses a matched path that leaves the app or is there already', async () => {
  const first = await packOf('first', [{ name: 'a', content: 'hello' }]);
  const [known] = asMatched(first, 'first');
  await expect(
    packOf('up', [{ name: 'b', content: 'x' }], [{ ...(known as MatchedEntry), path: '../a' }]),
  ).rejects.toThrow(/"\.\.\/a" leaves the archive/);
  await expect(packOf('twice', [{ name: 'a', content: 'x' }], [known as MatchedEntry])).rejects.toThrow(/twice/);
});
