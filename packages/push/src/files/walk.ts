/**
 * Lists what a folder would push, each file with its SHA-1: read once, synchronously (asynchronous file calls cost four times as much: performance.md 2.4),
 * in sorted order, by content alone, so that a fresh checkout pushes like the old one. What was hashed before is not read again while the disk says that it is
 * as it was (pushed-folder.ts). Never follows a link.
 */
import { createHash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  Stats,
} from 'node:fs';
import { join } from 'node:path';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { usageError } from '../failures.ts';
import { type IgnoreRules, readIgnoreRules } from './ignore.ts';
import { isAsSeen, type Seen, seenOf } from './pushed-folder.ts';

/** With what the next walk finds by that it is unchanged. */
export interface WalkedFile extends Seen {
  /** Relative, with slashes. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Hex. */
  readonly sha1: string;
}

export interface Walked {
  readonly files: readonly WalkedFile[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  /** Folders with nothing in them that is pushed. */
  readonly emptyFolders: readonly string[];
  /** Sockets, pipes, devices: cannot be pushed. */
  readonly skipped: readonly string[];
}

/** Bigger files are hashed piece by piece. */
const PIECE_BYTES = 1024 * 1024;

/** Files of an earlier walk, by path. */
type Former = ReadonlyMap<string, WalkedFile>;

export function walkFolder(root: string, former: Former = new Map(), whither: Whither = {}): Walked {
  const walk = walkSteps(root, former, whither);
  let step = walk.next();
  while (step.done !== true) step = walk.next();
  return step.value;
}

interface Whither {
  /** Names of folders that are not looked into, and are as if they were not there. */
  readonly without?: ReadonlySet<string>;
  /** Told of each folder before it is listed; '' is the root. */
  enters?(folder: string): void;
}

/** As `walkFolder`, pausing after each folder with what was found so far: its lists grow. */
export function* walkSteps(root: string, former: Former, whither: Whither = {}): Generator<Walked, Walked> {
  const rules = readIgnoreRules(readIgnoreFile(root));
  const walked: Collected = { files: [], links: [], emptyFolders: [], skipped: [] };
  yield* walkInto(root, '', { rules, former, startedMs: Date.now(), collected: walked, whither });
  return walked;
}

function readIgnoreFile(root: string): string | null {
  try {
    return readFileSync(join(root, '.cfignore'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

interface Collected {
  files: WalkedFile[];
  links: { path: string; target: string }[];
  emptyFolders: string[];
  skipped: string[];
}

interface Walk {
  readonly rules: IgnoreRules;
  readonly former: Former;
  /** When the walk began. */
  readonly startedMs: number;
  readonly collected: Collected;
  readonly whither: Whither;
}

/** What tells a folder's entry. */
type Kind = Pick<Stats, 'isDirectory' | 'isFile' | 'isSymbolicLink'>;

/** Returns whether anything below `relative` is pushed. */
function* walkInto(root: string, relative: string, walk: Walk): Generator<Walked, boolean> {
  const { rules, collected, whither } = walk;
  let found = false;
  whither.enters?.(relative);
  for (const [name, kind] of entriesOf(`${root}/${relative}`, walk)) {
    const path = relative === '' ? name : `${relative}/${name}`;
    const isFolder = kind.isDirectory();
    const ignored = rules.ignoresEntry(isFolder ? `${path}/` : path, name);
    if (ignored && (rules.isFinal || !isFolder)) continue;
    if (isFolder && whither.without?.has(name) === true) continue;
    if (name.includes(NOT_UTF8))
      throw usageError(
        `The name of ${join(root, path)} is not UTF-8, which no zip carries safely.`,
        'Rename it, or list it in .cfignore.',
      );
    if (isFolder) {
      const below = yield* walkInto(root, path, walk);
      if (!below && !ignored) collected.emptyFolders.push(path);
      found ||= below || !ignored;
    } else {
      if (kind.isSymbolicLink()) collected.links.push({ path, target: readlinkSync(join(root, path)) });
      else if (kind.isFile()) collected.files.push(fileOf(`${root}/${path}`, path, { walk, kind }));
      else collected.skipped.push(path);
      found = true;
    }
  }
  yield collected;
  return found;
}

/**
 * Entries of a folder by code unit: the same order everywhere, whatever the locale. Where a former walk is known each is looked at anyway, so the listing need
 * not tell what it is; else that look would take a fifth of the time.
 */
function* entriesOf(folder: string, { former }: Walk): Iterable<[name: string, kind: Kind]> {
  if (former.size === 0)
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort(byName)) yield [entry.name, entry];
  // Default order: by code unit.
  else
    for (const name of readdirSync(folder).sort()) {
      const stats = lstatSync(`${folder}/${name}`, { throwIfNoEntry: false });
      if (stats !== undefined) yield [name, stats];
      else if (name.includes(NOT_UTF8)) yield [name, UNSEEN];
    }
}

const NOT_UTF8 = '\ufffd';
/** Its name leads nowhere: it is not what the disk calls it. */
const UNSEEN: Kind = { isDirectory: () => false, isFile: () => true, isSymbolicLink: () => false };

function byName(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function fileOf(file: string, path: string, { walk, kind }: { walk: Walk; kind: Kind }): WalkedFile {
  const known = walk.former.get(path);
  return known !== undefined && kind instanceof Stats && isAsSeen(kind, known)
    ? known
    : readOne(file, path, walk.startedMs);
}

/** Four calls of the kernel for each file. */
function readOne(file: string, path: string, startedMs: number): WalkedFile {
  // A file that became a link meanwhile is not followed; one that became a pipe is not waited for.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    const { mode, size } = stats;
    if (size > PUSH_LIMITS.fileMaxBytes)
      throw usageError(
        `${path} has ${Math.ceil(size / PUSH_LIMITS.fileMaxBytes)} GiB; a file of an app may have 1.`,
        'Leave it out with a line in .cfignore; keep large data where apps fetch it: a database, an object store.',
      );
    const known = { path, mode: mode & 0o777, ...seenOf(stats, startedMs) };
    const piece = Buffer.allocUnsafe(Math.min(size, PIECE_BYTES));
    const first = readSync(fd, piece);
    if (first === size) return { ...known, sizeBytes: size, sha1: hash('sha1', piece.subarray(0, size)) };
    const digest = createHash('sha1');
    let sizeBytes = 0;
    for (let count = first; count > 0; count = readSync(fd, piece)) {
      digest.update(piece.subarray(0, count));
      sizeBytes += count;
    }
    return { ...known, sizeBytes, sha1: digest.digest('hex') };
  } finally {
    closeSync(fd);
  }
}
