import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { type Header, pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { untar } from './untar.ts';

type Entry = Partial<Header> & { name: string; text?: string };

function aTar(entries: Entry[]): Readable {
  const tar = pack();
  for (const { text, ...header } of entries) tar.entry(header, text ?? '');
  tar.finalize();
  const out = new PassThrough();
  tar.pipe(out);
  return out;
}

/** `outer/root` is where the tar goes; `outer/outside` must stay as it is. */
function folders(): Disposable & { outer: string; root: string } {
  const outer = mkdtempSync(join(tmpdir(), 'cupola-untar-'));
  const root = join(outer, 'root');
  mkdirSync(root);
  writeFileSync(join(outer, 'outside'), 'untouched');
  return { outer, root, [Symbol.dispose]: () => rmSync(outer, { recursive: true, force: true }) };
}

test('untar() lays out files, folders and links with their modes', async () => {
  using at = folders();
  const tar = aTar([
    { name: 'home/vcap/app/', type: 'directory', mode: 0o750 },
    { name: 'home/vcap/app/server.js', mode: 0o755, text: 'serve()' },
    { name: './home/vcap/app/key', mode: 0o600, text: 'k' },
    { name: 'home/vcap/app/bin/tool', type: 'symlink', linkname: '../server.js' },
    { name: 'home/vcap/app/empty', text: '' },
  ]);
  await untar(tar, at.root, { owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 } });
  const app = join(at.root, 'home/vcap/app');
  expect(readdirSync(app).sort()).toEqual(['bin', 'empty', 'key', 'server.js']);
  expect(readFileSync(join(app, 'server.js'), 'utf8')).toBe('serve()');
  expect(readlinkSync(join(app, 'bin/tool'))).toBe('../server.js');
  const mode = (name: string): string => (lstatSync(join(app, name)).mode & 0o7777).toString(8);
  expect([mode('.'), mode('server.js'), mode('key'), mode('empty')]).toEqual(['750', '755', '600', '644']);
});

test('untar() without an owner makes everything readable for everyone', async () => {
  using at = folders();
  await untar(
    aTar([
      { name: 'toolchains/', type: 'directory', mode: 0o700 },
      { name: 'toolchains/node', mode: 0o700, text: 'n' },
    ]),
    at.root,
  );
  expect(lstatSync(join(at.root, 'toolchains')).mode & 0o777).toBe(0o755);
  expect(lstatSync(join(at.root, 'toolchains/node')).mode & 0o777).toBe(0o744);
});

test.runIf(process.getuid?.() === 0)('untar() gives everything to the owner, links too', async () => {
  using at = folders();
  const owner = { uid: 23_456, gid: 23_457 };
  await untar(
    aTar([
      { name: 'a/b', text: 'x' },
      { name: 'a/l', type: 'symlink', linkname: 'b' },
    ]),
    at.root,
    { owner },
  );
  const owners = ['a', 'a/b', 'a/l'].map(name => lstatSync(join(at.root, name))).map(({ uid, gid }) => ({ uid, gid }));
  expect(owners).toEqual([owner, owner, owner]);
});

test('untar() clears setuid, setgid and sticky bits and write for others', async () => {
  using at = folders();
  const tar = aTar([
    { name: 'd/', type: 'directory', mode: 0o7777 },
    { name: 'd/su', mode: 0o6777, text: 'x' },
  ]);
  await untar(tar, at.root);
  expect(lstatSync(join(at.root, 'd')).mode & 0o7777).toBe(0o755);
  expect(lstatSync(join(at.root, 'd/su')).mode & 0o7777).toBe(0o755);
});

test('untar() takes links to links, dangling links and loops that stay inside', async () => {
  using at = folders();
  await untar(
    aTar([
      { name: 'a/b/up', type: 'symlink', linkname: '../..' },
      { name: 'a/b/again', type: 'symlink', linkname: 'up/a/./b/../nothing' },
      { name: 'x', type: 'symlink', linkname: 'y' },
      { name: 'y', type: 'symlink', linkname: 'x' },
    ]),
    at.root,
  );
  expect(readlinkSync(join(at.root, 'a/b/again'))).toBe('up/a/./b/../nothing');
  expect(readlinkSync(join(at.root, 'y'))).toBe('x');
});

