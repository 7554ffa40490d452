/**
 * Blobs as files: FOLDER/ab/cdef..., written beside and renamed, file and folder fsynced before `put` resolves. What turns out to be damaged is set aside
 * under FOLDER/corrupt, so that it is never run and can be looked at.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import type { BlobInfo, BlobStore } from './blob-store.ts';
import { BlobMissingError, DigestMismatchError } from './errors.ts';

/** Opens a folder of blobs; what a killed writer left half-way goes away. */
export function openFileBlobs({ folder }: { folder: string }): BlobStore {
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary, { recursive: true });
  for (const name of readdirSync(temporary)) rmSync(join(temporary, name), { force: true });
  const pathOf = (digest: string): string => join(folder, digest.slice(0, 2), digest.slice(2));

  async function publish(from: string, info: BlobInfo): Promise<BlobInfo> {
    const target = pathOf(info.digest);
    await mkdir(dirname(target), { recursive: true });
    await rename(from, target);
    await syncFolder(dirname(target));
    return info;
  }

  async function statBlob(digest: string): Promise<BlobInfo | null> {
    const found = await stat(pathOf(digest)).catch(whenMissing);
    return found === null ? null : { digest, sizeBytes: found.size };
  }

  return {
    put: async (body, { expectedDigest } = {}) => {
      const path = join(temporary, randomUUID());
      try {
        const info = await writeHashed(path, body);
        if (expectedDigest !== undefined && info.digest !== expectedDigest)
          throw new DigestMismatchError(expectedDigest, info.digest);
        return await publish(path, info);
      } finally {
        await rm(path, { force: true });
      }
    },
    adopt: async (path, info) => {
      const handle = await open(path, 'r');
      await handle.sync();
      await handle.close();
      return publish(path, info);
    },
    stat: statBlob,
    open: async (digest, range) => {
      if ((await statBlob(digest)) === null) throw new BlobMissingError(digest);
      return createReadStream(pathOf(digest), range === undefined ? {} : { start: range.start, end: range.end - 1 });
    },
    openVerified: async digest => {
      if ((await statBlob(digest)) === null) throw new BlobMissingError(digest);
      const setAside = async (): Promise<void> => {
        await mkdir(join(folder, 'corrupt'), { recursive: true });
        await rename(pathOf(digest), join(folder, 'corrupt', digest)).catch(whenMissing);
      };
      const file = createReadStream(pathOf(digest), { highWaterMark: 256 * 1024 });
      const check = verifying(digest, setAside);
      file.on('error', error => check.destroy(error));
      check.on('close', () => file.destroy());
      return file.pipe(check);
    },
    localPath: pathOf,
    async *list() {
      for (const prefix of (await readdir(folder)).filter(name => /^[0-9a-f]{2}$/.test(name)))
        for (const name of await readdir(join(folder, prefix))) {
          const found = await stat(join(folder, prefix, name)).catch(whenMissing);
          if (found !== null) yield { digest: prefix + name, sizeBytes: found.size, storedAtMs: found.mtimeMs };
        }
    },
    remove: async digest => rm(pathOf(digest), { force: true }),
    space: async () => {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
  };
}

async function writeHashed(path: string, body: Readable): Promise<BlobInfo> {
  const hash = createHash('sha256');
  const handle = await open(path, 'wx', 0o600);
  let sizeBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      await handle.writeFile(chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { digest: hash.digest('hex'), sizeBytes };
}

/** Passes bytes on, holding one chunk back: the last one goes out only when the whole is what it should be. */
function verifying(digest: string, setAside: () => Promise<void>): Transform {
  const hash = createHash('sha256');
  let held: Buffer | null = null;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      const ready = held;
      held = chunk;
      done(null, ready ?? undefined);
    },
    flush(done) {
      const actual = hash.digest('hex');
      if (actual === digest) return done(null, held ?? undefined);
      setAside().then(
        () => done(new DigestMismatchError(digest, actual)),
        () => done(new DigestMismatchError(digest, actual)),
      );
    },
  });
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function whenMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
