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
import { readContent } from './zip-content.ts';
import { type ArchiveRules, archiveRules, dataOffset, readEntries, safePath, type ZipEntry } from './zip-read.ts';
import { openZipWriter, type ZipWriter } from './zip-write.ts';

/** A file that the organization has uploaded before: where it lies, still deflated. */
export interface MatchedEntry {
  /** As the client wants it; judged here like the name of any entry. */
  path: string;
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
  /** Non-empty files only: others are never matched. */
  files: PackedFile[];
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
  /** The uploaded zip; null: every file was matched. */
  upload: string | null;
  matched: readonly MatchedEntry[];
  /** File to write; it must not be there. Of no use when this throws. */
  target: string;
  /** Of all files together. */
  unpackedMaxBytes: number;
}

/** @throws ArchiveRefusedError naming the entry and the rule, MatchLostError; errors of the disk as they are. */
export async function assemblePack(options: PackOptions): Promise<Pack> {
  const { upload, target, unpackedMaxBytes } = options;
  const matched = options.matched.map(entry => ({ ...entry, path: safePath(entry.path) }));
  // Both lists are one archive: the same rules hold over both.
  const rules = archiveRules({ unpackedMaxBytes });
  for (const entry of matched) rules.add({ ...entry, kind: 'file' });
  const writer = openZipWriter(target);
  try {
    const uploaded = upload === null ? [] : await copyUploaded(writer, upload, rules);
    const copied = await copyMatched(writer, matched);
    return { ...writer.finish(), files: uploaded.concat(copied) };
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
      const place = copyEntry(writer, file, { entry, start });
      if (entry.kind === 'file' && entry.sizeBytes > 0)
        files.push(packedFile({ ...entry, isNew: true, sha1, sha256, dataOffset: place }));
    }
    return files;
  } finally {
    closeSync(fd);
  }
}

async function copyMatched(writer: ZipWriter, matched: readonly MatchedEntry[]): Promise<PackedFile[]> {
  // Neighbours in an old pack are read one after the other, each pack once.
  const sorted = matched.toSorted((a, b) =>
    a.pack.digest < b.pack.digest ? -1 : a.pack.digest > b.pack.digest ? 1 : a.dataOffset - b.dataOffset,
  );
  const turns = takeTurns();
  const packs = onePackOpen();
  try {
    const files: PackedFile[] = [];
    for (const entry of sorted) {
      await turns();
      const file = await usable(packs, entry);
      const place = copyEntry(writer, file, { entry: { ...entry, kind: 'file' }, start: entry.dataOffset });
      files.push(packedFile({ ...entry, isNew: false, dataOffset: place }));
    }
    return files;
  } finally {
    packs.close();
  }
}

function onePackOpen(): { open(packFile: string): FileWindow; close(): void } {
  let opened: { packFile: string; fd: number; file: FileWindow } | null = null;
  const close = (): void => {
    if (opened !== null) closeSync(opened.fd);
    opened = null;
  };
  return {
    close,
    open: packFile => {
      if (opened?.packFile === packFile) return opened.file;
      close();
      const fd = openSync(packFile, 'r');
      opened = { packFile, fd, file: openWindow(fd) };
      return opened.file;
    },
  };
}

/** The old pack may have been swept or damaged since: what is handed on is what was promised. */
async function usable(packs: ReturnType<typeof onePackOpen>, entry: MatchedEntry): Promise<FileWindow> {
  try {
    const file = packs.open(entry.pack.file);
    const [sha256] = await sumsOf(file, entry, { start: entry.dataOffset, names: ['sha256'] });
    if (sha256 === entry.sha256) return file;
    throw new ArchiveRefusedError(entry.path, 'is not what was promised');
  } catch (error) {
    const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isGone || error instanceof ArchiveRefusedError) throw new MatchLostError(entry, { cause: error });
    throw error;
  }
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

/** Still deflated. Returns where its data lies in the new pack. */
function copyEntry(
  writer: ZipWriter,
  file: FileWindow,
  { entry, start }: { entry: Omit<ZipEntry, 'offset'>; start: number },
): number {
  const place = writer.begin(entry);
  for (let at = 0; at < entry.compressedBytes; at += COPY_BYTES)
    writer.write(file.read(start + at, Math.min(COPY_BYTES, entry.compressedBytes - at)));
  return place;
}

const COPY_BYTES = 256 * 1024;

/** Without what else the entry has. */
function packedFile(file: PackedFile): PackedFile {
  const { path, isNew, sha1, sha256, sizeBytes, dataOffset, compressedBytes, method, crc32 } = file;
  return { path, isNew, sha1, sha256, sizeBytes, dataOffset, compressedBytes, method, crc32 };
}