const file = (name: string): Entry => ({ name, text: 'written' });
const link = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname });

test.each<[what: string, entries: Entry[], rule: string]>([
  ['an absolute name', [file('/tmp/cupola-untar-absolute')], 'has an absolute name'],
  ['a name with ..', [file('../outside')], 'leaves the archive'],
  ['a name with .. in its middle', [file('a/../../outside')], 'leaves the archive'],
  ['a folder outside', [{ name: '../new/', type: 'directory' }], 'leaves the archive'],
  ['an absolute link', [link('a', '/etc')], 'is a link to the absolute path "/etc"'],
  ['a link outside', [link('a/b', '../../outside')], 'is a link out of the archive'],
  [
    'a link outside by way of another',
    [link('a/b/up', '../..'), link('a/b/out', 'up/../outside')],
    'out of the archive',
  ],
  ['a link that leaves and comes back', [link('a', '../root/b')], 'is a link out of the archive'],
  ['a link to nothing', [link('a', '')], 'is a link to nothing'],
  ['a file written through a link', [link('a', 'b'), file('a/passwd')], 'lies below "a", which is a link'],
  ['a file written over a link', [link('a', 'b'), file('a')], 'is in the archive twice'],
  ['a link laid over a file', [file('a'), link('a', 'b')], 'is in the archive twice'],
  ['a link laid over a folder with files', [file('a/b'), link('a', 'c')], 'is in the archive twice'],
  ['a link laid over the root', [link('.', 'c')], 'has no name'],
  ['a file below a file', [file('a'), file('a/b')], 'lies below "a", which is a file'],
  ['a name that comes twice', [file('a'), file('./a')], 'is in the archive twice'],
  [
    'a folder that comes twice',
    [
      { name: 'a/', type: 'directory' },
      { name: 'a', type: 'directory' },
    ],
    'twice',
  ],
  ['a hard link', [file('a'), { name: 'b', type: 'link', linkname: 'a' }], 'is a hard link'],
  ['a hard link to a host file', [{ name: 'b', type: 'link', linkname: '/etc/shadow' }], 'is a hard link'],
  [
    'a character device',
    [{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }],
    'is a character-device',
  ],
  ['a block device', [{ name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }], 'is a block-device'],
  ['a FIFO', [{ name: 'pipe', type: 'fifo' }], 'is a fifo'],
])('untar() refuses %s, naming entry and rule, with nothing outside touched', async (_, entries, rule) => {
  using at = folders();
  const refusal = await untar(aTar(entries), at.root).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ArchiveRefusedError);
  expect((refusal as Error).message).toContain(rule);
  expect(readdirSync(at.outer).sort()).toEqual(['outside', 'root']);
  expect(readFileSync(join(at.outer, 'outside'), 'utf8')).toBe('untouched');
});

test('untar() makes no link at all when one of them leaves', async () => {
  using at = folders();
  await expect(untar(aTar([link('good', 'x'), link('bad', '../x')]), at.root)).rejects.toThrow(ArchiveRefusedError);
  expect(readdirSync(at.root)).toEqual([]);
});

test('untar() refuses what is no tar', async () => {
  using at = folders();
  await expect(untar(Readable.from([Buffer.alloc(2_048, 7)]), at.root)).rejects.toThrow('cannot be read as a tar');
});

test('untar() refuses a tar that ends in the middle of a file', async () => {
  using at = folders();
  const whole = await Array.fromAsync(aTar([{ name: 'a', text: 'x'.repeat(4_000) }]) as AsyncIterable<Buffer>);
  const cut = Readable.from([Buffer.concat(whole).subarray(0, 1_500)]);
  await expect(untar(cut, at.root)).rejects.toThrow('cannot be read as a tar');
});

test('untar() hands on the error of its source', async () => {
  using at = folders();
  const source = new PassThrough();
  const unpacked = untar(source, at.root);
  source.destroy(new Error('connection lost'));
  await expect(unpacked).rejects.toThrow('connection lost');
});

test('untar() does not wait for a source that was closed without an end', async () => {
  using at = folders();
  const source = new PassThrough();
  const unpacked = untar(source, at.root);
  source.destroy();
  await expect(unpacked).rejects.toThrow('Premature close');
});
