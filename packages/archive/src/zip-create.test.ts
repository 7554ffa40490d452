import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PIECE_BYTES } from './deflate.ts';
import { unzip } from './unzip.ts';
import { createZip, type NewEntry } from './zip-create.ts';
import { openZipWriter } from './zip-write.ts';

const run = promisify(execFile);
const works = (tool: string, args: string[]): boolean => {
  try {
    execFileSync(tool, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false; // Not on this machine.
  }
};
const unzipper = works('unzip', ['-v']);
const python = works('python3', ['-c', 'import zipfile']);

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cupola-zip-create-'));
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const CONTENTS: Record<string, Buffer> = {
  empty: Buffer.alloc(0),
  one: Buffer.from('x'),
  'ünïcode 文': Buffer.from('small text '.repeat(30)),
  'medium/text': Buffer.from('line of a program\n'.repeat(20_000)),
  'medium/noise': randomBytes(200_000),
  'large/exactly-one-piece': Buffer.alloc(PIECE_BYTES, 'abc'),
  'large/text': Buffer.alloc(3 * PIECE_BYTES + 17, 'A text that repeats itself, '),
  'large/noise': randomBytes(2 * PIECE_BYTES + 1),
  'large/mixed': Buffer.concat([
    randomBytes(PIECE_BYTES),
    Buffer.alloc(PIECE_BYTES, 'zeros'),
    randomBytes(PIECE_BYTES / 2),
  ]),
};
const sums = (contents: Record<string, Buffer>): Record<string, string> =>
  Object.fromEntries(Object.entries(contents).map(([path, bytes]) => [path, sha256(bytes)]));
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Entries of files that were written for it. */
function filesOf(name: string, contents: Record<string, Buffer>): NewEntry[] {
  const folder = join(root, name);
  mkdirSync(folder);
  return Object.entries(contents).map(([path, bytes], at) => {
    const file = join(folder, String(at));
    writeFileSync(file, bytes);
    return { kind: 'file', path, mode: 0o644, file };
  });
}

describe('createZip()', () => {
  let zip: string;
  beforeAll(async () => {
    zip = join(root, 'all.zip');
    const entries: NewEntry[] = [
      ...filesOf('all', CONTENTS),
      { kind: 'link', path: 'link', mode: 0o777, target: 'medium/text' },
      { kind: 'folder', path: 'folder', mode: 0o755 },
    ];
    const { sizeBytes } = await createZip(
      zip,
      entries.map(entry => (entry.path === 'one' ? { ...entry, mode: 0o755 } : entry)),
    );
    expect(statSync(zip).size).toBe(sizeBytes);
  });

  test('writes what our own reader unpacks to the same files', async () => {
    const out = join(root, 'out');
    mkdirSync(out);
    await unzip(zip, out, { unpackedMaxBytes: 100 * PIECE_BYTES });
    const read = Object.keys(CONTENTS).map(path => [path, readFileSync(join(out, path))] as const);
    expect(sums(Object.fromEntries(read))).toEqual(sums(CONTENTS));
    expect(statSync(join(out, 'one')).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(out, 'link'))).toEqual(CONTENTS['medium/text']);
  });

  test.skipIf(!unzipper)('writes what unzip finds whole', async () => {
    const { stdout } = await run('unzip', ['-tq', zip]);
    expect(stdout).toContain('No errors detected');
  });

  test.skipIf(!unzipper)('writes what zipinfo lists with types, modes and no times', async () => {
    const { stdout } = await run('unzip', ['-Z', '-T', zip]);
    const lines = stdout.split('\n').filter(line => / 19800101\.000000 /.test(line));
    expect(lines.map(line => `${line.slice(0, 10)} ${line.split(' ').at(-1)}`)).toEqual([
      '-rw-r--r-- empty',
      '-rwxr-xr-x one',
      expect.stringMatching(/^-rw-r--r-- /),
      '-rw-r--r-- medium/text',
      '-rw-r--r-- medium/noise',
      '-rw-r--r-- large/exactly-one-piece',
      '-rw-r--r-- large/text',
      '-rw-r--r-- large/noise',
      '-rw-r--r-- large/mixed',
      'lrwxrwxrwx link',
      'drwxr-xr-x folder/',
    ]);
  });

  test.skipIf(!python)("writes what python's zipfile reads with the same names and bytes", async () => {
    const script =
      'import sys,zipfile,hashlib,json\n' +
      'z=zipfile.ZipFile(sys.argv[1])\n' +
      'print(json.dumps({i.filename:hashlib.sha256(z.read(i)).hexdigest() for i in z.infolist()}))';
    const { stdout } = await run('python3', ['-c', script, zip]);
    expect(JSON.parse(stdout)).toEqual({
      ...sums(CONTENTS),
      link: sha256(Buffer.from('medium/text')),
      'folder/': sha256(Buffer.alloc(0)),
    });
  });

  test('makes small what compresses, and larger by a thousandth at most what does not', async () => {
    const text = await createZip(join(root, 'text.zip'), filesOf('text', { text: CONTENTS['large/text'] as Buffer }));
    const noise = await createZip(
      join(root, 'noise.zip'),
      filesOf('noise', { noise: CONTENTS['large/noise'] as Buffer }),
    );
    expect(text.sizeBytes).toBeLessThan(PIECE_BYTES / 20);
    expect(noise.sizeBytes).toBeLessThan((CONTENTS['large/noise'] as Buffer).length * 1.001);
  });

  test('says which file it cannot read, and leaves none out', async () => {
    const entries: NewEntry[] = [{ kind: 'file', path: 'gone', mode: 0o644, file: join(root, 'gone') }];
    await expect(createZip(join(root, 'gone.zip'), entries)).rejects.toThrow(/ENOENT.*gone/);
  });

  test('takes a file that shrinks while it is read as it then is', async () => {
    const file = join(root, 'shrinks');
    writeFileSync(file, Buffer.alloc(40 * PIECE_BYTES, 'abc'));
    const fd = openSync(file, 'r+');
    function* entries(): Iterable<NewEntry> {
      yield { kind: 'file', path: 'a', mode: 0o644, file };
      yield { kind: 'folder', path: 'b', mode: 0o755 };
    }
    const zip = join(root, 'shrinks.zip');
    const made = createZip(zip, entries());
    ftruncateSync(fd, 20 * PIECE_BYTES);
    closeSync(fd);
    await made;
    const out = join(root, 'shrinks-out');
    mkdirSync(out);
    await unzip(zip, out, { unpackedMaxBytes: 100 * PIECE_BYTES });
    expect(statSync(join(out, 'a')).size).toBe(20 * PIECE_BYTES);
  });

  test('writes a file that only its owner may read', async () => {
    const zip = join(root, 'private.zip');
    await createZip(zip, []);
    chmodSync(root, 0o700);
    expect(statSync(zip).mode & 0o777).toBe(0o600);
  });
});

