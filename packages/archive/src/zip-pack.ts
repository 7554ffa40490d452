/**
 * One pack of all files of a package: the entries of the uploaded zip, and those that were matched, copied still deflated from older packs (foundations.md
 * 10). Written to a file in one pass; the caller makes it durable. Each file's place is told, so that the next push may copy it from here.
 *
 * Every byte is looked at on its way: an uploaded entry that is not what its zip says, or a matched one that is not what was promised, ends the pack.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { takeTurns } from './turns.ts';
import { checkedLinks } from './unzip.ts';
import { type FileWindow, openWindow } from './window.ts';
import { type BasePack, copyBase, hasDigest, type Move } from './zip-base.ts';
import { readContent } from './zip-content.ts';
import { type ArchiveRules, archiveRules, dataOffset, readEntries, safePath, type ZipEntry } from './zip-read.ts';
import { openZipWriter, type ZipWriter } from './zip-write.ts';

/** A file that the organization has uploaded before: where it lies, still deflated. */
export interface MatchedEntry {
  /** As the client wants it; judged here like the name of any entry. */
  path: string;
  kind: 'file';
  mode: number;
  /** The older pack: where it lies, and what it is called. */
  pack: { file: string; digest: string };
  dataOffset: number;
  compressedBytes: number;
  method: number;
  sizeBytes: number;
  crc32: number;
  sha1: string;
  sha256: string;
}

/** A file of the pack that was written. */
export interface PackedFile {
  path: string;
  /** It came with the upload; false: it was matched. */
  isNew: boolean;
  sha1: string;
  sha256: string;
  sizeBytes: number;
  dataOffset: number;
  compressedBytes: number;
  method: number;
  crc32: number;
}

export interface Pack {
  /** sha-256 of the zip, hex. */
  digest: string;
  sizeBytes: number;
  /** What was sent and what was matched: non-empty files only, others are never matched. */
  files: PackedFile[];
  /** Where the data of the pack that it starts from lies now. */
  moves: Move[];
}

/** What is kept of a matched file is gone or damaged: the file has to be sent, and the pack must not be offered again. */
export class MatchLostError extends Error {
  override readonly name = 'MatchLostError';
  /** Of the older pack. */
  readonly digest: string;
  constructor({ path, pack }: MatchedEntry, options: { cause: unknown }) {
    const lost = `The file "${path}" was matched, but what is kept of it cannot be used.`;
    super(`${lost} Push again: it will be sent.`, options);
    this.digest = pack.digest;
  }
}

export interface PackOptions {
  /** A pack of ours that stays but for some files. */
  base?: BasePack | null;
  /** The uploaded zip; null: every file was matched. */
  upload: string | null;
  matched: readonly MatchedEntry[];
  /** File to write; it must not be there. Of no use when this throws. */
  target: string;
  /** Of all files together. */
  unpackedMaxBytes: number;
}

/** @throws ArchiveRefusedError naming the entry and the rule, MatchLostError, BaseUnusableError; errors of the disk as they are. */
export async function assemblePack(options: PackOptions): Promise<Pack> {
  const { base = null, upload, target, unpackedMaxBytes } = options;
  const matched = options.matched.map(entry => {
    const path = safePath(entry.path);
    return path === entry.path ? entry : { ...entry, path };
  });
  // All are one archive: the same rules hold over them together.
  const rules = archiveRules({ unpackedMaxBytes });
  const writer = openZipWriter(target);
  try {
    const moves = base === null ? [] : await copyBase(writer, base, rules);
    for (const entry of matched) rules.add(entry);
    const uploaded = upload === null ? [] : await copyUploaded(writer, upload, rules);
    const copied = await copyMatched(writer, matched);
    return { ...writer.finish(), files: uploaded.concat(copied), moves };
  } finally {
    writer.close();
  }
}

async function copyUploaded(writer: ZipWriter, upload: string, rules: ArchiveRules): Promise<PackedFile[]> {
  const fd = openSync(upload, 'r');
  const turns = takeTurns();
  try {
    const file = openWindow(fd);
    const entries = await readEntries(file, rules);
    await checkedLinks(file, entries);
    const files: PackedFile[] = [];
    for (const entry of entries) {
      await turns();
      const start = dataOffset(file, entry);
      const [sha1 = '', sha256 = ''] = await sumsOf(file, entry, { start, names: ['sha1', 'sha256'] });
      const place = await copyEntry(writer, file, { entry, start, turns });
      if (entry.kind === 'file' && entry.sizeBytes > 0)
        files.push(packedFile({ ...entry, sha1, sha256 }, { isNew: true, dataOffset: place }));
    }
    return files;
  } finally {
    closeSync(fd);
  }
}

