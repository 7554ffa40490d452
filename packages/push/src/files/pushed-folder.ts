/**
 * What a folder was when an app was pushed from it last: for each file its SHA-1 with what the disk said of it, and the package that the server made. So the
 * next push opens only files that the disk says have changed, and sends only what differs from that package. One file for each folder, app and platform, below
 * the CLI's own folder. A cache: what is missing or damaged of it is found out anew.
 *
 * A file is taken as unchanged when size, times and inode are the same, as git does; and only when it had been left alone for a while as it was hashed, since
 * two writes within one tick of the disk's clock look alike. The ctime cannot be set by a program, so a restored mtime deceives nobody.
 */
import { hash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Walked, WalkedFile } from './walk.ts';

/** What the disk said of a file when it was hashed. */
export interface Seen {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  /** Null: too young then to tell its next change by. */
  readonly ctimeMs: number | null;
  readonly inode: number;
}

export interface FormerPackage {
  readonly guid: string;
  readonly checksum: string;
  readonly appGuid: string;
}

export interface PushedFolder {
  /** Null: made by a server that takes no changes. */
  readonly package: FormerPackage | null;
  /** By path. */
  readonly files: ReadonlyMap<string, WalkedFile>;
  readonly emptyFolders: readonly string[];
}

/** The coarsest clock of a disk in use (FAT: 2 s), and some. */
const SETTLED_MS = 2_500;
/** A folder that is not pushed for so long is forgotten. */
const KEPT_MS = 90 * 24 * 3_600_000;
const VERSION = 1;

/** @param startedMs before the first file was looked at. */
export function seenOf({ size, mtimeMs, ctimeMs, ino }: Stats, startedMs: number): Seen {
  return { sizeBytes: size, mtimeMs, ctimeMs: ctimeMs + SETTLED_MS < startedMs ? ctimeMs : null, inode: ino };
}

export function isAsSeen({ size, mtimeMs, ctimeMs, ino }: Stats, former: Seen): boolean {
  return former.ctimeMs === ctimeMs && former.mtimeMs === mtimeMs && former.sizeBytes === size && former.inode === ino;
}

export interface FolderMemory {
  /** Null: never pushed, or forgotten. */
  recall(): PushedFolder | null;
  remember(walked: Walked, made: FormerPackage | null): void;
}

/** `folder` absolute; `place`: what else tells one push from another. */
export function openFolderMemory(
  home: string,
  { folder, place }: { folder: string; place: readonly string[] },
): FolderMemory {
  const store = join(home, 'pushed');
  const file = join(store, `${hash('sha256', JSON.stringify([folder, ...place]))}.json`);
  return {
    recall: () => {
      try {
        return read(JSON.parse(readFileSync(file, 'utf8')));
      } catch {
        return null; // None, or a damaged one: all is looked at, and the next push writes it anew.
      }
    },
    remember: (walked, made) => {
      const temporary = `${file}.${process.pid}`;
      try {
        mkdirSync(store, { recursive: true, mode: 0o700 });
        forgetOld(store);
        writeFileSync(temporary, JSON.stringify(written(walked, made)), { mode: 0o600 });
        renameSync(temporary, file);
      } catch {
        // A full or read-only disk: the push has succeeded, the next one only takes longer.
        if (existsSync(temporary)) rmSync(temporary);
      }
    },
  };
}

function forgetOld(store: string): void {
  for (const name of readdirSync(store)) {
    const found = statSync(join(store, name), { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > KEPT_MS) rmSync(join(store, name), { force: true });
  }
}

/** Columns: 20,000 rows as objects would take three times as long to read. */
const COLUMNS = ['paths', 'modes', 'sha1s', 'sizes', 'mtimes', 'ctimes', 'inodes'] as const;
type Columns = Record<(typeof COLUMNS)[number], unknown[]>;

const head = z.object({
  version: z.literal(VERSION),
  package: z.object({ guid: z.string(), checksum: z.string(), appGuid: z.string() }).nullable(),
  emptyFolders: z.array(z.string()),
});

function written({ files, emptyFolders }: Walked, made: FormerPackage | null): z.input<typeof head> & Columns {
  return {
    version: VERSION,
    package: made,
    emptyFolders: [...emptyFolders],
    paths: files.map(({ path }) => path),
    modes: files.map(({ mode }) => mode),
    sha1s: files.map(({ sha1 }) => sha1),
    sizes: files.map(({ sizeBytes }) => sizeBytes),
    mtimes: files.map(({ mtimeMs }) => mtimeMs),
    ctimes: files.map(({ ctimeMs }) => ctimeMs),
    inodes: files.map(({ inode }) => inode),
  };
}

/** The columns' values are only compared, so 140,000 of them are not looked at one by one. @throws when it is not what was written. */
function read(value: unknown): PushedFolder {
  const { package: made, emptyFolders } = head.parse(value);
  const columns = value as Columns;
  const { length } = columns.paths;
  for (const name of COLUMNS) if (columns[name].length !== length) throw new Error(`${name} is cut short`);
  const files = new Map<string, WalkedFile>();
  for (let at = 0; at < length; at++) {
    const path = columns.paths[at] as string;
    files.set(path, {
      path,
      mode: columns.modes[at] as number,
      sha1: columns.sha1s[at] as string,
      sizeBytes: columns.sizes[at] as number,
      mtimeMs: columns.mtimes[at] as number,
      ctimeMs: columns.ctimes[at] as number | null,
      inode: columns.inodes[at] as number,
    });
  }
  return { package: made, files, emptyFolders };
}
