/** What an entry of a zip holds, as it really comes out: lengths and checksums of the directory are claims, and looked at here. */
import { Readable } from 'node:stream';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import { ArchiveRefusedError } from '@cupola/model/errors';
import type { FileWindow } from './window.ts';
import type { ZipEntry } from './zip-read.ts';

/** Larger entries are inflated piece by piece. */
const WHOLE_MAX_BYTES = 256 * 1024;
/** zlib's own least. */
const CHUNK_MIN_BYTES = 64;
const PIECE_BYTES = 256 * 1024;

type Content = Pick<ZipEntry, 'path' | 'sizeBytes' | 'compressedBytes' | 'method' | 'crc32'>;

/**
 * Gives the content piece by piece to `take`, which keeps none of them, never more than the directory says. Its length and checksum are known to be right when it resolves.
 * @param start of the entry's data.
 * @throws ArchiveRefusedError when it is not what the directory says; what `take` throws.
 */
export async function readContent(
  file: FileWindow,
  entry: Content,
  { start, take }: { start: number; take(piece: Buffer): void },
): Promise<void> {
  if (entry.sizeBytes <= WHOLE_MAX_BYTES && entry.compressedBytes <= WHOLE_MAX_BYTES) {
    const content = inflateWhole(file.read(start, entry.compressedBytes), entry);
    check(entry, { sizeBytes: content.length, sum: crc32(content) });
    take(content);
    return;
  }
  let sizeBytes = 0;
  let sum = 0;
  const isStored = entry.method === 0;
  for await (const piece of isStored
    ? file.pieces(start, entry.compressedBytes)
    : inflate(readPieces(file, start, entry.compressedBytes), entry)) {
    sizeBytes += piece.length;
    if (sizeBytes > entry.sizeBytes) break;
    sum = crc32(piece, sum);
    take(piece);
  }
  check(entry, { sizeBytes, sum });
}

function inflateWhole(raw: Buffer, entry: Content): Buffer {
  if (entry.method === 0) return raw;
  try {
    // One byte more than it may be: a lie is told from the truth without inflating all of it. In a buffer of that size: most files are small.
    const maxOutputLength = entry.sizeBytes + 1;
    return inflateRawSync(raw, { maxOutputLength, chunkSize: Math.max(maxOutputLength, CHUNK_MIN_BYTES) });
  } catch (error) {
    throw new ArchiveRefusedError(entry.path, `cannot be inflated: ${(error as Error).message}`);
  }
}

async function* inflate(raw: Iterable<Buffer>, entry: Content): AsyncIterable<Buffer> {
  const source = Readable.from(raw);
  const inflater = createInflateRaw({ chunkSize: PIECE_BYTES });
  source.on('error', error => inflater.destroy(error));
  source.pipe(inflater);
  try {
    yield* inflater as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof ArchiveRefusedError || !isZlib(error)) throw error;
    throw new ArchiveRefusedError(entry.path, `cannot be inflated: ${error.message}`);
  } finally {
    source.destroy();
    inflater.destroy();
  }
}

/** A disk that cannot be read is not the archive's fault. */
const isZlib = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && /^Z_/.test(String(error.code));

function check(entry: Content, { sizeBytes, sum }: { sizeBytes: number; sum: number }): void {
  if (sizeBytes !== entry.sizeBytes) throw new ArchiveRefusedError(entry.path, 'is not as long as the archive says');
  if (sum !== entry.crc32)
    throw new ArchiveRefusedError(entry.path, 'is damaged: its checksum is not that of the archive');
}

function* readPieces(file: FileWindow, start: number, length: number): Iterable<Buffer> {
  for (let at = 0; at < length; at += PIECE_BYTES) yield file.read(start + at, Math.min(PIECE_BYTES, length - at));
}
