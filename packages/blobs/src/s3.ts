/**
 * Blobs on S3, or any server that speaks it, for several APIs: PREFIXsha256/ab/abcdef..., flat, written whole or not at all. Our own sha-256 is checked while
 * bytes go up, and again when they are read for a run; what turns out to be damaged is moved to PREFIXcorrupt/, so that it is never run and can be looked at.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BlobInfo, BlobStore } from './blob-store.ts';
import { assertDigest, isDigest } from './digest.ts';
import { diskSpace } from './disk-space.ts';
import { BlobMissingError, DigestMismatchError } from './errors.ts';
import { type LocalCache, openLocalCache } from './local-cache.ts';
import { openBucket, uploadFile } from './s3/bucket.ts';
import { parseS3Url } from './s3/place.ts';
import { verifying } from './verifying.ts';

const GIB = 1024 ** 3;

export interface S3BlobsOptions {
  /** `s3://[KEY:SECRET@]BUCKET[/PREFIX]?endpoint=...&region=...`, as `s3/place.ts` says. */
  url: string;
  /** Of this process alone: blobs that are needed as files. */
  folder: string;
  /** 1 GiB when not given. */
  cacheMaxBytes?: number;
  /** Epoch ms. */
  now?: () => number;
}

export interface S3Blobs extends BlobStore {
  close(): void;
}

/** Returns at once; the server may be away, then and later. @throws TypeError for what is no place on S3. */
export function openS3Blobs({ url, folder, cacheMaxBytes = GIB, now = Date.now }: S3BlobsOptions): S3Blobs {
  const place = parseS3Url(url);
  const bucket = openBucket(place);
  const cache = openLocalCache({ folder, maxBytes: cacheMaxBytes });
  const all = `${place.prefix}sha256/`;
  const keyOf = (digest: string): string => `${all}${digest.slice(0, 2)}/${digest}`;
  // As a lifecycle rule of the bucket may do it too; whoever starts next tries again.
  bucket.abortLeft(all, now()).catch(() => undefined);

  async function putKnown(body: Readable, digest: string): Promise<BlobInfo> {
    const counted = counting();
    const checked = verifying(digest);
    const source = body.pipe(counted).pipe(checked);
    body.on('error', error => checked.destroy(error));
    await bucket.upload(keyOf(digest), source);
    return { digest, sizeBytes: counted.sizeBytes };
  }

  async function adopt(path: string, info: BlobInfo): Promise<BlobInfo> {
    assertDigest(info.digest);
    await uploadFile(bucket, keyOf(info.digest), { path, through: verifying(info.digest) });
    await cache.take(path, info.digest);
    return info;
  }

  async function open(digest: string, range?: { start: number; end: number }): Promise<Readable> {
    if (!isDigest(digest)) throw new BlobMissingError(digest);
    if (range !== undefined && range.start >= range.end) return Readable.from([]);
    const words = range === undefined ? [] : [`bytes=${range.start}-${range.end - 1}`];
    const body = await bucket.get(keyOf(digest), ...words);
    if (body === null) throw new BlobMissingError(digest);
    return body === 'empty' ? Readable.from([]) : body;
  }

  async function openVerified(digest: string): Promise<Readable> {
    const body = await open(digest);
    const check = verifying(digest, async () => {
      await cache.forget(digest);
      await bucket.copy(keyOf(digest), `${place.prefix}corrupt/${digest}`);
      await bucket.remove(keyOf(digest));
    });
    body.on('error', error => check.destroy(error));
    check.on('close', () => body.destroy());
    return body.pipe(check);
  }

  return {
    put: async (body, { expectedDigest } = {}) => {
      if (expectedDigest !== undefined && isDigest(expectedDigest)) return putKnown(body, expectedDigest);
      const spooled = await spool(cache, body);
      try {
        if (expectedDigest !== undefined) throw new DigestMismatchError(expectedDigest, spooled.info.digest);
        return await adopt(spooled.path, spooled.info);
      } finally {
        await rm(spooled.path, { force: true });
      }
    },
    adopt,
    stat: async digest => {
      const found = isDigest(digest) ? await bucket.head(keyOf(digest)) : null;
      return found && { digest, sizeBytes: found.sizeBytes };
    },
    open,
    openVerified,
    localFile: createFetcher(cache, openVerified),
    readUrl: (digest, forMs) => {
      assertDigest(digest);
      return bucket.signedUrl(keyOf(digest), Math.ceil(forMs / 1_000));
    },
    list: async function* () {
      for await (const { key, ...info } of bucket.list(all)) {
        const digest = key.slice(key.lastIndexOf('/') + 1);
        if (isDigest(digest)) yield { digest, ...info };
      }
    },
    remove: async (digest, { unlessStoredSinceMs = Number.POSITIVE_INFINITY } = {}) => {
      if (!isDigest(digest)) return;
      const found = unlessStoredSinceMs < Number.POSITIVE_INFINITY ? await bucket.head(keyOf(digest)) : null;
      if (found !== null && found.storedAtMs >= unlessStoredSinceMs) return;
      await cache.forget(digest);
      await bucket.remove(keyOf(digest));
    },
    space: () => diskSpace(folder),
    close: bucket.close,
  };
}

/** Bytes whose digest is known only at their end wait on disk until then. */
async function spool(cache: LocalCache, body: Readable): Promise<{ path: string; info: BlobInfo }> {
  const path = cache.newPath();
  const hash = createHash('sha256');
  const counted = counting(chunk => hash.update(chunk));
  try {
    await pipeline(body, counted, createWriteStream(path, { mode: 0o600, flags: 'wx' }));
    return { path, info: { digest: hash.digest('hex'), sizeBytes: counted.sizeBytes } };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Each blob is fetched once, however many ask for it at a time. */
function createFetcher(cache: LocalCache, openVerified: (digest: string) => Promise<Readable>) {
  const fetching = new Map<string, Promise<string | null>>();

  async function fetchBlob(digest: string): Promise<string | null> {
    const path = cache.newPath();
    try {
      await pipeline(await openVerified(digest), createWriteStream(path, { mode: 0o600, flags: 'wx' }));
      await cache.take(path, digest);
      return cache.find(digest);
    } catch (error) {
      if (error instanceof BlobMissingError || error instanceof DigestMismatchError) return null;
      throw error;
    } finally {
      await rm(path, { force: true });
    }
  }

  return async (digest: string): Promise<string | null> => {
    if (!isDigest(digest)) return null;
    const found = cache.find(digest);
    if (found !== null) return found;
    const known = fetching.get(digest);
    if (known !== undefined) return known;
    const fetched = fetchBlob(digest).finally(() => fetching.delete(digest));
    fetching.set(digest, fetched);
    return fetched;
  };
}

function counting(look: (chunk: Buffer) => void = () => undefined): Transform & { sizeBytes: number } {
  const stream = new Transform({
    transform(chunk: Buffer | string, _encoding, done) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      counted.sizeBytes += bytes.length;
      look(bytes);
      done(null, bytes);
    },
  });
  const counted = Object.assign(stream, { sizeBytes: 0 });
  return counted;
}
