import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blobStoreContract } from './blob-store.contract.ts';
import { BlobsUnavailableError } from './errors.ts';
import { openS3Blobs } from './s3.ts';
import { type S3Server, startS3 } from './s3-server.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server[Symbol.asyncDispose]());

const BUCKET = 'blobs';
const MIB = 1024 * 1024;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function openEmpty({
  cacheMaxBytes,
  url = server.bucket(BUCKET),
}: {
  cacheMaxBytes?: number;
  url?: string;
} = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-s3-cache-'));
  const blobs = openS3Blobs({ url, folder, ...(cacheMaxBytes === undefined ? {} : { cacheMaxBytes }) });
  const pathOf = (digest: string) => join(server.folderOf(BUCKET), 'sha256', digest.slice(0, 2), digest);
  return {
    blobs,
    folder,
    pathOf,
    damage: async (digest: string) => {
      const bytes = await readFile(pathOf(digest));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(pathOf(digest), bytes);
    },
    [Symbol.asyncDispose]: async () => {
      blobs.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe('BlobStore on S3', () => blobStoreContract(openEmpty));

/** Bytes of many parts, whose digest may be told before they are. */
function large() {
  const bytes = randomBytes(20 * MIB);
  const chunks = Array.from({ length: 20 }, (_, at) => bytes.subarray(at * MIB, (at + 1) * MIB));
  return { bytes, digest: sha256(bytes), body: () => Readable.from(chunks), chunks };
}

describe('what takes several parts', () => {
  test('put() stores it, in bytes and in a range', async () => {
    await using opened = await openEmpty();
    const { bytes, digest, body } = large();
    expect(await opened.blobs.put(body(), { expectedDigest: digest })).toEqual({ digest, sizeBytes: bytes.length });
    expect((await buffer(await opened.blobs.openVerified(digest))).equals(bytes)).toBe(true);
    const range = await buffer(await opened.blobs.open(digest, { start: 9 * MIB - 3, end: 9 * MIB + 3 }));
    expect(range.equals(bytes.subarray(9 * MIB - 3, 9 * MIB + 3))).toBe(true);
  });

  test.each([
    ['is not what was said', (chunks: Buffer[]) => Readable.from([...chunks.slice(1), randomBytes(MIB)])],
    [
      'breaks off',
      (chunks: Buffer[]) =>
        Readable.from(
          (async function* () {
            yield* chunks.slice(0, 15);
            throw new Error('the client went away');
          })(),
        ),
    ],
  ])('put() of a body that %s leaves no blob, and no part of one', async (_, bodyOf) => {
    await using opened = await openEmpty();
    const { digest, chunks } = large();
    await expect(opened.blobs.put(bodyOf(chunks), { expectedDigest: digest })).rejects.toThrow(
      /the client went away|expected bytes of sha-256/,
    );
    expect(await opened.blobs.stat(digest)).toBeNull();
    expect(await Array.fromAsync(opened.blobs.list())).toEqual([]);
    expect(readdirSync(server.folderOf(BUCKET), { recursive: true }).filter(name => /\d+$/.test(String(name)))).toEqual(
      [],
    );
  });
});

test('readUrl() opens the blob to who has no credentials, whole or a range of it, and no other', async () => {
  await using opened = await openEmpty();
  const { digest } = await opened.blobs.put(Readable.from(['0123456789']));
  const url = (await opened.blobs.readUrl(digest, 60_000)) ?? '';
  expect(await (await fetch(url)).text()).toBe('0123456789');
  const part = await fetch(url, { headers: { range: 'bytes=2-4' } });
  expect([part.status, await part.text()]).toEqual([206, '234']);
  expect((await fetch(url.replace(digest, sha256(Buffer.from('x'))))).status).toBe(403);
  expect((await fetch(url.split('?')[0] ?? '')).status).toBe(403);
});

test('members= is where readUrl() leads: the same server under the name that machines without credentials know', async () => {
  const members = server.endpoint.replace('127.0.0.1', 'localhost');
  await using opened = await openEmpty({ url: `${server.bucket(BUCKET)}&members=${encodeURIComponent(members)}` });
  const { digest } = await opened.blobs.put(Readable.from(['0123456789']));
  const url = (await opened.blobs.readUrl(digest, 60_000)) ?? '';
  expect(url.startsWith(`${members}/`)).toBe(true);
  expect(await (await fetch(url)).text()).toBe('0123456789');
});

test('style=virtual has the bucket in the name of the host', async () => {
  const url = 's3://KEY:SECRET@blobs?endpoint=https://s3.example.com';
  await using opened = await openEmpty({ url: `${url}&style=virtual` });
  expect(await opened.blobs.readUrl('a'.repeat(64), 1_000)).toMatch('https://blobs.s3.example.com/sha256/aa/aaaa');
  await using other = await openEmpty({ url });
  expect(await other.blobs.readUrl('a'.repeat(64), 1_000)).toMatch('https://s3.example.com/blobs/sha256/aa/aaaa');
});

test('a damaged blob is kept under corrupt/, to be looked at', async () => {
  await using opened = await openEmpty();
  const { digest } = await opened.blobs.put(Readable.from(['precious']));
  await opened.damage(digest);
  await buffer(await opened.blobs.openVerified(digest)).catch(() => undefined);
  expect(readdirSync(join(server.folderOf(BUCKET), 'corrupt'))).toEqual([digest]);
});

test('a prefix keeps blobs apart in one bucket', async () => {
  const url = server.bucket(BUCKET);
  await using one = await openEmpty({ url: url.replace(`@${BUCKET}`, `@${BUCKET}/one`) });
  await using two = await openEmpty({ url: url.replace(`@${BUCKET}`, `@${BUCKET}/two`) });
  const { digest } = await one.blobs.put(Readable.from(['a']));
  expect(await two.blobs.stat(digest)).toBeNull();
  expect(await Array.fromAsync(one.blobs.list())).toMatchObject([{ digest, sizeBytes: 1 }]);
});

describe('the files of this machine', () => {
  test('localFile() of a damaged blob is null', async () => {
    await using opened = await openEmpty();
    const bytes = Buffer.from('precious');
    const { digest } = await opened.blobs.put(Readable.from([bytes]), { expectedDigest: sha256(bytes) });
    await opened.damage(digest);
    expect(await opened.blobs.localFile(digest)).toBeNull();
  });

  test('localFile() of what was just adopted is there without a server', async () => {
    await using opened = await openEmpty();
    const path = join(opened.folder, 'new-upload');
    await writeFile(path, 'pack');
    const digest = sha256(Buffer.from('pack'));
    await opened.blobs.adopt(path, { digest, sizeBytes: 4 });
    await server.kill();
    expect((await readFile((await opened.blobs.localFile(digest)) ?? '')).toString()).toBe('pack');
    await server.start();
  });

  test('openS3Blobs() begins with none of those of a former process', async () => {
    await using opened = await openEmpty();
    await opened.blobs.put(Readable.from(['a']));
    expect(readdirSync(opened.folder)).toHaveLength(1);
    openS3Blobs({ url: server.bucket('other'), folder: opened.folder }).close();
    expect(readdirSync(opened.folder)).toEqual([]);
  });
});

/** Between us and the server: cuts every connection once so many bytes have gone up. */
async function startCutter(): Promise<
  { url: (url: string) => string; cutAfter(bytes: number): void } & AsyncDisposable
> {
  const target = new URL(server.endpoint);
  let left = Number.POSITIVE_INFINITY;
  const sockets = new Set<Socket>();
  const proxy: Server = createServer(down => {
    const up = new (down.constructor as typeof Socket)().connect(Number(target.port), target.hostname);
    for (const socket of [down, up]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        up.destroy();
        down.destroy();
      });
    }
    up.pipe(down);
    down.on('data', chunk => {
      left -= chunk.length;
      if (left < 0) for (const socket of sockets) socket.destroy();
      else up.write(chunk);
    });
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as { port: number };
  return {
    url: url => url.replace(encodeURIComponent(server.endpoint), encodeURIComponent(`http://127.0.0.1:${port}`)),
    cutAfter: bytes => {
      left = bytes;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => proxy.close(resolve));
    },
  };
}

describe('a server that is away', () => {
  test('every call fails with one error, within seconds, and all goes on when it is back', async () => {
    await using opened = await openEmpty();
    const { digest } = await opened.blobs.put(Readable.from(['a']), { expectedDigest: sha256(Buffer.from('a')) });
    await server.kill();
    const began = performance.now();
    const { blobs } = opened;
    const calls = [
      blobs.put(Readable.from(['b']), { expectedDigest: sha256(Buffer.from('b')) }),
      blobs.put(Readable.from(['c'])),
      blobs.open(digest),
      blobs.openVerified(digest),
      blobs.localFile(digest),
      blobs.stat(digest),
      blobs.remove(digest),
      Array.fromAsync(blobs.list()),
    ];
    const failures = (await Promise.allSettled(calls)).map(call => call.status === 'rejected' && call.reason);
    expect(failures.every(failure => failure instanceof BlobsUnavailableError)).toBe(true);
    expect(performance.now() - began).toBeLessThan(60_000);
    await server.start();
    expect(await blobs.stat(digest)).toEqual({ digest, sizeBytes: 1 });
  });

  test('an upload that is cut in the middle leaves no half blob, and the next one succeeds', async () => {
    await using cutter = await startCutter();
    await using opened = await openEmpty({ url: cutter.url(server.bucket(BUCKET)) });
    const { bytes, digest, body } = large();
    cutter.cutAfter(13 * MIB);
    await expect(opened.blobs.put(body(), { expectedDigest: digest })).rejects.toBeInstanceOf(BlobsUnavailableError);
    cutter.cutAfter(Number.POSITIVE_INFINITY);
    expect(await opened.blobs.stat(digest)).toBeNull();
    await opened.blobs.put(body(), { expectedDigest: digest });
    expect((await buffer(await opened.blobs.openVerified(digest))).equals(bytes)).toBe(true);
  });

  test('a download that is cut does not end well', async () => {
    await using opened = await openEmpty();
    const { digest, body } = large();
    await opened.blobs.put(body(), { expectedDigest: digest });
    const reading = await opened.blobs.openVerified(digest);
    const chunks = reading[Symbol.asyncIterator]();
    await chunks.next();
    await server.kill();
    await expect(Array.fromAsync(chunks)).rejects.toThrow();
    await server.start();
    expect(await opened.blobs.stat(digest)).not.toBeNull();
  });

  test.each([
    ['a bucket that is not there', (url: string) => url.replace(`@${BUCKET}`, '@nowhere')],
    ['a wrong password', (url: string) => url.replace('test%2Fsecret', 'wrong')],
  ])('%s is told as such', async (_, wrong) => {
    await using opened = await openEmpty({ url: wrong(server.bucket(BUCKET)) });
    await expect(opened.blobs.stat('a'.repeat(64))).rejects.toBeInstanceOf(BlobsUnavailableError);
    await expect(opened.blobs.put(Readable.from(['a']))).rejects.toBeInstanceOf(BlobsUnavailableError);
    await expect(opened.blobs.open('a'.repeat(64))).rejects.toBeInstanceOf(BlobsUnavailableError);
  });
});
