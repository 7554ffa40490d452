/**
 * The directory of an uploaded zip under our own policy (threats.md rows 1 to 4): read before anything is unpacked, so that a refusal names the entry and
 * the rule, and leaves nothing behind. yauzl parses the format; what a name, a type or a size may be is decided here.
 *
 * Real zips are taken as they come: data descriptors (Go, Java), entries for folders or none, modes or none (Windows), names with `./` in front.
 */
import { Readable } from 'node:stream';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import {
  type Entry,
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  type ZipFile,
} from 'yauzl';
import { createPlan } from './plan.ts';
import { takeTurns } from './turns.ts';
import type { FileWindow } from './window.ts';

export interface ZipEntry {
  /** Without `.` and empty parts. */
  path: string;
  kind: 'file' | 'folder' | 'link';
  /** Permission bits, without setuid, setgid and sticky; the usual ones where the zip has none. */
  mode: number;
  /** As the directory says; only reading tells. */
  sizeBytes: number;
  compressedBytes: number;
  /** 0 stored, 8 deflated. */
  method: number;
  crc32: number;
  /** Of its local header. */
  offset: number;
}

/** Of entries and of the folders that their names imply: bounds what a deep zip makes us remember. */
export const NAMES_MAX = PUSH_LIMITS.entriesMax * 2;

const TYPE_MASK = 0o170000;
const TYPES = new Map<number, ZipEntry['kind']>([
  [0o100000, 'file'],
  [0o040000, 'folder'],
  [0o120000, 'link'],
]);
const LOCAL_HEADER_BYTES = 30;
const LINK_MAX_BYTES = 4_096;
const ENCRYPTED = 1;

/**
 * The directory of an open zip, judged.
 * @param rules over all entries together, which may have seen others before.
 * @throws ArchiveRefusedError naming the entry and the rule; errors of the disk as they are.
 */
export async function readEntries(file: FileWindow, rules: ArchiveRules = archiveRules()): Promise<ZipEntry[]> {
  const zip = await openZip(file);
  const directoryStart = Number(zip.readEntryCursor);
  const entries: ZipEntry[] = [];
  const turns = takeTurns();
  for await (const raw of eachEntry(zip)) {
    await turns();
    const entry = checkEntry(raw);
    if (entry === null) continue;
    rules.add(entry);
    entries.push(entry);
  }
  refuseOverlap(file, entries, directoryStart);
  return entries;
}

export interface ArchiveRules {
  /** @throws ArchiveRefusedError */
  add(entry: Pick<ZipEntry, 'path' | 'kind' | 'sizeBytes'>): void;
}

/** What holds over all entries of an archive together, wherever they come from: how many, how large, and that names do not collide. */
export function archiveRules({ unpackedMaxBytes = PUSH_LIMITS.unpackedMaxBytes } = {}): ArchiveRules {
  const plan = createPlan({ entriesMax: NAMES_MAX });
  const folded = new Map<string, string>();
  let count = 0;
  let total = 0;
  return {
    add: ({ path, kind, sizeBytes }) => {
      if (++count > PUSH_LIMITS.entriesMax)
        throw new ArchiveRefusedError(path, `is one too many: at most ${PUSH_LIMITS.entriesMax} are taken`);
      // A link's target is in its data, and checked when that is read.
      const made =
        kind === 'folder' ? plan.addFolder(path) : kind === 'file' ? plan.addFile(path) : plan.addLink(path, '.');
      for (const name of made) refuseCollision(folded, name);
      refuseCollision(folded, path);
      total += sizeBytes;
      if (total > unpackedMaxBytes)
        throw new ArchiveRefusedError(path, `makes the app larger than ${unpackedMaxBytes} bytes unpacked`);
    },
  };
}

/** Lets yauzl read from a window: of its own it would ask the disk twice for each entry. */
class WindowReader extends RandomAccessReader {
  readonly file: FileWindow;
  constructor(file: FileWindow) {
    super();
    this.file = file;
  }
  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null) => void,
  ): void {
    try {
      this.file.read(position, length).copy(buffer, offset);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null);
  }
  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from([this.file.read(start, end - start)]);
  }
  override close(done: (error: Error | null) => void): void {
    done(null);
  }
}

async function openZip(file: FileWindow): Promise<ZipFile> {
  try {
    return await fromRandomAccessReaderPromise(new WindowReader(file), file.sizeBytes, {
      autoClose: false,
      decodeStrings: false,
      validateEntrySizes: false,
    });
  } catch (error) {
    throw asRefusal(error);
  }
}

async function* eachEntry(zip: ZipFile): AsyncIterable<Entry> {
  try {
    yield* zip.eachEntry();
  } catch (error) {
    throw asRefusal(error);
  }
}

