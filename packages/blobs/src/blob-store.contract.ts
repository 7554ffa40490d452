/** What every blob store promises. An adapter's test file calls it with a way to open an empty one. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { BlobInfo, BlobStore } from './blob-store.ts';
import { BlobMissingError, DigestMismatchError } from './errors.ts';

interface Opened extends AsyncDisposable {
  blobs: BlobStore;
  /** Changes the stored bytes of a blob behind the adapter's back, keeping their number. */
  damage(digest: string): Promise<void>;
  /** A folder whose files `adopt` can take over; null for the system's. */
  adoptFrom?: string;
}
type Open = () => Promise<Opened>;

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const body = (bytes: Buffer | string): Readable => Readable.from([Buffer.from(bytes)]);
const unknown = sha256('nobody stored this');

async function listed(blobs: BlobStore): Promise<BlobInfo[]> {
  const found = await Array.fromAsync(blobs.list());
  return found.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })).sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

async function* brokenBody(): AsyncGenerator<Buffer> {
  yield Buffer.from('the first half');
  throw new Error('the client went away');
}

export function blobStoreContract(open: Open): void {
  describe('put()', () => {
    test('put() answers digest and size, and open() gives the same bytes', async () => {
      await using opened = await open();
      const bytes = randomBytes(1_500_000);
      const info = await opened.blobs.put(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]));
      expect(info).toEqual({ digest: sha256(bytes), sizeBytes: bytes.length });
      expect((await buffer(await opened.blobs.open(info.digest))).equals(bytes)).toBe(true);
    });

    test('put() counts bytes, not characters, of a text', async () => {
      await using opened = await open();
      const info = await opened.blobs.put(Readable.from(['größer']));
      expect(info).toEqual({ digest: sha256('größer'), sizeBytes: 8 });
    });

    test('put() takes nothing at all', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(Readable.from([]));
      expect(await opened.blobs.stat(digest)).toEqual({ digest: sha256(''), sizeBytes: 0 });
      expect(await buffer(await opened.blobs.openVerified(digest))).toHaveLength(0);
    });

    test('put() with the right expected digest stores', async () => {
      await using opened = await open();
      const info = await opened.blobs.put(body('a'), { expectedDigest: sha256('a') });
      expect(info.digest).toBe(sha256('a'));
    });

    test('put() with a wrong expected digest throws and leaves nothing', async () => {
      await using opened = await open();
      const error = await opened.blobs.put(body('a'), { expectedDigest: sha256('b') }).catch(caught => caught);
      expect(error).toBeInstanceOf(DigestMismatchError);
      expect(error).toMatchObject({ expected: sha256('b'), actual: sha256('a') });
      expect(await listed(opened.blobs)).toEqual([]);
    });

    test('put() of a body that breaks off throws and leaves nothing', async () => {
      await using opened = await open();
      await expect(opened.blobs.put(Readable.from(brokenBody()))).rejects.toThrow('the client went away');
      expect(await listed(opened.blobs)).toEqual([]);
    });

    test('put() of what is there already succeeds, also at the same moment', async () => {
      await using opened = await open();
      const infos = await Promise.all([1, 2, 3].map(() => opened.blobs.put(body('same'))));
      expect(new Set(infos.map(({ digest }) => digest))).toEqual(new Set([sha256('same')]));
      expect(await listed(opened.blobs)).toEqual([{ digest: sha256('same'), sizeBytes: 4 }]);
    });

    test('put() makes a damaged blob whole again', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(body('precious'));
      await opened.damage(digest);
      await opened.blobs.put(body('precious'));
      expect((await buffer(await opened.blobs.openVerified(digest))).toString()).toBe('precious');
    });
  });

  describe('adopt()', () => {
    test('adopt() takes a file over: the blob is there, the file is not', async () => {
      await using opened = await open();
      const folder = await mkdtemp(join(opened.adoptFrom ?? tmpdir(), 'upload-'));
      const path = join(folder, 'upload');
      await writeFile(path, 'uploaded');
      const info = { digest: sha256('uploaded'), sizeBytes: 8 };
      expect(await opened.blobs.adopt(path, info)).toEqual(info);
      expect((await buffer(await opened.blobs.openVerified(info.digest))).toString()).toBe('uploaded');
      await expect(rm(path)).rejects.toMatchObject({ code: 'ENOENT' });
      await rm(folder, { recursive: true });
    });

    test('adopt() refuses what is no digest', async () => {
      await using opened = await open();
      await expect(opened.blobs.adopt('/nowhere', { digest: '../../etc/passwd', sizeBytes: 0 })).rejects.toThrow(
        'no sha-256',
      );
    });
  });

  describe('open()', () => {
    test('open() gives a range, its end left out', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(body('0123456789'));
      const read = async (start: number, end: number): Promise<string> =>
        (await buffer(await opened.blobs.open(digest, { start, end }))).toString();
      expect(await read(2, 5)).toBe('234');
      expect(await read(8, 100)).toBe('89');
      expect(await read(3, 3)).toBe('');
    });

    test.each([unknown, 'short', '../../etc/passwd', ''])('open(%j) throws BlobMissingError', async digest => {
      await using opened = await open();
      await expect(opened.blobs.open(digest)).rejects.toBeInstanceOf(BlobMissingError);
      await expect(opened.blobs.openVerified(digest)).rejects.toMatchObject({ digest });
      expect(await opened.blobs.stat(digest)).toBeNull();
    });

    test('open() that was begun goes on when the blob is removed', async () => {
      await using opened = await open();
      const bytes = randomBytes(1_000_000);
      const { digest } = await opened.blobs.put(body(bytes));
      const reading = await opened.blobs.open(digest);
      await opened.blobs.remove(digest);
      expect((await buffer(reading)).equals(bytes)).toBe(true);
    });
  });

  describe('openVerified()', () => {
    test('openVerified() never ends well on damaged bytes', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(body(randomBytes(1_000_000)));
      await opened.damage(digest);
      const reading = await opened.blobs.openVerified(digest);
      await expect(buffer(reading)).rejects.toBeInstanceOf(DigestMismatchError);
    });

    test('openVerified() sets a damaged blob aside: nobody gets it again', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(body('precious'));
      await opened.damage(digest);
      await buffer(await opened.blobs.openVerified(digest)).catch(() => undefined);
      expect(await opened.blobs.stat(digest)).toBeNull();
      expect(await listed(opened.blobs)).toEqual([]);
      await expect(opened.blobs.open(digest)).rejects.toBeInstanceOf(BlobMissingError);
    });

    test('openVerified() that is given up early harms nothing', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(body(randomBytes(2_000_000)));
      const reading = await opened.blobs.openVerified(digest);
      for await (const _chunk of reading) break;
      expect(await buffer(await opened.blobs.openVerified(digest))).toHaveLength(2_000_000);
    });
  });

  test('list() gives every blob with its time, and remove() takes it away, again and again', async () => {
    await using opened = await open();
    const began = Date.now() - 5_000;
    const { digest } = await opened.blobs.put(body('a'));
    await opened.blobs.put(body('b'));
    const [first] = await Array.fromAsync(opened.blobs.list());
    expect(first?.storedAtMs).toBeGreaterThan(began);
    await opened.blobs.remove(digest);
    await opened.blobs.remove(digest);
    await opened.blobs.remove('../../etc/passwd');
    expect(await listed(opened.blobs)).toEqual([{ digest: sha256('b'), sizeBytes: 1 }]);
  });

  test('remove() leaves what was stored again meanwhile', async () => {
    await using opened = await open();
    const { digest } = await opened.blobs.put(body('a'));
    await opened.blobs.remove(digest, { unlessStoredSinceMs: Date.now() - 60_000 });
    expect(await opened.blobs.stat(digest)).toEqual({ digest, sizeBytes: 1 });
    await opened.blobs.remove(digest, { unlessStoredSinceMs: Date.now() + 60_000 });
    expect(await opened.blobs.stat(digest)).toBeNull();
  });

  describe('localFile()', () => {
    test('localFile() is a file with the bytes', async () => {
      await using opened = await open();
      const { digest } = await opened.blobs.put(body('precious'), { expectedDigest: sha256('precious') });
      const [one, two] = await Promise.all([opened.blobs.localFile(digest), opened.blobs.localFile(digest)]);
      expect((await readFile(one ?? '')).toString()).toBe('precious');
      expect(two).toBe(one);
    });

    test.each([unknown, '../../etc/passwd'])('localFile(%j) is null', async digest => {
      await using opened = await open();
      expect(await opened.blobs.localFile(digest)).toBeNull();
    });
  });
}
