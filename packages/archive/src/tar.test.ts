import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  createWriteStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packTar } from './tar.ts';
import { untar } from './untar.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-tar-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Packed {
  digest: string;
  sizeBytes: number;
  bytes: Buffer;
}

async function pack(source: string, prefix = 'home/vcap'): Promise<Packed> {
  const chunks: Buffer[] = [];
  const out = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(Buffer.from(chunk));
      setImmediate(done);
    },
  });
  const info = await packTar(source, prefix, out);
  return { ...info, bytes: Buffer.concat(chunks) };
}

function write(root: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('packTar() gives the same bytes for the same files, whatever their times, order of making and group bits', async () => {
  const one = write(join(folder, 'one'), { 'b.txt': 'b', 'a/c': 'c', a0: '0' });
  const two = write(join(folder, 'two'), { a0: '0', 'a/c': 'c', 'b.txt': 'b' });
  utimesSync(join(two, 'b.txt'), 1, 1);
  chmodSync(join(two, 'a0'), 0o600);
  expect((await pack(one)).digest).toBe((await pack(two)).digest);
});

test('packTar() says the sha-256 and the size of what it wrote', async () => {
  const { digest, sizeBytes, bytes } = await pack(write(folder, { a: 'x'.repeat(300_000) }));
  expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(sizeBytes).toBe(bytes.length);
});

test('packTar() writes owner 2000, time 0 and two modes, sorted by bytes, as GNU tar reads them', async () => {
  const source = write(join(folder, 'source'), { 'run.sh': '#!/bin/sh\n', 'B.txt': 'B', 'a.txt': 'a' });
  chmodSync(join(source, 'run.sh'), 0o777);
  symlinkSync('a.txt', join(source, 'link'));
  const { bytes } = await pack(source);
  const listed = spawnSync('tar', ['-tvf', '-', '--numeric-owner', '--utc'], { input: bytes, encoding: 'utf8' });
  expect(listed.stderr).toBe('');
  expect(listed.stdout.split('\n').map(line => line.replace(/\s+/g, ' '))).toEqual([
    'drwxr-xr-x 2000/2000 0 1970-01-01 00:00 home/vcap/',
    '-rw-r--r-- 2000/2000 1 1970-01-01 00:00 home/vcap/B.txt',
    '-rw-r--r-- 2000/2000 1 1970-01-01 00:00 home/vcap/a.txt',
    'lrwxrwxrwx 2000/2000 0 1970-01-01 00:00 home/vcap/link -> a.txt',
    '-rwxr-xr-x 2000/2000 10 1970-01-01 00:00 home/vcap/run.sh',
    '',
  ]);
});

test('packTar() and untar() give back every name, long, deep and outside ASCII, and every length', async () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}/${'g'.repeat(200)}`;
  const files = {
    [long]: 'deep',
    [`${'h'.repeat(98)}/${'i'.repeat(98)}`]: 'split',
    'grüße/日本.txt': 'words',
    empty: '',
    block: 'x'.repeat(512),
    more: 'y'.repeat(513),
    large: 'z'.repeat(700_000),
  };
  const source = write(join(folder, 'source'), files);
  symlinkSync(long, join(source, 'to-long'));
  mkdirSync(join(source, 'void'));
  const { bytes } = await pack(source);
  const target = join(folder, 'target');
  mkdirSync(target);
  await untar(Readable.from([bytes]), target);
  const root = join(target, 'home/vcap');
  expect(Object.fromEntries(Object.keys(files).map(path => [path, readFileSync(join(root, path), 'utf8')]))).toEqual(
    files,
  );
  expect(readlinkSync(join(root, 'to-long'))).toBe(long);
  expect(readdirSync(join(root, 'void'))).toEqual([]);
});

test('packTar() turns an absolute link into its own mount path into a relative one', async () => {
  const source = write(join(folder, 'source'), { 'app/dist/x': 'x' });
  symlinkSync('/home/vcap/app/dist', join(source, 'app/current'));
  const target = join(folder, 'target');
  mkdirSync(target);
  await untar(Readable.from([(await pack(source)).bytes]), target);
  expect(readlinkSync(join(target, 'home/vcap/app/current'))).toBe('dist');
});

test('packTar() refuses a link to any other absolute path, by its name', async () => {
  symlinkSync('/etc/passwd', join(folder, 'users'));
  await expect(pack(folder)).rejects.toThrow(ArchiveRefusedError);
  await expect(pack(folder)).rejects.toThrow(/"users" is a link to the absolute path "\/etc\/passwd"/);
});

test('packTar() refuses a name that is not UTF-8', async () => {
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/a`), Buffer.from([0xff])]), '');
  await expect(pack(folder)).rejects.toThrow(/not UTF-8/);
});

test('packTar() leaves out what is no file, folder or link', async () => {
  expect(spawnSync('mkfifo', [join(folder, 'pipe')]).status).toBe(0);
  expect(lstatSync(join(folder, 'pipe')).isFIFO()).toBe(true);
  const { bytes } = await pack(folder);
  expect(bytes.includes('pipe')).toBe(false);
});

test('packTar() fails with the error of where it writes to', async () => {
  const full = createWriteStream('/dev/full');
  await expect(
    packTar(write(join(folder, 'source'), { a: 'x'.repeat(1_000_000) }), 'home/vcap', full),
  ).rejects.toMatchObject({ code: 'ENOSPC' });
});