/** What yauzl says of a broken zip has no code; what has one (ENOENT, EIO) is not the zip's fault. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ArchiveRefusedError || 'code' in error) return error;
  return new ArchiveRefusedError('(archive)', `cannot be read as a zip: ${error.message}`);
}

/** Null for the root itself, which some writers list. */
function checkEntry(raw: Entry): ZipEntry | null {
  const name = nameOf(raw);
  const refuse = (rule: string): never => {
    throw new ArchiveRefusedError(name, rule);
  };
  if ((raw.generalPurposeBitFlag & ENCRYPTED) !== 0) refuse('is encrypted');
  if (raw.compressionMethod !== 0 && raw.compressionMethod !== 8)
    refuse(`is compressed by method ${raw.compressionMethod}, and only store (0) and deflate (8) are known`);
  const kind = kindOf(raw, name);
  const path = safePath(name);
  if (path === '' && kind === 'folder') return null;
  if (path === '') refuse('has no name');
  if (raw.uncompressedSize > PUSH_LIMITS.fileMaxBytes) refuse(`is larger than ${PUSH_LIMITS.fileMaxBytes} bytes`);
  if (kind === 'folder' && raw.uncompressedSize > 0) refuse('is a folder with content');
  if (kind === 'link' && raw.uncompressedSize > LINK_MAX_BYTES) refuse('is a link with a target that is too long');
  if (raw.compressionMethod === 0 && raw.compressedSize !== raw.uncompressedSize)
    refuse('is stored, but its two sizes differ');
  return {
    path,
    kind,
    mode: modeOf(raw, kind),
    sizeBytes: raw.uncompressedSize,
    compressedBytes: raw.compressedSize,
    method: raw.compressionMethod,
    crc32: raw.crc32,
    offset: raw.relativeOffsetOfLocalHeader,
  };
}

/** Backslashes are kept, so that they can be refused. */
function nameOf(raw: Entry): string {
  return getFileNameLowLevel(raw.generalPurposeBitFlag, raw.fileNameRaw, raw.extraFields, true);
}

function kindOf(raw: Entry, name: string): ZipEntry['kind'] {
  const type = (raw.externalFileAttributes >>> 16) & TYPE_MASK;
  if (type === 0) return name.endsWith('/') ? 'folder' : 'file';
  const kind = TYPES.get(type);
  if (kind === undefined) throw new ArchiveRefusedError(name, 'is no file, folder or link');
  // The cf CLI lists folders with the mode of a file.
  if (kind === 'file' && name.endsWith('/')) return 'folder';
  if (kind === 'link' && name.endsWith('/')) throw new ArchiveRefusedError(name, 'is a link with the name of a folder');
  return kind;
}

function modeOf(raw: Entry, kind: ZipEntry['kind']): number {
  const mode = (raw.externalFileAttributes >>> 16) & 0o777;
  if (mode === 0) return kind === 'folder' ? 0o755 : 0o644;
  return (mode & 0o755) | (kind === 'folder' ? 0o700 : 0o600);
}

/** A name without `.` and empty parts; '' is the root. @throws ArchiveRefusedError for one that no archive may hold. */
export function safePath(name: string): string {
  const refuse = (rule: string): never => {
    throw new ArchiveRefusedError(name, rule);
  };
  if (Buffer.byteLength(name) > PUSH_LIMITS.pathMaxBytes)
    throw new ArchiveRefusedError(
      `${name.slice(0, 100)}...`,
      `has a name of more than ${PUSH_LIMITS.pathMaxBytes} bytes`,
    );
  if (name.includes('\0')) refuse('has a NUL in its name');
  if (name.includes('\\')) refuse('has a backslash in its name');
  if (name.startsWith('/')) refuse('has an absolute name');
  if (/^[a-zA-Z]:/.test(name)) refuse('has a drive in its name');
  const parts = name.split('/').filter(part => part !== '' && part !== '.');
  if (parts.includes('..')) refuse('leaves the archive by ".."');
  if (parts.length > PUSH_LIMITS.depthMax) refuse(`lies more than ${PUSH_LIMITS.depthMax} folders deep`);
  return parts.join('/');
}

/** Names that differ in case only would be one file on some machines, and two here. @throws ArchiveRefusedError */
function refuseCollision(folded: Map<string, string>, path: string): void {
  const key = path.toLowerCase();
  const other = folded.get(key);
  if (other !== undefined && other !== path)
    throw new ArchiveRefusedError(path, `differs from "${other}" in upper and lower case only`);
  folded.set(key, path);
}

/**
 * Entries that share bytes make a small zip unpack to a huge one (CVE-2019-13232). Where each really begins its local header tells, and that may be stretched
 * over its neighbours.
 */
function refuseOverlap(file: FileWindow, entries: readonly ZipEntry[], directoryStart: number): void {
  let end = 0;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset)) {
    if (entry.offset < end) throw new ArchiveRefusedError(entry.path, 'shares its bytes with another entry');
    end = dataOffset(file, entry) + entry.compressedBytes;
    if (end > directoryStart) throw new ArchiveRefusedError(entry.path, "lies beyond the archive's entries");
  }
}

const LOCAL_SIGNATURE = 0x04034b50;

/** Where an entry's data begins: behind its local header, whose length only it tells. @throws ArchiveRefusedError */
export function dataOffset(file: FileWindow, { path, offset }: Pick<ZipEntry, 'path' | 'offset'>): number {
  if (offset + LOCAL_HEADER_BYTES > file.sizeBytes)
    throw new ArchiveRefusedError(path, 'has no local header where the archive says');
  const header = file.read(offset, LOCAL_HEADER_BYTES);
  if (header.readUInt32LE(0) !== LOCAL_SIGNATURE)
    throw new ArchiveRefusedError(path, 'has no local header where the archive says');
  return offset + LOCAL_HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
}
