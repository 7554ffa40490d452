/**
 * An older pack as the beginning of a new one: what stays of it is copied as it lies, range by range, with its part of the directory. Of 20,000 files of which
 * one has changed two ranges are copied, and no entry is looked into: the pack's own checksum is, so its directory is what our writer wrote.
 *
 * Files and folders only. Where a link leads depends on the others: links come with each upload, and are judged together.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { takeTurns } from './turns.ts';
import { type FileWindow, openWindow } from './window.ts';
import { type OwnEntry, readOwnDirectory, shiftRecords } from './zip-own.ts';
import type { ArchiveRules } from './zip-read.ts';
import type { ZipWriter } from './zip-write.ts';

export interface BasePack {
  /** Where it lies; written by `openZipWriter`. */
  file: string;
  /** sha-256, hex. */
  digest: string;
  /** Paths of files and folders that do not stay. */
  without: ReadonlySet<string>;
}

/** Data that lay at `from` or behind, before `until`, lies `shift` bytes further ahead in the new pack. */
export interface Move {
  from: number;
  until: number;
  shift: number;
}

/** The older pack cannot be started from: everything has to be sent or matched. */
export class BaseUnusableError extends Error {
  override readonly name = 'BaseUnusableError';
  /** Gone, or not what was stored; false: it has no file of a name that was to be left out. */
  readonly isDamaged: boolean;
  constructor(message: string, { isDamaged, cause }: { isDamaged: boolean; cause?: unknown }) {
    super(message, { cause });
    this.isDamaged = isDamaged;
  }
}

/** Entries that follow one another, in the old pack as in the new one. */
interface Run {
  readonly from: number;
  until: number;
  readonly recordsFrom: number;
  recordsUntil: number;
  entries: number;
}

/** Into a writer that has nothing yet. @throws BaseUnusableError; what `rules` throw. */
export async function copyBase(writer: ZipWriter, base: BasePack, rules: ArchiveRules): Promise<Move[]> {
  const fd = openBase(base);
  try {
    const file = openWindow(fd);
    await requireWhole(file, base.digest);
    const { records, entries } = readOwnDirectory(file);
    const runs = await runsOf(entries, base, rules);
    return await copyRuns(writer, { file, records, runs });
  } finally {
    closeSync(fd);
  }
}

function openBase({ file }: BasePack): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new BaseUnusableError('The package to start from is gone.', { isDamaged: true, cause: error });
  }
}

async function requireWhole(file: FileWindow, digest: string): Promise<void> {
  if (await hasDigest(file, digest)) return;
  throw new BaseUnusableError('The package to start from is damaged.', { isDamaged: true });
}

/** One checksum over all of a pack. */
export async function hasDigest(file: FileWindow, digest: string): Promise<boolean> {
  const turns = takeTurns();
  const sum = createHash('sha256');
  for (const piece of file.pieces(0, file.sizeBytes)) {
    sum.update(piece);
    await turns();
  }
  return sum.digest('hex') === digest;
}

async function runsOf(entries: readonly OwnEntry[], { without }: BasePack, rules: ArchiveRules): Promise<Run[]> {
  const turns = takeTurns();
  const left = new Set(without);
  const runs: Run[] = [];
  let open: Run | null = null;
  for (const entry of entries) {
    await turns();
    const stays = entry.kind !== 'link' && !left.delete(entry.path);
    if (!stays) {
      open = null;
      continue;
    }
    rules.add(entry);
    if (open === null) {
      open = { ...entry, entries: 0 };
      runs.push(open);
    }
    open.until = entry.until;
    open.recordsUntil = entry.recordsUntil;
    open.entries++;
  }
  const [unknown] = left;
  if (unknown !== undefined)
    throw new BaseUnusableError(`The package to start from has no file or folder "${unknown}".`, { isDamaged: false });
  return runs;
}

async function copyRuns(
  writer: ZipWriter,
  { file, records, runs }: { file: FileWindow; records: Buffer; runs: readonly Run[] },
): Promise<Move[]> {
  const turns = takeTurns();
  const moves: Move[] = [];
  let at = 0;
  for (const { from, until, recordsFrom, recordsUntil, entries } of runs) {
    for (const piece of file.pieces(from, until - from)) {
      writer.writeNow(piece);
      await turns();
    }
    const shift = from - at;
    at += until - from;
    writer.adopt(shiftRecords(records.subarray(recordsFrom, recordsUntil), shift), entries);
    moves.push({ from, until, shift });
  }
  return moves;
}
