/**
 * Unpacks a zip into an empty folder, after its whole directory was judged (zip-read.ts). Counts what really comes out and never trusts what headers say;
 * files are made with O_EXCL, links last, when nothing is written any more. When it throws, the caller removes the folder.
 */
import { chmodSync, closeSync, mkdirSync, openSync, readSync, symlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { createPlan } from './plan.ts';
import { dataOffset, readZipDirectory, type ZipEntry } from './zip-read.ts';

/** Larger entries are inflated piece by piece. */
const WHOLE_MAX_BYTES = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

/** @throws ArchiveRefusedError naming the entry and the rule; errors of the disk as they are. */
export async function unzip(
  path: string,
  folder: string,
  { unpackedMaxBytes }: { unpackedMaxBytes: number },
): Promise<void> {
  const entries = await readZipDirectory(path);
  const links: Array<{ path: string; target: string }> = [];
  const made = new Set<string>(['.']);
  const makeFolder = (name: string): void => {
    if (made.has(name)) return;
    makeFolder(dirname(name));
    made.add(name);
    mkdirSync(join(folder, name), { mode: 0o755 });
  };
  let left = unpackedMaxBytes;
  const fd = openSync(path, 'r');
  try {
    for (const entry of entries) {
      if (entry.kind === 'folder') {
        makeFolder(entry.path);
        continue;
      }
      makeFolder(dirname(entry.path));
      const taken = (bytes: number): void => {
        left -= bytes;
        if (left < 0)
          throw new ArchiveRefusedError(entry.path, `makes the app larger than ${unpackedMaxBytes} bytes unpacked`);
      };
      if (entry.kind === 'link') {
        const target = Buffer.concat(await collect(fd, entry, taken)).toString('utf8');
        links.push({ path: entry.path, target });
      } else await writeFile(fd, entry, { target: join(folder, entry.path), taken });
    }
  } finally {
    closeSync(fd);
  }
  makeLinks(folder, entries, links);
}

async function collect(fd: number, entry: ZipEntry, taken: (bytes: number) => void): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of readContent(fd, entry)) {
    taken(piece.length);
    pieces.push(piece);
  }
  return pieces;
}

async function writeFile(
  fd: number,
  entry: ZipEntry,
  { target, taken }: { target: string; taken(bytes: number): void },
): Promise<void> {
  const out = openSync(target, 'wx', 0o600);
  try {
    for await (const piece of readContent(fd, entry)) {
      taken(piece.length);
      for (let at = 0; at < piece.length; ) at += writeSync(out, piece, at);
    }
  } finally {
    closeSync(out);
  }
  chmodSync(target, entry.mode);
}

function makeLinks(
  folder: string,
  entries: readonly ZipEntry[],
  links: ReadonlyArray<{ path: string; target: string }>,
): void {
  if (links.length === 0) return;
  const plan = createPlan({ entriesMax: PUSH_LIMITS.entriesMax * 2 });
  for (const { path, kind } of entries) if (kind === 'folder') plan.addFolder(path);
  for (const { path, kind } of entries) if (kind === 'file') plan.addFile(path);
  for (const { path, target } of links) plan.addLink(path, target);
  for (const [path, target] of plan.checkedLinks()) symlinkSync(target, join(folder, path));
}

type Content = Pick<ZipEntry, 'path' | 'offset' | 'sizeBytes' | 'compressedBytes' | 'method' | 'crc32'>;

/**
 * What an entry holds, inflated, its length and checksum checked at the end.
 * @param start of its data, where it is known already.
 * @throws ArchiveRefusedError when it is not what the directory says.
 */
export async function* readContent(
  fd: number,
  entry: Content,
  start: number = dataOffset(fd, entry),
): AsyncIterable<Buffer> {
  if (entry.sizeBytes <= WHOLE_MAX_BYTES && entry.compressedBytes <= WHOLE_MAX_BYTES) {
    yield readWhole(fd, entry, start);
    return;
  }
  let size = 0;
  let sum = 0;
  const raw = readPieces(fd, start, entry.compressedBytes);
  for await (const piece of entry.method === 0 ? raw : inflate(raw, entry)) {
    size += piece.length;
    sum = crc32(piece, sum);
    if (size > entry.sizeBytes) break;
    yield piece;
  }
  check(entry, size, sum);
}

function readWhole(fd: number, entry: Content, start: number): Buffer {
  const raw = readExactly(fd, start, entry.compressedBytes);
  const content = entry.method === 0 ? raw : inflateWhole(raw, entry);
  check(entry, content.length, crc32(content));
  return content;
}

function inflateWhole(raw: Buffer, entry: Content): Buffer {
  try {
    // One byte more than it may be: a lie is told from the truth without inflating all of it.
    return inflateRawSync(raw, { maxOutputLength: entry.sizeBytes + 1 });
  } catch (error) {
    throw new ArchiveRefusedError(entry.path, `cannot be inflated: ${(error as Error).message}`);
  }
}

async function* inflate(raw: Iterable<Buffer>, entry: Content): AsyncIterable<Buffer> {
  const inflater = createInflateRaw({ chunkSize: PIECE_BYTES });
  try {
    const feeding = (async () => {
      for (const piece of raw)
        if (!inflater.write(piece)) await new Promise(resolve => inflater.once('drain', resolve));
      inflater.end();
    })();
    feeding.catch(() => undefined); // Told by the inflater itself.
    yield* inflater as AsyncIterable<Buffer>;
  } catch (error) {
    throw new ArchiveRefusedError(entry.path, `cannot be inflated: ${(error as Error).message}`);
  } finally {
    inflater.destroy();
  }
}

function check(entry: Content, size: number, sum: number): void {
  if (size !== entry.sizeBytes) throw new ArchiveRefusedError(entry.path, 'is not as long as the archive says');
  if (sum !== entry.crc32)
    throw new ArchiveRefusedError(entry.path, 'is damaged: its checksum is not that of the archive');
}

function* readPieces(fd: number, start: number, length: number): Iterable<Buffer> {
  for (let at = 0; at < length; at += PIECE_BYTES)
    yield readExactly(fd, start + at, Math.min(PIECE_BYTES, length - at));
}

function readExactly(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const read = readSync(fd, buffer, got, length - got, position + got);
    if (read === 0) throw new ArchiveRefusedError('(archive)', 'ends too early');
    got += read;
  }
  return buffer;
}
