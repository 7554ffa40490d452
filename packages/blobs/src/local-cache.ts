/**
 * Blobs of a server that are needed as files: packs that were just made, or are the base of the next push. Of this process alone, and swept at its start. The
 * least used go when it is over its budget; none that was used a moment ago, since somebody may be reading it.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** An upload, which reads them, takes 900 s at most (failure-rules.md section 4). */
const IN_USE_MS = 900_000;

export interface LocalCache {
  /** Null when it is not there. */
  find(digest: string): string | null;
  /** Takes a file over by rename; one of another file system is removed instead. */
  take(path: string, digest: string): Promise<void>;
  forget(digest: string): Promise<void>;
  /** A file that is not there yet. */
  newPath(): string;
}

/** @param monotonic ms of a clock that never jumps. */
export function openLocalCache({
  folder,
  maxBytes,
  monotonic = () => performance.now(),
}: {
  folder: string;
  maxBytes: number;
  monotonic?: () => number;
}): LocalCache {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  /** The least used first. */
  const files = new Map<string, { sizeBytes: number; usedMs: number }>();
  let total = 0;
  const pathOf = (digest: string): string => join(folder, digest);

  async function forget(digest: string): Promise<void> {
    total -= files.get(digest)?.sizeBytes ?? 0;
    files.delete(digest);
    await rm(pathOf(digest), { force: true });
  }

  function use(digest: string, sizeBytes: number): void {
    files.delete(digest);
    files.set(digest, { sizeBytes, usedMs: monotonic() });
  }

  return {
    find: digest => {
      const file = files.get(digest);
      if (file === undefined) return null;
      use(digest, file.sizeBytes);
      return pathOf(digest);
    },
    take: async (path, digest) => {
      try {
        const { size } = await stat(path);
        await rename(path, pathOf(digest));
        total += size - (files.get(digest)?.sizeBytes ?? 0);
        use(digest, size);
      } catch {
        await rm(path, { force: true }); // On another file system: it is fetched when it is needed.
      }
      for (const [oldest, { usedMs }] of files) {
        if (total <= maxBytes || monotonic() - usedMs < IN_USE_MS) break;
        await forget(oldest);
      }
    },
    forget,
    newPath: () => join(folder, `new-${randomUUID()}`),
  };
}
