/**
 * Lists what a folder would push, each file with its SHA-1: read once, synchronously (asynchronous file calls cost four times as much: performance.md 2.4),
 * in sorted order, by content alone, so that a fresh checkout pushes like the old one. Never follows a link.
 */
import { createHash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { join } from 'node:path';
import { usageError } from '../failures.ts';
import { type IgnoreRules, readIgnoreRules } from './ignore.ts';

export interface WalkedFile {
  /** Relative, with slashes. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
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

export function walkFolder(root: string): Walked {
  const walk = walkSteps(root);
  let step = walk.next();
  while (step.done !== true) step = walk.next();
  return step.value;
}

/** As `walkFolder`, pausing after each folder with what was found so far: its lists grow. */
export function* walkSteps(root: string): Generator<Walked, Walked> {
  const rules = readIgnoreRules(readIgnoreFile(root));
  const walked: Collected = { files: [], links: [], emptyFolders: [], skipped: [] };
  yield* walkInto(root, '', rules, walked);
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

/** Returns whether anything below `relative` is pushed. */
function* walkInto(
  root: string,
  relative: string,
  rules: IgnoreRules,
  collected: Collected,
): Generator<Walked, boolean> {
  let found = false;
  for (const entry of sorted(readdirSync(join(root, relative), { withFileTypes: true }))) {
    const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const ignored = rules.ignores(entry.isDirectory() ? `${path}/` : path);
    if (ignored && (rules.isFinal || !entry.isDirectory())) continue;
    if (entry.name.includes('\ufffd'))
      throw usageError(
        `The name of ${join(root, path)} is not UTF-8, which no zip carries safely.`,
        'Rename it, or list it in .cfignore.',
      );
    if (entry.isDirectory()) {
      const below = yield* walkInto(root, path, rules, collected);
      if (!below && !ignored) collected.emptyFolders.push(path);
      found ||= below || !ignored;
    } else {
      if (entry.isSymbolicLink()) collected.links.push({ path, target: readlinkSync(join(root, path)) });
      else if (entry.isFile()) collected.files.push(readOne(root, path));
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

/** Four calls of the kernel for each file: with 20,000 of them a look at each before it is opened would take a fifth of the time. */
function readOne(root: string, path: string): WalkedFile {
  // A file that became a link meanwhile is not followed; one that became a pipe is not waited for.
  const fd = openSync(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, size } = fstatSync(fd);
    const piece = Buffer.allocUnsafe(Math.min(size, PIECE_BYTES));
    const first = readSync(fd, piece);
    if (first === size)
      return { path, mode: mode & 0o777, sizeBytes: size, sha1: hash('sha1', piece.subarray(0, size)) };
    const digest = createHash('sha1');
    let sizeBytes = 0;
    for (let count = first; count > 0; count = readSync(fd, piece)) {
      digest.update(piece.subarray(0, count));
      sizeBytes += count;
    }
    return { path, mode: mode & 0o777, sizeBytes, sha1: digest.digest('hex') };
  } finally {
    closeSync(fd);
  }
}
