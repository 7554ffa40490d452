import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { type ForgedEntry, forgeZip } from './zip-fixtures.ts';
import { assemblePack, type Pack } from './zip-pack.ts';
import { openZipWriter } from './zip-write.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-base-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LIMITS = { unpackedMaxBytes: 10_000_000 };
const at = (name: string): string => join(folder, name);

interface Given {
  entries?: readonly ForgedEntry[];
  base?: { name: string; digest: string; without: readonly string[] };
}

async function packOf(name: string, { entries, base }: Given): Promise<Pack> {
  const upload = entries === undefined ? null : at(`${name}.upload`);
  if (upload !== null) writeFileSync(upload, forgeZip(entries ?? []));
  return assemblePack({
    base: base === undefined ? null : { file: at(base.name), digest: base.digest, without: new Set(base.without) },
    upload,
    matched: [],
    target: at(name),
    ...LIMITS,
  });
}

async function unpacked(name: string): Promise<string> {
  mkdirSync(at(`${name}.out`));
  await unzip(at(name), at(`${name}.out`), LIMITS);
  return at(`${name}.out`);
}

const FIRST: ForgedEntry[] = [
  { name: 'bin/run', content: '#!/bin/sh\n', mode: 0o100755 },
  { name: 'a.js', content: 'old'.repeat(50), deflate: true },
  { name: 'b.js', content: 'kept'.repeat(50), deflate: true },
  { name: 'none', content: '' },
  { name: 'empty/', mode: 0o040755 },
];

test('a pack that starts from another has its files, modes and folders, but for what was left out, and what came', async () => {
  const { digest } = await packOf('first', { entries: FIRST });
  const second = await packOf('second', {
    entries: [{ name: 'a.js', content: 'new' }],
    base: { name: 'first', digest, without: ['a.js', 'empty'] },
  });
  const out = await unpacked('second');
  expect(readdirSync(out).sort()).toEqual(['a.js', 'b.js', 'bin', 'none']);
  expect(readFileSync(join(out, 'a.js'), 'utf8')).toBe('new');
  expect(readFileSync(join(out, 'b.js'), 'utf8')).toBe('kept'.repeat(50));
  expect(statSync(join(out, 'bin/run')).mode & 0o777).toBe(0o755);
  expect(second.files.map(({ path }) => path)).toEqual(['a.js']);
  expect(second.digest).toBe(
    createHash('sha256')
      .update(readFileSync(at('second')))
      .digest('hex'),
  );
});

test('of which nothing is left out and nothing came, it is the same pack', async () => {
  const { digest } = await packOf('first', { entries: FIRST });
  const again = await packOf('again', { base: { name: 'first', digest, without: [] } });
  expect(again).toMatchObject({ digest, files: [] });
});

test('links do not stay: they come with each upload, where they are judged together', async () => {
  const { digest } = await packOf('first', { entries: [...FIRST, { name: 'link', content: 'a.js', mode: 0o120777 }] });
  await packOf('second', { base: { name: 'first', digest, without: [] } });
  expect(readdirSync(await unpacked('second'))).not.toContain('link');
});

test('the rules of an archive hold over both', async () => {
  const { digest } = await packOf('first', { entries: FIRST });
  const base = { name: 'first', digest, without: [] };
  const refused = (entries: ForgedEntry[]) => packOf(`up-${entries[0]?.name.replace('/', '-')}`, { entries, base });
  await expect(refused([{ name: 'a.js' }])).rejects.toThrow(/"a.js" is in the archive twice/);
  await expect(refused([{ name: 'B.JS' }])).rejects.toThrow(/upper and lower case/);
  await expect(refused([{ name: 'a.js/x' }])).rejects.toThrow(/lies below "a.js", which is a file/);
  await expect(refused([{ name: 'bin', content: 'a.js', mode: 0o120777 }])).rejects.toThrow(/twice/);
  await expect(
    assemblePack({
      base: { file: at('first'), digest, without: new Set() },
      upload: null,
      matched: [],
      target: at('large'),
      unpackedMaxBytes: 100,
    }),
  ).rejects.toThrow(/larger than 100 bytes/);
});

test('a base without a file of that name is refused, and is not damaged', async () => {
  const { digest } = await packOf('first', { entries: FIRST });
  await expect(packOf('second', { base: { name: 'first', digest, without: ['other'] } })).rejects.toMatchObject({
    name: 'BaseUnusableError',
    message: 'The package to start from has no file or folder "other".',
    isDamaged: false,
  });
});

test('a base that is gone, changed or cut short is told as damaged', async () => {
  const { digest } = await packOf('first', { entries: FIRST });
  const bytes = readFileSync(at('first'));
  bytes.writeUInt8(0, 45);
  writeFileSync(at('changed'), bytes);
  writeFileSync(at('short'), bytes.subarray(0, 40));
  for (const name of ['gone', 'changed', 'short'])
    await expect(packOf(`from-${name}`, { base: { name, digest, without: [] } })).rejects.toMatchObject({
      name: 'BaseUnusableError',
      isDamaged: true,
    });
});

test('a base of more entries than fit in 16 bits is read by its long directory', async () => {
  const writer = openZipWriter(at('many'));
  const entry = { kind: 'file', mode: 0o644, method: 0, sizeBytes: 0, compressedBytes: 0, crc32: 0 } as const;
  for (let one = 0; one < 66_000; one++) writer.begin({ ...entry, path: `f${one}` });
  const { digest } = writer.finish();
  writer.close();
  const next = await packOf('next', {
    entries: [{ name: 'new', content: 'x' }],
    base: { name: 'many', digest, without: ['f0', 'f65999'] },
  });
  const again = await packOf('again', { base: { name: 'next', digest: next.digest, without: ['f1', 'new'] } });
  expect(again.moves.map(({ shift }) => shift)).toEqual([32]);
});
