import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { blobStoreContract } from './blob-store.contract.ts';
import { openFileBlobs } from './files.ts';
import { copyBlobs, movingBlobs } from './moving.ts';

const AWAKE = new AbortController().signal;

async function open() {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-moving-'));
  const from = openFileBlobs({ folder: join(folder, 'from') });
  const to = openFileBlobs({ folder: join(folder, 'to') });
  const blobs = movingBlobs({ from, to });
  return {
    from,
    to,
    blobs,
    damage: async (digest: string) => {
      const { sizeBytes } = (await blobs.stat(digest)) ?? { sizeBytes: 0 };
      writeFileSync((await blobs.localFile(digest)) ?? '', Buffer.alloc(sizeBytes, 1));
    },
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

const put = async (blobs: Awaited<ReturnType<typeof open>>['from'], text: string): Promise<string> =>
  (await blobs.put(Readable.from([text]))).digest;
const read = async (blobs: Awaited<ReturnType<typeof open>>['from'], digest: string): Promise<string> =>
  (await buffer(await blobs.openVerified(digest))).toString();

describe('BlobStore on its way to another', () => blobStoreContract(open));

test('what lies in the old one is read, copied, and removed in both', async () => {
  await using opened = await open();
  const { from, to, blobs } = opened;
  const digest = await put(from, 'old');
  expect([await read(blobs, digest), await blobs.stat(digest)]).toEqual(['old', { digest, sizeBytes: 3 }]);
  expect(await copyBlobs({ from, to }, AWAKE)).toBe(true);
  expect(await read(to, digest)).toBe('old');
  await blobs.remove(digest);
  expect([await from.stat(digest), await to.stat(digest)]).toEqual([null, null]);
});

test('finish(): the old one is asked no more', async () => {
  await using opened = await open();
  const digest = await put(opened.from, 'old');
  opened.blobs.finish();
  expect(await opened.blobs.stat(digest)).toBeNull();
  await expect(opened.blobs.open(digest)).rejects.toMatchObject({ digest });
  expect(await Array.fromAsync(opened.blobs.list())).toEqual([]);
});

test('what is stored meanwhile lies in the new one', async () => {
  await using opened = await open();
  const digest = await put(opened.blobs, 'new');
  expect([await opened.from.stat(digest), await opened.to.stat(digest)]).toEqual([null, { digest, sizeBytes: 3 }]);
});

test('copyBlobs() leaves a damaged one out, and copies the others', async () => {
  await using opened = await open();
  const { from, to } = opened;
  const damaged = await put(from, 'damaged');
  const sound = await put(from, 'sound');
  writeFileSync((await from.localFile(damaged)) ?? '', 'DAMAGED');
  expect(await copyBlobs({ from, to }, AWAKE)).toBe(true);
  expect(await Array.fromAsync(to.list())).toMatchObject([{ digest: sound }]);
});

test('copyBlobs() that was told to stop says so, and goes on where it was', async () => {
  await using opened = await open();
  const { from, to } = opened;
  await put(from, '1');
  expect(await copyBlobs({ from, to }, AbortSignal.abort())).toBe(false);
  expect(await copyBlobs({ from, to }, AWAKE)).toBe(true);
  expect(await Array.fromAsync(to.list())).toHaveLength(1);
});
