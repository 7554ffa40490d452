import { createReadStream, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { splitDroplet } from './split-droplet.ts';
import { untar } from './untar.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-split-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Entry = {
  name: string;
  content?: string;
  mode?: number;
  linkname?: string;
  type?: 'symlink' | 'directory' | 'link';
};

async function split(entries: readonly Entry[], unpackedMaxBytes = 1_000_000) {
  const tar = pack();
  for (const { content, ...header } of entries) tar.entry(header, content ?? '');
  tar.finalize();
  return splitDroplet(tar as AsyncIterable<Buffer>, { folder, unpackedMaxBytes });
}

async function laidOut(file: string): Promise<string> {
  const out = join(folder, 'out');
  mkdirSync(out);
  await untar(createReadStream(file), out);
  return out;
}

test("splitDroplet() puts an app below /home/vcap, with the folders that each instance has, and keeps its builder's note", async () => {
  const { layers, stagingInfo } = await split([
    { name: './', type: 'directory' },
    { name: './app/', type: 'directory' },
    { name: './app/server', content: 'serve', mode: 0o755 },
    { name: './app/data.json', content: '{}', mode: 0o600 },
    { name: './deps/0/bin/run', type: 'symlink', linkname: '/home/vcap/app/server' },
    { name: './staging_info.yml', content: '{"start_command":"./server"}' },
  ]);
  expect(layers.map(({ kind, mountPath }) => `${kind} ${mountPath}`)).toEqual(['app /home/vcap']);
  expect(stagingInfo).toBe('{"start_command":"./server"}');
  const home = join(await laidOut(layers[0]?.file ?? ''), 'home/vcap');
  expect(readFileSync(join(home, 'app/server'), 'utf8')).toBe('serve');
  expect(statSync(join(home, 'app/server')).mode & 0o111).toBe(0o111);
  expect(statSync(join(home, 'app/data.json')).mode & 0o777).toBe(0o644);
  expect(readlinkSync(join(home, 'deps/0/bin/run'))).toBe('../../../app/server');
  expect(statSync(join(home, 'tmp')).isDirectory()).toBe(true);
});

test('splitDroplet() gives each toolchain a layer of its own, below the app', async () => {
  const { layers } = await split([
    { name: './app/server.js', content: 'serve' },
    { name: './toolchains/node-1/bin/node', content: 'node', mode: 0o755 },
    { name: './toolchains/npm-2/bin/npm', type: 'symlink', linkname: '../lib/npm.js' },
  ]);
  expect(layers.map(({ mountPath }) => mountPath)).toEqual(['/toolchains/node-1', '/toolchains/npm-2', '/home/vcap']);
  const out = await laidOut(layers[0]?.file ?? '');
  expect(readFileSync(join(out, 'toolchains/node-1/bin/node'), 'utf8')).toBe('node');
});

test('splitDroplet() gives the same layers for the same files', async () => {
  const entries: Entry[] = [{ name: 'app/a', content: 'x' }];
  const first = await split(entries);
  rmSync(first.layers[0]?.file ?? '');
  expect((await split(entries)).layers[0]?.digest).toBe(first.layers[0]?.digest);
});

test.each<[string, Entry[], RegExp]>([
  ['a name above', [{ name: 'app/../../etc/passwd', content: 'x' }], /leaves the archive/],
  ['an absolute name', [{ name: '/etc/passwd', content: 'x' }], /absolute name/],
  ['a hard link', [{ name: 'app/a', type: 'link', linkname: 'app/b' }], /is a link, not a file/],
  ['a link out of it', [{ name: 'app/a', type: 'symlink', linkname: '/etc/passwd' }], /link to the absolute path/],
  ['a link above', [{ name: 'a', type: 'symlink', linkname: '../../../etc' }], /link out of the archive/],
  [
    'a name twice',
    [
      { name: 'app/a', content: '1' },
      { name: './app/a', content: '2' },
    ],
    /twice/,
  ],
  ['what lies below a link', [{ name: 'a', type: 'symlink', linkname: 'app' }, { name: 'a/b' }], /lies below/],
  ['more than may be', [{ name: 'app/big', content: 'x'.repeat(2_000_000) }], /larger than the app may be/],
])('splitDroplet() refuses %s', async (_, entries, message) => {
  await expect(split(entries)).rejects.toThrow(message);
});

test('splitDroplet() refuses what is no tar', async () => {
  async function* noise() {
    yield Buffer.alloc(2_048, 'noise');
  }
  await expect(splitDroplet(noise(), { folder, unpackedMaxBytes: 1_000 })).rejects.toThrow(
    /cannot be read as a gzipped tar/,
  );
});
