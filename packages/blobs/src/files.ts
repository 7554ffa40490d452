/**
 * Blobs as files: FOLDER/ab/cdef..., written beside and renamed, file and folders fsynced before `put` resolves. What turns out to be damaged is set
 * aside under FOLDER/corrupt, so that it is never run and can be looked at. Several processes may open a folder that all of them see.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { copyFile, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { BlobInfo, BlobStore } from './blob-store.ts';
import { assertDigest, isDigest } from './digest.ts';
import { diskSpace } from './disk-space.ts';
import { BlobMissingError, DigestMismatchError } from './errors.ts';
import { verifying } from './verifying.ts';

const READ_BYTES = 256 * 1024;
/** An upload takes 900 s at most, a build as long (failure-rules.md section 4). */
const LEFT_MS = 3_600_000;

/** Opens a folder of blobs, made when missing; what a killed writer left half-way goes away. */
export function openFileBlobs({ folder }: { folder: string }): BlobStore {
  const temporary = join(folder, 'tmp');
  const quarantine = join(folder, 'corrupt');
  for (const made of [temporary, quarantine]) mkdirSync(made, { recursive: true });
  sweepLeft(temporary);
  const pathOf = (digest: string): string => join(folder, digest.slice(0, 2), digest.slice(2));

  /** Renaming over an equal blob is right too: it may be damaged, and its time is new for the sweeper. */
  async function publish(from: string, info: BlobInfo): Promise<BlobInfo> {
    const target = pathOf(info.digest);
    const made = await mkdir(dirname(target), { recursive: true });
    await rename(from, target);
    await syncPath(dirname(target));
    if (made !== undefined) await syncPath(folder);
    return info;
  }

  /** From another file system. */
  async function copyIn(from: string, info: BlobInfo): Promise<BlobInfo> {
    const path = join(temporary, randomUUID());
    try {
      await copyFile(from, path);
      await syncPath(path);
      await publish(path, info);
      await rm(from);
      return info;
    } finally {
      await rm(path, { force: true });
    }
  }

  async function openFile(digest: string): Promise<FileHandle> {
    const handle = isDigest(digest) ? await open(pathOf(digest), 'r').catch(whenMissing) : null;
    if (handle === null) throw new BlobMissingError(digest);
    return handle;
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
      assertDigest(info.digest);
      await syncPath(path);
      try {
        return await publish(path, info);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
        return await copyIn(path, info);
      }
    },
    stat: async digest => {
      const found = isDigest(digest) ? await stat(pathOf(digest)).catch(whenMissing) : null;
      return found === null ? null : { digest, sizeBytes: found.size };
    },
    open: async (digest, range) => {
      const handle = await openFile(digest);
      if (range === undefined) return handle.createReadStream({ highWaterMark: READ_BYTES });
      if (range.start < range.end)
        return handle.createReadStream({ highWaterMark: READ_BYTES, start: range.start, end: range.end - 1 });
      await handle.close();
      return Readable.from([]);
    },
    openVerified: async digest => {
      const file = (await openFile(digest)).createReadStream({ highWaterMark: READ_BYTES });
      const check = verifying(digest, async () => {
        await rename(pathOf(digest), join(quarantine, digest));
      });
      file.on('error', error => check.destroy(error));
      check.on('close', () => file.destroy());
      return file.pipe(check);
    },
    localFile: async digest => {
      const found = isDigest(digest) ? await stat(pathOf(digest)).catch(whenMissing) : null;
      return found === null ? null : pathOf(digest);
    },
    readUrl: async () => null,
    list: () => listBlobs(folder),
    remove: async (digest, { unlessStoredSinceMs = Number.POSITIVE_INFINITY } = {}) => {
      const found = isDigest(digest) ? await stat(pathOf(digest)).catch(whenMissing) : null;
      if (found !== null && found.mtimeMs < unlessStoredSinceMs) await rm(pathOf(digest), { force: true });
    },
    space: () => diskSpace(folder),
  };
}

/** What a killed writer has left; that of others who write at this moment is younger. */
function sweepLeft(folder: string): void {
  for (const name of readdirSync(folder)) {
    const age = Date.now() - (statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > LEFT_MS) rmSync(join(folder, name), { force: true, recursive: true });
  }
}

async function* listBlobs(folder: string): AsyncGenerator<BlobInfo & { storedAtMs: number }> {
  for (const prefix of (await readdir(folder)).filter(name => /^[0-9a-f]{2}$/.test(name)))
    for (const name of await readdir(join(folder, prefix))) {
      const found = await stat(join(folder, prefix, name)).catch(whenMissing);
      if (found !== null && isDigest(prefix + name))
        yield { digest: prefix + name, sizeBytes: found.size, storedAtMs: found.mtimeMs };
    }
}

async function writeHashed(path: string, body: Readable): Promise<BlobInfo> {
  const hash = createHash('sha256');
  const handle = await open(path, 'wx', 0o600);
  let sizeBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer | string>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      hash.update(bytes);
      sizeBytes += bytes.length;
      await handle.writeFile(bytes);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { digest: hash.digest('hex'), sizeBytes };
}

/** Of a file or a folder. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
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
