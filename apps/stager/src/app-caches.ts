/**
 * What an app's builds keep for the next one: packages of npm, build caches. A folder of the build uid for each app, never read by anyone else; lost with
 * the machine, and thrown away rather than grown.
 */
import { chownSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface CacheLimits {
  /** Of one app, after its build. */
  appMaxBytes: number;
  /** Of one app, while it builds: a build that writes more is stopped, since no quota stands behind a cache. */
  buildingMaxBytes: number;
  /** Of all apps: the least recently used go first. */
  allMaxBytes: number;
  /** Epoch ms. */
  now(): number;
}
const LIMITS: CacheLimits = {
  appMaxBytes: 1024 ** 3,
  buildingMaxBytes: 3 * 1024 ** 3,
  allMaxBytes: 5 * 1024 ** 3,
  now: Date.now,
};

/** Begins the name of the file that says which generation a cache is of. */
const MARK = '.generation-';

export interface AppCaches {
  /** The app's folder, made if need be; empty when it was of another generation. */
  open(appGuid: string, of: { uid: number | null; generation: number }): string;
  isTooLarge(appGuid: string): Promise<boolean>;
  /** After a build: an app's cache that has grown too large is thrown away. */
  trim(appGuid: string): Promise<void>;
  /** At start: the oldest go until the rest is small enough. */
  trimAll(): Promise<void>;
}

export function openAppCaches(folder: string, limits: Partial<CacheLimits> = {}): AppCaches {
  const { appMaxBytes, buildingMaxBytes, allMaxBytes, now } = { ...LIMITS, ...limits };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const folderOf = (appGuid: string): string => join(folder, encodeURIComponent(appGuid));
  /** Beside the folder, which is the build's. */
  const markOf = (appGuid: string): string => join(folder, `${MARK}${encodeURIComponent(appGuid)}`);
  const generationOf = (appGuid: string): number => {
    try {
      return Number(readFileSync(markOf(appGuid), 'utf8'));
    } catch {
      return 0; // None was ever thrown away here.
    }
  };
  const remove = (path: string): void => rmSync(path, { recursive: true, force: true });
  return {
    open: (appGuid, { uid, generation }) => {
      const path = folderOf(appGuid);
      if (generationOf(appGuid) !== generation) {
        remove(path);
        writeFileSync(markOf(appGuid), String(generation));
      }
      mkdirSync(path, { recursive: true, mode: 0o700 });
      if (uid !== null) chownSync(path, uid, uid);
      const used = new Date(now());
      utimesSync(path, used, used);
      return path;
    },
    isTooLarge: async appGuid => (await sizeOf(folderOf(appGuid))) > buildingMaxBytes,
    trim: async appGuid => {
      if ((await sizeOf(folderOf(appGuid))) > appMaxBytes) remove(folderOf(appGuid));
    },
    trimAll: async () => {
      const found = await Promise.all(
        (await readdir(folder))
          .filter(name => !name.startsWith(MARK))
          .map(async name => {
            const path = join(folder, name);
            return { path, usedMs: (await stat(path)).mtimeMs, sizeBytes: await sizeOf(path) };
          }),
      );
      found.sort((a, b) => b.usedMs - a.usedMs);
      let total = 0;
      for (const { path, sizeBytes } of found) {
        total += sizeBytes;
        if (total > allMaxBytes) remove(path);
      }
    },
  };
}

/** Bytes on disk of all files below. Links are not followed: they are other people's. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries)
    if (entry.isFile())
      bytes += ((await stat(join(entry.parentPath, entry.name)).catch(() => null))?.blocks ?? 0) * 512;
  return bytes;
}
