/** The directory of a zip that `openZipWriter` has written and that is known to be unchanged: no names to judge, no lies to look for, and so 20,000 entries in a few ms. */
import assert from 'node:assert/strict';
import type { FileWindow } from './window.ts';
import {
  CENTRAL_BYTES,
  CENTRAL_SIGNATURE,
  END_BYTES,
  END_SIGNATURE,
  LOCATOR_BYTES,
  MAX_16,
  MAX_32,
  TYPE_BITS,
} from './zip-headers.ts';
import type { ZipEntry } from './zip-read.ts';

export interface OwnEntry extends Pick<ZipEntry, 'path' | 'kind' | 'sizeBytes'> {
  /** Of its local header; the next entry's, or the directory's, is `until`. */
  from: number;
  until: number;
  /** Its record's place in the directory. */
  recordsFrom: number;
  recordsUntil: number;
}

const TYPE_MASK = 0o170000;
const KINDS = new Map(Object.entries(TYPE_BITS).map(([kind, bits]) => [bits as number, kind as ZipEntry['kind']]));

/** In the order in which they were written. */
export function readOwnDirectory(file: FileWindow): { records: Buffer; entries: OwnEntry[] } {
  const { start, sizeBytes } = findDirectory(file);
  const records = file.read(start, sizeBytes);
  const entries: OwnEntry[] = [];
  for (let at = 0; at < records.length; ) {
    const { entry, until } = readRecord(records, at);
    const before = entries.at(-1);
    if (before !== undefined) before.until = entry.from;
    entries.push({ ...entry, until: start, recordsFrom: at, recordsUntil: until });
    at = until;
  }
  return { records, entries };
}

function findDirectory(file: FileWindow): { start: number; sizeBytes: number } {
  const end = file.read(file.sizeBytes - END_BYTES, END_BYTES);
  assert(end.readUInt32LE(0) === END_SIGNATURE, 'our zips end with the record of their directory');
  const sizeBytes = end.readUInt32LE(12);
  const start = end.readUInt32LE(16);
  if (end.readUInt16LE(10) !== MAX_16 && sizeBytes !== MAX_32 && start !== MAX_32) return { start, sizeBytes };
  const locator = file.read(file.sizeBytes - END_BYTES - LOCATOR_BYTES, LOCATOR_BYTES);
  const record = file.read(Number(locator.readBigUInt64LE(8)), 56);
  return { start: Number(record.readBigUInt64LE(48)), sizeBytes: Number(record.readBigUInt64LE(40)) };
}

function readRecord(
  records: Buffer,
  at: number,
): { entry: Omit<OwnEntry, 'until' | 'recordsFrom' | 'recordsUntil'>; until: number } {
  assert(records.readUInt32LE(at) === CENTRAL_SIGNATURE, 'a directory is nothing but records');
  const nameUntil = at + CENTRAL_BYTES + records.readUInt16LE(at + 28);
  const until = nameUntil + records.readUInt16LE(at + 30);
  const kind = KINDS.get((records.readUInt32LE(at + 38) >>> 16) & TYPE_MASK);
  assert(kind !== undefined, 'our zips say what an entry is');
  const name = records.toString('utf8', at + CENTRAL_BYTES, nameUntil);
  const short = records.readUInt32LE(at + 24);
  return {
    entry: {
      path: kind === 'folder' ? name.slice(0, -1) : name,
      kind,
      // The first of the long numbers, where there are any.
      sizeBytes: short === MAX_32 ? Number(records.readBigUInt64LE(nameUntil + 4)) : short,
      from: Number(readOffset(records, at, until)),
    },
    until,
  };
}

/** An entry's place: the last of the long numbers where it has no room. */
function readOffset(records: Buffer, at: number, until: number): bigint | number {
  const short = records.readUInt32LE(at + 42);
  return short === MAX_32 ? records.readBigUInt64LE(until - 8) : short;
}

/** A copy of `records`, of entries that lie `shift` bytes further ahead now. A long number stays a long one, though it may have room now: readers take both. */
export function shiftRecords(records: Buffer, shift: number): Buffer {
  const moved = Buffer.from(records);
  if (shift === 0) return moved;
  for (let at = 0; at < moved.length; ) {
    const until = at + CENTRAL_BYTES + moved.readUInt16LE(at + 28) + moved.readUInt16LE(at + 30);
    const offset = readOffset(moved, at, until);
    if (typeof offset === 'bigint') moved.writeBigUInt64LE(offset - BigInt(shift), until - 8);
    else moved.writeUInt32LE(offset - shift, at + 42);
    at = until;
  }
  return moved;
}
