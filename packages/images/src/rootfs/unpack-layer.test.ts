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
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { unpackLayer } from './unpack-layer.ts';

let outside: string;
let root: string;
beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'cupola-layer-'));
  root = join(outside, 'root');
  mkdirSync(root);
});
afterEach(() => rmSync(outside, { recursive: true, force: true }));

type Entry = Parameters<ReturnType<typeof pack>['entry']>[0] & { text?: string };
function tarOf(entries: Entry[]): Readable {
  const out = pack();
  for (const { text, ...header } of entries) out.entry(header, text ?? '');
  out.finalize();
  return out.pipe(new PassThrough());
}
const file = (name: string, text: string, mode = 0o644) => ({ name, text, mode });
const link = (name: string, linkname: string) => ({ name, linkname, type: 'symlink' as const });
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('unpackLayer() lays out files, folders and links, without setuid bits, devices or write for others', async () => {
  await unpackLayer(
    tarOf([
      { name: './usr/', type: 'directory', mode: 0o777 },
      file('./usr/bin/tool', 'x', 0o4777),
      { name: 'usr/bin/same', type: 'link', linkname: 'usr/bin/tool' },
      link('bin', 'usr/bin'),
      { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3 },
      file('etc/shadow', 'secret', 0o600),
    ]),
    root,
  );
  expect(statSync(join(root, 'usr/bin/tool')).mode & 0o7777).toBe(0o755);
  expect(statSync(join(root, 'usr')).mode & 0o7777).toBe(0o755);
  expect(statSync(join(root, 'etc/shadow')).mode & 0o7777).toBe(0o600);
  expect([read('usr/bin/same'), readlinkSync(join(root, 'bin'))]).toEqual(['x', 'usr/bin']);
  expect(readdirSync(join(root, 'dev'))).toEqual([]);
});

test('unpackLayer() of a later layer takes the place of what was there, of any kind', async () => {
  await unpackLayer(tarOf([file('a', 'old'), file('b/c', 'old'), link('d', 'a')]), root);
  await unpackLayer(tarOf([link('a', 'x'), file('b', 'new'), file('d', 'new')]), root);
  expect([readlinkSync(join(root, 'a')), read('b'), read('d')]).toEqual(['x', 'new', 'new']);
});

test('unpackLayer() removes what a whiteout names, and with an opaque mark all that was below', async () => {
  await unpackLayer(tarOf([file('a/one', '1'), file('a/two', '2'), file('b/old', '3')]), root);
  await unpackLayer(tarOf([file('a/.wh.one', ''), file('b/new', '4'), file('b/.wh..wh..opq', '')]), root);
  expect([readdirSync(join(root, 'a')), readdirSync(join(root, 'b'))]).toEqual([['two'], ['new']]);
});

test.each(['/etc', '../../..', '/'])('unpackLayer() writes below a link to %s within the folder only', async target => {
  await unpackLayer(tarOf([link('way', target), file('way/planted/file', 'inside')]), root);
  expect(existsSync('/planted') || existsSync('/etc/planted') || existsSync(join(outside, 'planted'))).toBe(false);
  const at = target === '/etc' ? 'etc/planted/file' : 'planted/file';
  expect(read(at)).toBe('inside');
});

test('unpackLayer() follows no link of a layer below when a file takes its name', async () => {
  writeFileSync(join(outside, 'host'), 'untouched');
  symlinkSync(join(outside, 'host'), join(root, 'etc'));
  await unpackLayer(tarOf([file('etc', 'mine')]), root);
  expect([readFileSync(join(outside, 'host'), 'utf8'), lstatSync(join(root, 'etc')).isFile()]).toEqual([
    'untouched',
    true,
  ]);
});

test.each([
  ['a name that leaves the archive', [file('../out', 'x')], /leaves the archive/],
  ['a hard link to what is not in it', [{ name: 'a', type: 'link' as const, linkname: '/etc/passwd' }], /hard link/],
  ['a whiteout above it', [file('..', 'x')], /leaves the archive/],
  ['a whiteout of the folder above', [file('.wh...', '')], /leaves the archive/],
  ['a whiteout of its own folder', [file('a/.wh..', '')], /leaves the archive/],
  ['a ring of links', [link('a', 'b'), link('b', 'a'), file('a/x', '')], /ring/],
])('unpackLayer() refuses %s', async (_what, entries, words) => {
  await expect(unpackLayer(tarOf(entries), root)).rejects.toThrow(words);
});

test('unpackLayer() of what is no tar says so', async () => {
  await expect(unpackLayer(Readable.from([Buffer.alloc(1024, 'x')]), root)).rejects.toThrow(/cannot be read as a tar/);
});

test("unpackLayer() of an image keeps its modes but for setuid, lets the app's user write, and counts what it takes", async () => {
  const owner = process.getuid?.() === 0 ? 71_950 : null;
  const bytes = await unpackLayer(
    tarOf([
      { name: 'tmp', type: 'directory', mode: 0o1777 },
      file('a/tool', 'xyz', 0o4555),
      link('a/way', '/a/tool'),
      { name: 'a/same', type: 'link', linkname: 'a/way' },
    ]),
    root,
    { ofImage: { owner } },
  );
  expect(bytes).toBe(3);
  expect([statSync(join(root, 'tmp')).mode & 0o7777, statSync(join(root, 'a/tool')).mode & 0o7777]).toEqual([
    0o1777, 0o755,
  ]);
  expect(readlinkSync(join(root, 'a/same'))).toBe('/a/tool');
  const owned = ['.', 'tmp', 'a', 'a/tool', 'a/way'].map(path => lstatSync(join(root, path)).uid);
  expect(owned).toEqual(Array(5).fill(owner ?? process.getuid?.()));
});

test('unpackLayer() writes no more than it may', async () => {
  const both = tarOf([file('a', 'x'.repeat(60)), file('b', 'x'.repeat(60))]);
  await expect(unpackLayer(both, root, { maxBytes: 100 })).rejects.toThrow(/one more than the room/);
  expect(readdirSync(root)).toEqual(['a']);
});
