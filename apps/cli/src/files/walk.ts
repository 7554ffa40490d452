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
} from 'node:fs';
import { join } from 'node:path';
import { usageError } from '../failures.ts';
import { type IgnoreRules, readIgnoreRules } from './ignore.ts';
import { type FormerFile, isAsSeen, type Seen, seenOf } from './pushed-folder.ts';

export interface WalkedFile {
  /** Relative, with slashes. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha1: string;
  /** By which the next walk finds that it is unchanged. */
  readonly seen: Seen;
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
type Former = ReadonlyMap<string, FormerFile>;

export function walkFolder(root: string, former: Former = new Map()): Walked {
  const walk = walkSteps(root, former);
  let step = walk.next();
  while (step.done !== true) step = walk.next();
  return step.value;
}

/** As `walkFolder`, pausing after each folder with what was found so far: its lists grow. */
export function* walkSteps(root: string, former: Former): Generator<Walked, Walked> {
  const rules = readIgnoreRules(readIgnoreFile(root));
  const walked: Collected = { files: [], links: [], emptyFolders: [], skipped: [] };
  const hashFile = fileHasher(root, { former, startedMs: Date.now() });
  yield* walkInto(root, '', { rules, hashFile, collected: walked });
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
  hashFile(path: string): WalkedFile;
  readonly collected: Collected;
}

/** Returns whether anything below `relative` is pushed. */
function* walkInto(root: string, relative: string, walk: Walk): Generator<Walked, boolean> {
  const { rules, hashFile, collected } = walk;
  let found = false;
  for (const entry of sorted(readdirSync(`${root}/${relative}`, { withFileTypes: true }))) {
    const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const ignored = rules.ignores(entry.isDirectory() ? `${path}/` : path);
    if (ignored && (rules.isFinal || !entry.isDirectory())) continue;
    if (entry.name.includes('\ufffd'))
      throw usageError(
        `The name of ${join(root, path)} is not UTF-8, which no zip carries safely.`,
        'Rename it, or list it in .cfignore.',
      );
    if (entry.isDirectory()) {
      const below = yield* walkInto(root, path, walk);
      if (!below && !ignored) collected.emptyFolders.push(path);
      found ||= below || !ignored;
    } else {
      if (entry.isSymbolicLink()) collected.links.push({ path, target: readlinkSync(join(root, path)) });
      else if (entry.isFile()) collected.files.push(hashFile(path));
      else collected.skipped.push(path);
      found = true;
    }
  }
  yield collected;
  return found;
}

/** By code unit: the same order everywhere, whatever the locale. */
function sorted(entries: Dirent[]): Dirent[] {
  return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** @param startedMs when the walk began. */
function fileHasher(
  root: string,
  { former, startedMs }: { former: Former; startedMs: number },
): (path: string) => WalkedFile {
  return path => {
    const file = `${root}/${path}`;
    const known = former.get(path);
    const stats = known === undefined || known.ctimeMs === null ? undefined : lstatSync(file);
    return known !== undefined && stats?.isFile() && isAsSeen(stats, known)
      ? { path, mode: stats.mode & 0o777, sizeBytes: stats.size, sha1: known.sha1, seen: known }
      : readOne(file, path, startedMs);
  };
}

/** Four calls of the kernel for each file: with 20,000 of them a look at each before it is opened would take a fifth of the time. */
function readOne(file: string, path: string, startedMs: number): WalkedFile {
  // A file that became a link meanwhile is not followed; one that became a pipe is not waited for.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    const { mode, size } = stats;
    const known = { path, mode: mode & 0o777, seen: seenOf(stats, startedMs) };
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
