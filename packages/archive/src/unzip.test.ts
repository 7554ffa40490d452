import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { type ForgedEntry, forgeZip } from './zip-fixtures.ts';
import { openZipWriter } from './zip-write.ts';

const GENEROUS = { unpackedMaxBytes: 10 * 1024 * 1024 };
const LINK = 0o120777;

let folder: string;
let target: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-unzip-'));
  target = join(folder, 'target');
  mkdirSync(target);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function unpack(entries: readonly ForgedEntry[], limits = GENEROUS): Promise<void> {
  const zip = join(folder, 'app.zip');
  writeFileSync(zip, forgeZip(entries));
  await unzip(zip, target, limits);
}

describe('unzip() takes real archives as they come', () => {
  test('files, stored and deflated, with the folders above them', async () => {
    await unpack([
      { name: 'a/b/stored.txt', content: 'one' },
      { name: 'deflated.txt', content: 'two'.repeat(1_000), deflate: true },
    ]);
    expect(readFileSync(join(target, 'a/b/stored.txt'), 'utf8')).toBe('one');
    expect(readFileSync(join(target, 'deflated.txt'), 'utf8')).toBe('two'.repeat(1_000));
  });

  test('entries for folders, before or after what is in them', async () => {
    await unpack([
      { name: 'late/file', content: 'x' },
      { name: 'late/', mode: 0o040755 },
      { name: 'empty/', mode: 0o040755 },
      { name: 'by-the-cf-cli/', mode: 0o100700 },
    ]);
    expect(readdirSync(target).sort()).toEqual(['by-the-cf-cli', 'empty', 'late']);
  });

  test('modes, without setuid and without write for others; the usual ones where there are none', async () => {
    await unpack([
      { name: 'run.sh', content: '', mode: 0o104777 },
      { name: 'plain', content: '', mode: 0 },
    ]);
    expect(statSync(join(target, 'run.sh')).mode & 0o7777).toBe(0o755);
    expect(statSync(join(target, 'plain')).mode & 0o7777).toBe(0o644);
  });

  test('names with ./ in front', async () => {
    await unpack([{ name: './server.js', content: 'x' }]);
    expect(existsSync(join(target, 'server.js'))).toBe(true);
  });

  test('a large entry, inflated piece by piece', async () => {
    const content = Buffer.alloc(3 * 1024 * 1024, 'abcdefghij');
    await unpack([{ name: 'large', content, deflate: true }]);
    expect(readFileSync(join(target, 'large')).equals(content)).toBe(true);
  });

  test('entries whose sizes stand behind their data, as Go and Java write them', async () => {
    await unpack([
      { name: 'a.txt', content: 'one'.repeat(500), deflate: true, descriptor: true },
      { name: 'b/', mode: 0o040755, descriptor: true },
      { name: 'b/c.txt', content: 'two', descriptor: true },
    ]);
    expect(readFileSync(join(target, 'a.txt'), 'utf8')).toBe('one'.repeat(500));
    expect(readFileSync(join(target, 'b/c.txt'), 'utf8')).toBe('two');
  });

  test('entries in Zip64 form', async () => {
    await unpack([
      { name: 'a.txt', content: 'one', zip64: {} },
      { name: 'b.txt', content: 'two'.repeat(100), deflate: true, zip64: {} },
    ]);
    expect(readFileSync(join(target, 'a.txt'), 'utf8')).toBe('one');
    expect(readFileSync(join(target, 'b.txt'), 'utf8')).toBe('two'.repeat(100));
  });

  test('links that stay inside', async () => {
    await unpack([
      { name: 'lib/real.js', content: 'x' },
      { name: 'bin/link', content: '../lib/real.js', mode: LINK },
    ]);
    expect(lstatSync(join(target, 'bin/link')).isSymbolicLink()).toBe(true);
    expect(readlinkSync(join(target, 'bin/link'))).toBe('../lib/real.js');
  });
});

