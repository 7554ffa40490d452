/** The records of a zip as PKWARE's APPNOTE says, in their Zip64 form where a number needs it. UTF-8 names, Unix modes, no times. */
import type { ZipEntry } from './zip-read.ts';

/** What a header says of an entry before its content is known. */
export type ZipHeader = Pick<ZipEntry, 'path' | 'kind' | 'mode' | 'method'>;
export type ZipSums = Pick<ZipEntry, 'sizeBytes' | 'compressedBytes' | 'crc32'>;

export const MAX_32 = 0xffff_ffff;
export const MAX_16 = 0xffff;
const UTF8 = 0x0800;
/** Sums stand in a descriptor behind the content. */
const DESCRIBED = 0x0008;
/** 1980-01-01, the zero of zip's clock: a file's time is no part of its content. */
const ZERO_DATE = 0x0021;
const VERSION = 20;
const VERSION_ZIP64 = 45;
const MADE_BY_UNIX = 3 << 8;
export const TYPE_BITS = { file: 0o100000, folder: 0o040000, link: 0o120000 } as const;
const LOCAL_BYTES = 30;
export const CENTRAL_BYTES = 46;
export const END_BYTES = 22;
export const LOCATOR_BYTES = 20;
export const CENTRAL_SIGNATURE = 0x02014b50;
export const END_SIGNATURE = 0x06054b50;
/** A Zip64 field's own id and length. */
const FIELD_BYTES = 4;

/** With its trailing slash where it is a folder. */
export function nameOf({ path, kind }: ZipHeader): Buffer {
  return Buffer.from(kind === 'folder' ? `${path}/` : path);
}

/** In front of an entry's content. Without `sums` they follow in a descriptor, which has long numbers where `isHuge`. */
export function localHeader(
  entry: ZipHeader,
  name: Buffer,
  { sums, isHuge = false }: { sums: ZipSums | null; isHuge?: boolean },
): Buffer {
  const field = isHuge ? zip64Field([0, 0]) : null;
  const header = Buffer.alloc(LOCAL_BYTES + name.length + (field?.length ?? 0));
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(isHuge ? VERSION_ZIP64 : VERSION, 4);
  header.writeUInt16LE(UTF8 | (sums === null ? DESCRIBED : 0), 6);
  const shown = isHuge ? { sizeBytes: MAX_32, compressedBytes: MAX_32, crc32: 0 } : sums;
  writeSums(header, { at: 8, method: entry.method, sums: shown });
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(field?.length ?? 0, 28);
  name.copy(header, LOCAL_BYTES);
  field?.copy(header, LOCAL_BYTES + name.length);
  return header;
}

/** Behind the content of an entry whose local header has no sums. */
export function descriptor({ crc32, compressedBytes, sizeBytes }: ZipSums, { isHuge }: { isHuge: boolean }): Buffer {
  const bytes = Buffer.alloc(isHuge ? 24 : 16);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(crc32, 4);
  if (isHuge) {
    bytes.writeBigUInt64LE(BigInt(compressedBytes), 8);
    bytes.writeBigUInt64LE(BigInt(sizeBytes), 16);
  } else {
    bytes.writeUInt32LE(compressedBytes, 8);
    bytes.writeUInt32LE(sizeBytes, 12);
  }
  return bytes;
}

/** The entry in the directory. */
export function centralHeader(
  entry: ZipHeader & ZipSums,
  name: Buffer,
  { offset, isDescribed }: { offset: number; isDescribed: boolean },
): Buffer {
  // APPNOTE 4.5.3: in this order, and only those that do not fit.
  const large = [entry.sizeBytes, entry.compressedBytes, offset].filter(number => number >= MAX_32);
  const field = large.length === 0 ? null : zip64Field(large);
  const header = Buffer.alloc(CENTRAL_BYTES + name.length + (field?.length ?? 0));
  header.writeUInt32LE(CENTRAL_SIGNATURE, 0);
  header.writeUInt16LE(MADE_BY_UNIX | VERSION_ZIP64, 4);
  header.writeUInt16LE(field === null ? VERSION : VERSION_ZIP64, 6);
  header.writeUInt16LE(UTF8 | (isDescribed ? DESCRIBED : 0), 8);
  writeSums(header, { at: 10, method: entry.method, sums: entry });
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(field?.length ?? 0, 30);
  header.writeUInt32LE(((TYPE_BITS[entry.kind] | entry.mode) << 16) >>> 0, 38);
  header.writeUInt32LE(Math.min(offset, MAX_32), 42);
  name.copy(header, CENTRAL_BYTES);
  field?.copy(header, CENTRAL_BYTES + name.length);
  return header;
}

function writeSums(header: Buffer, { at, method, sums }: { at: number; method: number; sums: ZipSums | null }): void {
  header.writeUInt16LE(method, at);
  header.writeUInt16LE(ZERO_DATE, at + 4);
  header.writeUInt32LE(sums?.crc32 ?? 0, at + 6);
  header.writeUInt32LE(Math.min(sums?.compressedBytes ?? 0, MAX_32), at + 10);
  header.writeUInt32LE(Math.min(sums?.sizeBytes ?? 0, MAX_32), at + 14);
}

function zip64Field(values: readonly number[]): Buffer {
  const field = Buffer.alloc(FIELD_BYTES + values.length * 8);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(values.length * 8, 2);
  for (const [at, value] of values.entries()) field.writeBigUInt64LE(BigInt(value), FIELD_BYTES + at * 8);
  return field;
}

interface Directory {
  readonly entries: number;
  readonly start: number;
  readonly sizeBytes: number;
}

export function endOfDirectory({ entries, start, sizeBytes }: Directory): Buffer {
  const isLarge = entries >= MAX_16 || start >= MAX_32 || sizeBytes >= MAX_32;
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(END_SIGNATURE, 0);
  end.writeUInt16LE(Math.min(entries, MAX_16), 8);
  end.writeUInt16LE(Math.min(entries, MAX_16), 10);
  end.writeUInt32LE(Math.min(sizeBytes, MAX_32), 12);
  end.writeUInt32LE(Math.min(start, MAX_32), 16);
  return isLarge ? Buffer.concat([zip64End({ entries, start, sizeBytes }), end]) : end;
}

function zip64End({ entries, start, sizeBytes }: Directory): Buffer {
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(MADE_BY_UNIX | VERSION_ZIP64, 12);
  record.writeUInt16LE(VERSION_ZIP64, 14);
  record.writeBigUInt64LE(BigInt(entries), 24);
  record.writeBigUInt64LE(BigInt(entries), 32);
  record.writeBigUInt64LE(BigInt(sizeBytes), 40);
  record.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(LOCATOR_BYTES);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + sizeBytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator]);
}
