/**
 * One pack of all files of a package: the entries of the uploaded zip, and those that were matched, copied still deflated from older packs (foundations.md
 * 10). Written to a file in one pass; the caller makes it durable. Each entry's place is told, so that the next push may copy it from here.
 *
 * Every byte is looked at on its way: an uploaded entry that is not what its zip says, or a matched one that is not what was promised, ends the pack.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { createPlan } from './plan.ts';
import { readContent } from './unzip.ts';
import { dataOffset, readZipDirectory, refuseCollision, safePath, type ZipEntry } from './zip-read.ts';
import { centralHeader, endOfDirectory, localHeader } from './zip-write.ts';

/** A file that the organization has uploaded before: where it lies, still deflated. */
export interface MatchedEntry {
  /** As the client wants it. Checked here like the name of any entry. */
  path: string;
  mode: number;
  /** File of the older pack. */
  packFile: string;
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

const COPY_BYTES = 1024 * 1024;
/** Between two turns of the event loop, so that others are served while a large pack is written. */
const TURN_MS = 8;

/**
 * @param upload the uploaded zip; null: every file was matched.
 * @throws ArchiveRefusedError naming the entry and the rule; errors of the disk as they are. `target` is then of no use.
 */
export async function assemblePack(options: {
  upload: string | null;
  matched: readonly MatchedEntry[];
  target: string;
}): Promise<Pack> {
  const uploaded = options.upload === null ? [] : await readZipDirectory(options.upload);
  const matched = checkTogether(uploaded, options.matched);
  const writer = openWriter(options.target);
  const turns = takeTurns();
  try {
    if (options.upload !== null) await copyUploaded(writer, options.upload, { entries: uploaded, turns });
    await copyMatched(writer, matched, turns);
    return writer.finish();
  } finally {
    writer.close();
  }
}

/** Both lists are one archive: the same rules hold over both. Answers the matched ones with the names they get. */
function checkTogether(uploaded: readonly ZipEntry[], matched: readonly MatchedEntry[]): MatchedEntry[] {
  if (uploaded.length + matched.length > PUSH_LIMITS.entriesMax)
    throw new ArchiveRefusedError('(archive)', `has more than ${PUSH_LIMITS.entriesMax} entries`);
  const plan = createPlan({ entriesMax: PUSH_LIMITS.entriesMax * 2 });
  const folded = new Map<string, string>();
  for (const { path, kind } of uploaded) if (kind === 'folder') plan.addFolder(path);
  for (const { path, kind } of uploaded) if (kind !== 'folder') plan.addFile(path);
  for (const { path } of uploaded) refuseCollision(folded, path);
  let total = uploaded.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return matched.map(entry => {
    const path = safePath(entry.path);
    plan.addFile(path);
    refuseCollision(folded, path);
    total += entry.sizeBytes;
    if (total > PUSH_LIMITS.unpackedMaxBytes)
      throw new ArchiveRefusedError(path, `makes the app larger than ${PUSH_LIMITS.unpackedMaxBytes} bytes unpacked`);
    return { ...entry, path };
  });
}

async function copyUploaded(
  writer: Writer,
  upload: string,
  { entries, turns }: { entries: readonly ZipEntry[]; turns: () => Promise<void> },
): Promise<void> {
  const fd = openSync(upload, 'r');
  try {
    for (const entry of entries) {
      await turns();
      const sums = [createHash('sha1'), createHash('sha256')] as const;
      if (entry.kind !== 'folder')
        for await (const piece of readContent(fd, entry)) for (const sum of sums) sum.update(piece);
      writer.add(entry, { fd, start: dataOffset(fd, entry) }, hexOf(sums));
    }
  } finally {
    closeSync(fd);
  }
}

function hexOf([sha1, sha256]: readonly [Hash, Hash]): { sha1: string; sha256: string } {
  return { sha1: sha1.digest('hex'), sha256: sha256.digest('hex') };
}

async function copyMatched(
  writer: Writer,
  matched: readonly MatchedEntry[],
  turns: () => Promise<void>,
): Promise<void> {
  // Neighbours in an old pack are read one after the other.
  const sorted = matched.toSorted((a, b) =>
    a.packFile < b.packFile ? -1 : a.packFile > b.packFile ? 1 : a.dataOffset - b.dataOffset,
  );
  let open: { file: string; fd: number } | null = null as { file: string; fd: number } | null;
  try {
    for (const entry of sorted) {
      await turns();
      if (open?.file !== entry.packFile) {
        if (open !== null) closeSync(open.fd);
        open = { file: entry.packFile, fd: openSync(entry.packFile, 'r') };
      }
      const { fd } = open;
      await checkMatched(fd, entry);
      writer.add({ ...entry, kind: 'file' }, { fd, start: entry.dataOffset }, entry);
    }
  } finally {
    if (open !== null) closeSync(open.fd);
  }
}

/** The old pack may have been damaged since: what is handed on is what was promised. */
async function checkMatched(fd: number, entry: MatchedEntry): Promise<void> {
  const sum = createHash('sha256');
  for await (const piece of readContent(fd, { ...entry, offset: entry.dataOffset }, entry.dataOffset))
    sum.update(piece);
  if (sum.digest('hex') !== entry.sha256)
    throw new ArchiveRefusedError(entry.path, 'was matched, but what is kept of it is damaged: push again to send it');
}

type Added = Pick<ZipEntry, 'path' | 'kind' | 'mode' | 'sizeBytes' | 'compressedBytes' | 'method' | 'crc32'>;
interface Writer {
  add(entry: Added, from: { fd: number; start: number }, sums: { sha1: string; sha256: string }): void;
  finish(): Pack;
  close(): void;
}

function openWriter(target: string): Writer {
  const fd = openSync(target, 'wx', 0o600);
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  const directory: Buffer[] = [];
  const files: PackedFile[] = [];
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let at = 0;
  const flush = (): void => {
    const bytes = Buffer.concat(pending);
    hash.update(bytes);
    for (let wrote = 0; wrote < bytes.length; ) wrote += writeSync(fd, bytes, wrote);
    pending = [];
    pendingBytes = 0;
  };
  const write = (bytes: Buffer): void => {
    pending.push(bytes);
    pendingBytes += bytes.length;
    at += bytes.length;
    if (pendingBytes >= COPY_BYTES) flush();
  };
  const copy = ({ fd: from, start }: { fd: number; start: number }, length: number): void => {
    for (let done = 0; done < length; ) {
      const read = readSync(from, buffer, 0, Math.min(COPY_BYTES, length - done), start + done);
      if (read === 0) throw new ArchiveRefusedError('(archive)', 'ends too early');
      write(Buffer.from(buffer.subarray(0, read)));
      done += read;
    }
  };
  return {
    add: (entry, from, { sha1, sha256 }) => {
      const offset = at;
      write(localHeader(entry));
      const { path, sizeBytes, compressedBytes, method, crc32 } = entry;
      if (entry.kind === 'file' && sizeBytes > 0)
        files.push({ path, sha1, sha256, sizeBytes, dataOffset: at, compressedBytes, method, crc32 });
      copy(from, compressedBytes);
      directory.push(centralHeader(entry, offset));
    },
    finish: () => {
      const start = at;
      for (const header of directory) write(header);
      write(endOfDirectory({ entries: directory.length, start, sizeBytes: at - start }));
      flush();
      return { digest: hash.digest('hex'), sizeBytes: at, files };
    },
    close: () => closeSync(fd),
  };
}

/** Awaited often, it gives way to the event loop every few ms. */
function takeTurns(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < TURN_MS) return;
    await new Promise(resolve => setImmediate(resolve));
    last = performance.now();
  };
}