async function copyMatched(writer: ZipWriter, matched: readonly MatchedEntry[]): Promise<PackedFile[]> {
  const files: PackedFile[] = [];
  const packs = Map.groupBy(matched, ({ pack }) => pack.digest);
  // Neighbours in an old pack are read one after the other.
  for (const [, entries] of [...packs].sort(([a], [b]) => (a < b ? -1 : 1)))
    await copyFrom(
      writer,
      entries.sort((a, b) => a.dataOffset - b.dataOffset),
      files,
    );
  return files;
}

/** All from one older pack, which may have been swept or damaged since: what is handed on is what was promised. */
async function copyFrom(writer: ZipWriter, entries: readonly MatchedEntry[], files: PackedFile[]): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const turns = takeTurns();
  let at = first;
  let fd: number | null = null;
  try {
    fd = openSync(first.pack.file, 'r');
    const file = openWindow(fd);
    const isWhole = await isSound(file, entries);
    for (const entry of entries) {
      await turns();
      at = entry;
      if (!isWhole) await checkContent(file, entry);
      const place = await copyEntry(writer, file, { entry, start: entry.dataOffset, turns });
      files.push(packedFile(entry, { isNew: false, dataOffset: place }));
    }
  } catch (error) {
    const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isGone || error instanceof ArchiveRefusedError) throw new MatchLostError(at, { cause: error });
    throw error;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** When so much of a pack is wanted, one checksum over all of it costs less than inflating each entry to look at its own. */
const WHOLE_SHARE = 1 / 8;

/** True when the pack is known to be sound as a whole; false: each entry is to be looked at. @throws ArchiveRefusedError when it is damaged. */
async function isSound(file: FileWindow, entries: readonly MatchedEntry[]): Promise<boolean> {
  const wanted = entries.reduce((sum, { compressedBytes }) => sum + compressedBytes, 0);
  if (wanted < file.sizeBytes * WHOLE_SHARE) return false;
  if (await hasDigest(file, entries[0]?.pack.digest ?? '')) return true;
  throw new ArchiveRefusedError('(pack)', 'is not what was stored');
}

async function checkContent(file: FileWindow, entry: MatchedEntry): Promise<void> {
  const [sha256] = await sumsOf(file, entry, { start: entry.dataOffset, names: ['sha256'] });
  if (sha256 !== entry.sha256) throw new ArchiveRefusedError(entry.path, 'is not what was stored');
}

type Content = Parameters<typeof readContent>[1];

/** Checksums of what comes out, hex, in the order of `names`. */
async function sumsOf(
  file: FileWindow,
  entry: Content,
  { start, names }: { start: number; names: readonly string[] },
): Promise<string[]> {
  let sums: string[] = [];
  const running = new Map<string, Hash>();
  const take = (piece: Buffer): void => {
    // Most files are one piece, and sums in one shot cost half.
    if (piece.length === entry.sizeBytes) sums = names.map(name => hash(name, piece));
    else for (const name of names) running.set(name, (running.get(name) ?? createHash(name)).update(piece));
  };
  await readContent(file, entry, { start, take });
  return running.size === 0 ? sums : names.map(name => running.get(name)?.digest('hex') ?? '');
}

/** Entries up to here are served from the window, several by one read. */
const WINDOWED_BYTES = 128 * 1024;

/** Still deflated. Returns where its data lies in the new pack. */
async function copyEntry(
  writer: ZipWriter,
  file: FileWindow,
  { entry, start, turns }: { entry: Omit<ZipEntry, 'offset'>; start: number; turns(): Promise<void> },
): Promise<number> {
  const { compressedBytes } = entry;
  const place = writer.begin(entry);
  if (compressedBytes <= WINDOWED_BYTES) {
    writer.write(file.read(start, compressedBytes));
    return place;
  }
  for (const piece of file.pieces(start, compressedBytes)) {
    writer.writeNow(piece);
    await turns();
  }
  return place;
}

type Known = Omit<PackedFile, 'isNew' | 'dataOffset'>;

function packedFile(
  { path, sha1, sha256, sizeBytes, compressedBytes, method, crc32 }: Known,
  { isNew, dataOffset }: { isNew: boolean; dataOffset: number },
): PackedFile {
  return { path, isNew, sha1, sha256, sizeBytes, dataOffset, compressedBytes, method, crc32 };
}
