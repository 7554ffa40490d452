import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { blobStoreContract } from './blob-store.contract.ts';
import { openFileBlobs } from './files.ts';

async function openInTemporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-blobs-'));
  const blobs = openFileBlobs({ folder });
  return {
    blobs,
    folder,
    damage: async (digest: string) => {
      const path = (await blobs.localFile(digest)) ?? '';
      const bytes = await readFile(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(path, bytes);
    },
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

describe('BlobStore as files', () => blobStoreContract(openInTemporaryFolder));

test('localFile() is the file, which only its owner reads', async () => {
  await using opened = await openInTemporaryFolder();
  const { digest } = await opened.blobs.put(Readable.from(['a']));
  const path = (await opened.blobs.localFile(digest)) ?? '';
  expect(readFileSync(path, 'utf8')).toBe('a');
  expect(path).toBe(join(opened.folder, digest.slice(0, 2), digest.slice(2)));
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('openFileBlobs() sweeps what a killed writer left an hour ago, and keeps the blobs and what others write just now', async () => {
  await using opened = await openInTemporaryFolder();
  const { digest } = await opened.blobs.put(Readable.from(['a']));
  for (const name of ['half', 'under-way']) writeFileSync(join(opened.folder, 'tmp', name), name);
  const before = new Date(Date.now() - 3_700_000);
  utimesSync(join(opened.folder, 'tmp', 'half'), before, before);
  const again = openFileBlobs({ folder: opened.folder });
  expect(readdirSync(join(opened.folder, 'tmp'))).toEqual(['under-way']);
  expect(await again.stat(digest)).toEqual({ digest, sizeBytes: 1 });
});

/** Memory, on Linux: another file system than that of temp folders, or the same, which is adopted too. */
const OTHER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
test('adopt() takes a file of another file system over', async () => {
  await using opened = await openInTemporaryFolder();
  const folder = mkdtempSync(join(OTHER, 'cupola-blobs-'));
  const path = join(folder, 'upload');
  writeFileSync(path, 'uploaded');
  const digest = createHash('sha256').update('uploaded').digest('hex');
  await opened.blobs.adopt(path, { digest, sizeBytes: 8 });
  expect((await buffer(await opened.blobs.openVerified(digest))).toString()).toBe('uploaded');
  expect([existsSync(path), readdirSync(join(opened.folder, 'tmp'))]).toEqual([false, []]);
  rmSync(folder, { recursive: true });
});

test('a failed put() leaves no temporary file', async () => {
  await using opened = await openInTemporaryFolder();
  await opened.blobs.put(Readable.from(['a']), { expectedDigest: 'b' }).catch(() => undefined);
  expect(readdirSync(join(opened.folder, 'tmp'))).toEqual([]);
});

test('openVerified() keeps damaged bytes under corrupt/, to be looked at', async () => {
  await using opened = await openInTemporaryFolder();
  const { digest } = await opened.blobs.put(Readable.from(['precious']));
  await opened.damage(digest);
  await buffer(await opened.blobs.openVerified(digest)).catch(() => undefined);
  expect(existsSync(join(opened.folder, 'corrupt', digest))).toBe(true);
});

test('openVerified() finds a blob that was cut short', async () => {
  await using opened = await openInTemporaryFolder();
  const { digest } = await opened.blobs.put(Readable.from(['precious']));
  writeFileSync((await opened.blobs.localFile(digest)) ?? '', '');
  await expect(buffer(await opened.blobs.openVerified(digest))).rejects.toMatchObject({ name: 'DigestMismatchError' });
});

test('space() tells of the file system', async () => {
  await using opened = await openInTemporaryFolder();
  const space = await opened.blobs.space();
  expect(space.freeBytes).toBeGreaterThan(0);
  expect(space.totalBytes).toBeGreaterThanOrEqual(space.freeBytes);
});
