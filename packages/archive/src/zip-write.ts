/** Writes a zip as PKWARE's APPNOTE says, in its Zip64 form where a number needs it. UTF-8 names, Unix modes, no times. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { ZipEntry } from './zip-read.ts';

type Header = Pick<ZipEntry, 'path' | 'kind' | 'mode' | 'sizeBytes' | 'compressedBytes' | 'method' | 'crc32'>;

const UTF8 = 0x0800;
/** 1980-01-01, the zero of zip's clock: a file's time is no part of its content. */
const ZERO_DATE = 0x0021;
const VERSION = 20;
const VERSION_ZIP64 = 45;
const MADE_BY_UNIX = 3 << 8;
const TYPE_BITS = { file: 0o100000, folder: 0o040000, link: 0o120000 } as const;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const MAX_32 = 0xffff_ffff;
const MAX_16 = 0xffff;

/** So much is gathered before it is written. */
const WRITE_BYTES = 1024 * 1024;

export interface ZipWriter {
  /** The next entry; exactly its `compressedBytes` are written next. Returns where they will lie. */
  begin(entry: Header): number;
  /** The bytes must stay as they are until the zip is finished. */
  write(bytes: Buffer): void;
  /** Writes the directory. The digest is the sha-256 of the whole, hex. */
  finish(): { digest: string; sizeBytes: number };
  /** Closes the file, finished or not. */
  close(): void;
}

/** Of a new file, readable by its owner only. Not fsynced. */
export function openZipWriter(target: string): ZipWriter {
  const fd = openSync(target, 'wx', 0o600);
  const hash = createHash('sha256');
  const directory: Buffer[] = [];
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
    if (pendingBytes >= WRITE_BYTES) flush();
  };
  return {
    write,
    begin: entry => {
      const { local, central } = headersOf(entry, at);
      directory.push(central);
      write(local);
      return at;
    },
    finish: () => {
      const start = at;
      for (const header of directory) write(header);
      write(endOfDirectory({ entries: directory.length, start, sizeBytes: at - start }));
      flush();
      return { digest: hash.digest('hex'), sizeBytes: at };
    },
    close: () => closeSync(fd),
  };
}

/** With its trailing slash where it is a folder. */
function nameOf({ path, kind }: Header): Buffer {
  return Buffer.from(kind === 'folder' ? `${path}/` : path);
}

/** Both headers of an entry, in one piece of memory. Entries are at most 1 GiB (PUSH_LIMITS), so sizes always fit; the offset behind 1,000 of them may not. */
function headersOf(entry: Header, offset: number): { local: Buffer; central: Buffer } {
  const name = nameOf(entry);
  const isLarge = offset >= MAX_32;
  const extra = isLarge ? zip64Offset(offset) : null;
  const localBytes = LOCAL_BYTES + name.length;
  const both = Buffer.alloc(localBytes + CENTRAL_BYTES + name.length + (extra?.length ?? 0));
  const local = both.subarray(0, localBytes);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(VERSION, 4);
  writeCommon(local, entry, { at: 6, nameBytes: name.length });
  name.copy(local, LOCAL_BYTES);
  const central = both.subarray(localBytes);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(MADE_BY_UNIX | VERSION_ZIP64, 4);
  central.writeUInt16LE(isLarge ? VERSION_ZIP64 : VERSION, 6);
  writeCommon(central, entry, { at: 8, nameBytes: name.length });
  central.writeUInt16LE(extra?.length ?? 0, 30);
  central.writeUInt32LE(((TYPE_BITS[entry.kind] | entry.mode) << 16) >>> 0, 38);
  central.writeUInt32LE(isLarge ? MAX_32 : offset, 42);
  name.copy(central, CENTRAL_BYTES);
  extra?.copy(central, CENTRAL_BYTES + name.length);
  return { local, central };
}

function writeCommon(header: Buffer, entry: Header, { at, nameBytes }: { at: number; nameBytes: number }): void {
  header.writeUInt16LE(UTF8, at);
  header.writeUInt16LE(entry.method, at + 2);
  header.writeUInt16LE(ZERO_DATE, at + 6);
  header.writeUInt32LE(entry.crc32, at + 8);
  header.writeUInt32LE(entry.compressedBytes, at + 12);
  header.writeUInt32LE(entry.sizeBytes, at + 16);
  header.writeUInt16LE(nameBytes, at + 20);
}

function zip64Offset(offset: number): Buffer {
  const extra = Buffer.alloc(12);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(8, 2);
  extra.writeBigUInt64LE(BigInt(offset), 4);
  return extra;
}

function endOfDirectory({ entries, start, sizeBytes }: { entries: number; start: number; sizeBytes: number }): Buffer {
  const isLarge = entries >= MAX_16 || start >= MAX_32 || sizeBytes >= MAX_32;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(entries, MAX_16), 8);
  end.writeUInt16LE(Math.min(entries, MAX_16), 10);
  end.writeUInt32LE(Math.min(sizeBytes, MAX_32), 12);
  end.writeUInt32LE(Math.min(start, MAX_32), 16);
  return isLarge ? Buffer.concat([zip64End({ entries, start, sizeBytes }), end]) : end;
}

function zip64End({ entries, start, sizeBytes }: { entries: number; start: number; sizeBytes: number }): Buffer {
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(MADE_BY_UNIX | VERSION_ZIP64, 12);
  record.writeUInt16LE(VERSION_ZIP64, 14);
  record.writeBigUInt64LE(BigInt(entries), 24);
  record.writeBigUInt64LE(BigInt(entries), 32);
  record.writeBigUInt64LE(BigInt(sizeBytes), 40);
  record.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + sizeBytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator]);
}