describe('unzip() refuses, names the entry and the rule, and has written nothing outside', () => {
  test.each<[rule: RegExp, entries: ForgedEntry[]]>([
    [/"\.\.\/evil" leaves the archive/, [{ name: '../evil', content: 'x' }]],
    [/"a\/\.\.\/\.\.\/evil" leaves the archive/, [{ name: 'a/../../evil', content: 'x' }]],
    [/absolute name/, [{ name: '/etc/evil', content: 'x' }]],
    [/drive/, [{ name: 'C:evil', content: 'x' }]],
    [/backslash/, [{ name: '..\\evil', content: 'x' }]],
    [/NUL/, [{ name: 'a\0b', content: 'x' }]],
    [
      /twice/,
      [
        { name: 'a', content: '1' },
        { name: 'a', content: '2' },
      ],
    ],
    [
      /twice/,
      [
        { name: 'a', content: '1' },
        { name: './a', content: '2' },
      ],
    ],
    [
      /upper and lower case only/,
      [
        { name: 'Readme', content: '1' },
        { name: 'README', content: '2' },
      ],
    ],
    [
      /lies below "a", which is a file/,
      [
        { name: 'a', content: '1' },
        { name: 'a/b', content: '2' },
      ],
    ],
    [
      /lies below "a", which is a link/,
      [
        { name: 'a', content: 'x', mode: LINK },
        { name: 'a/passwd', content: '2' },
      ],
    ],
    [/absolute path "\/etc"/, [{ name: 'a', content: '/etc', mode: LINK }]],
    [/link out of the archive/, [{ name: 'a', content: '../..', mode: LINK }]],
    [
      /link out of the archive/,
      [
        { name: 'x/up', content: '..', mode: LINK },
        { name: 'out', content: 'x/up/../evil', mode: LINK },
      ],
    ],
    [/no file, folder or link/, [{ name: 'device', content: '', mode: 0o020666 }]],
    [/no file, folder or link/, [{ name: 'pipe', content: '', mode: 0o010666 }]],
    [/encrypted/, [{ name: 'a', content: 'x', flags: 1 }]],
    [/method 12/, [{ name: 'a', content: 'x', method: 12 }]],
    [/not as long as|cannot be inflated/, [{ name: 'a', content: 'x'.repeat(100), deflate: true, saidSize: 10 }]],
    [/checksum/, [{ name: 'a', content: 'x', saidCrc: 1 }]],
    [
      /shares its bytes/,
      [
        { name: 'a', content: 'x' },
        { name: 'b', content: 'y', saidOffset: 0 },
      ],
    ],
    [/name of more than 1024 bytes/, [{ name: 'a'.repeat(1_025), content: 'x' }]],
    [/larger than/, [{ name: 'a', content: 'x', zip64: { size: 2n ** 40n } }]],
    [/beyond|ends too early|cannot be/, [{ name: 'a', content: 'x', deflate: true, zip64: { compressed: 2n ** 50n } }]],
    [/no local header|ends too early|cannot be/, [{ name: 'a', content: 'x', zip64: { offset: 2n ** 52n } }]],
    [/cannot be read|no local header|ends too early/, [{ name: 'a', content: 'x', zip64: { offset: 2n ** 64n - 1n } }]],
    [/64 folders deep/, [{ name: `${'d/'.repeat(70)}f`, content: 'x' }]],
  ])('%s', async (rule, entries) => {
    await expect(unpack(entries)).rejects.toThrow(rule);
    await expect(unpack(entries)).rejects.toBeInstanceOf(ArchiveRefusedError);
    expect(readdirSync(folder).sort()).toEqual(['app.zip', 'target']);
    expect(readdirSync(target)).toEqual([]);
  });

  test('leaves nothing of an archive whose last entry is refused', async () => {
    const entries: ForgedEntry[] = [
      { name: 'a/b', content: 'one' },
      { name: 'link', content: 'a/b', mode: LINK },
      { name: 'last', content: 'two', saidCrc: 1 },
    ];
    await expect(unpack(entries)).rejects.toThrow(/"last" is damaged/);
    expect(readdirSync(target)).toEqual([]);
  });

  test('more entries than 100,000, soon', async () => {
    const zip = openZipWriter(join(folder, 'app.zip'));
    const empty = { kind: 'file', mode: 0o644, sizeBytes: 0, compressedBytes: 0, method: 0, crc32: 0 } as const;
    for (let at = 0; at <= 100_000; at++) zip.begin({ ...empty, path: String(at) });
    zip.finish();
    zip.close();
    await expect(unzip(join(folder, 'app.zip'), target, GENEROUS)).rejects.toThrow(/"100000" is one too many/);
  });

  test('folders without end, named by few entries', async () => {
    const deep = Array.from({ length: 4_000 }, (_, at): ForgedEntry => ({ name: `${`${at}/`.repeat(63)}f` }));
    await expect(unpack(deep)).rejects.toThrow(/is one too many/);
  });

  test('what is no zip at all', async () => {
    writeFileSync(join(folder, 'app.zip'), 'not a zip');
    await expect(unzip(join(folder, 'app.zip'), target, GENEROUS)).rejects.toThrow(/cannot be read as a zip/);
  });

  test('a bomb, by what really comes out', async () => {
    const content = Buffer.alloc(2 * 1024 * 1024);
    await expect(unpack([{ name: 'bomb', content, deflate: true }], { unpackedMaxBytes: 1024 * 1024 })).rejects.toThrow(
      /"bomb" makes the app larger than 1048576 bytes/,
    );
  });

  test('local headers stretched over their neighbours, so that files share bytes', async () => {
    const second = forgeZip([{ name: 'b', content: 'y' }]).subarray(0, 32);
    const entries: ForgedEntry[] = [
      { name: 'a', content: 'x', localExtra: second },
      { name: 'b', content: 'y', saidOffset: 31 },
    ];
    await expect(unpack(entries)).rejects.toThrow(/shares its bytes|lies beyond|no local header/);
  });
});
