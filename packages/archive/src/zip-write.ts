/** Writes a zip from front to back: packs, whose entries are known before they are written, and what a client sends, whose entries are not. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import {
  centralHeader,
  descriptor,
  endOfDirectory,
  localHeader,
  MAX_32,
  nameOf,
  type ZipHeader,
  type ZipSums,
} from './zip-headers.ts';

/** So much is gathered before it is written. */
const WRITE_BYTES = 1024 * 1024;
/** From here on a copy costs more than one more write. */
const DIRECT_BYTES = 32 * 1024;
/** Deflating may make that much more of what does not compress; a file may grow a little while it is read. */
const HUGE_BYTES = MAX_32 - 64 * 1024 * 1024;

export interface ZipWriter {
  /** The next entry; exactly its `compressedBytes` are written next. Returns where they will lie. */
  begin(entry: ZipHeader & ZipSums): number;
  /** The next entry, of about `expectedBytes`; what is written next is its content, and then comes `end`. */
  beginUnknown(entry: ZipHeader, expectedBytes: number): { end(sums: ZipSums): void };
  /** Entries whose bytes are written already: their records, as they will stand in the directory. */
  adopt(records: Buffer, entries: number): void;
  /** The bytes must stay as they are until the zip is finished. */
  write(bytes: Buffer): void;
  /** As `write`, of bytes that may change afterwards. */
  writeNow(bytes: Buffer): void;
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
  let adopted = 0;
  const put = (bytes: Buffer): void => {
    hash.update(bytes);
    for (let wrote = 0; wrote < bytes.length; ) wrote += writeSync(fd, bytes, wrote);
  };
  const flush = (): void => {
    put(Buffer.concat(pending));
    pending = [];
    pendingBytes = 0;
  };
  const writeNow = (bytes: Buffer): void => {
    flush();
    put(bytes);
    at += bytes.length;
  };
  const write = (bytes: Buffer): void => {
    if (bytes.length >= DIRECT_BYTES) {
      writeNow(bytes);
      return;
    }
    at += bytes.length;
    pending.push(bytes);
    pendingBytes += bytes.length;
    if (pendingBytes >= WRITE_BYTES) flush();
  };
  return {
    write,
    writeNow,
    adopt: (records, entries) => {
      directory.push(records);
      adopted += entries - 1;
    },
    begin: entry => {
      const name = nameOf(entry);
      directory.push(centralHeader(entry, name, { offset: at, isDescribed: false }));
      write(localHeader(entry, name, { sums: entry }));
      return at;
    },
    beginUnknown: (entry, expectedBytes) => {
      const name = nameOf(entry);
      const offset = at;
      const isHuge = expectedBytes >= HUGE_BYTES;
      write(localHeader(entry, name, { sums: null, isHuge }));
      return {
        end: sums => {
          if (!isHuge && Math.max(sums.sizeBytes, sums.compressedBytes) >= MAX_32)
            throw new Error(`"${entry.path}" has grown beyond 4 GiB while it was read.`);
          write(descriptor(sums, { isHuge }));
          directory.push(centralHeader({ ...entry, ...sums }, name, { offset, isDescribed: true }));
        },
      };
    },
    finish: () => {
      const start = at;
      for (const header of directory) write(header);
      write(endOfDirectory({ entries: directory.length + adopted, start, sizeBytes: at - start }));
      flush();
      return { digest: hash.digest('hex'), sizeBytes: at };
    },
    close: () => closeSync(fd),
  };
}