describe('beginUnknown()', () => {
  /** A small file announced as one of 5 GiB: all its numbers are long. */
  function huge(): string {
    const zip = join(root, 'huge.zip');
    rmSync(zip, { force: true });
    const writer = openZipWriter(zip);
    const entry = writer.beginUnknown({ path: 'huge', kind: 'file', mode: 0o644, method: 0 }, 5 * 1024 ** 3);
    const content = Buffer.from('content');
    writer.write(content);
    entry.end({ sizeBytes: 7, compressedBytes: 7, crc32: crc32(content) });
    writer.begin({ path: 'next', kind: 'file', mode: 0o644, method: 0, sizeBytes: 0, compressedBytes: 0, crc32: 0 });
    writer.finish();
    writer.close();
    return zip;
  }

  test.skipIf(!unzipper)('announces a file that may pass 4 GiB with the long numbers of Zip64', async () => {
    const { stdout } = await run('unzip', ['-p', huge(), 'huge']);
    expect(stdout).toBe('content');
  });

  test('refuses a file that has grown past 4 GiB unannounced', () => {
    const writer = openZipWriter(join(root, 'grown.zip'));
    const entry = writer.beginUnknown({ path: 'log', kind: 'file', mode: 0o644, method: 8 }, 1024);
    expect(() => entry.end({ sizeBytes: 5 * 1024 ** 3, compressedBytes: 1, crc32: 0 })).toThrow(/"log" has grown/);
    writer.close();
  });
});
