/**
 * A new zip of files on disk, for a client to send: entries in the order that is given, without times, so that the same files give the same bytes. Large
 * files are deflated by all cores, in order and with a bounded number of bytes in memory (decision 0013 has the figures).
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Deflated, deflatePiece, deflateWhole, END_OF_PIECES, PIECE_BYTES } from './deflate.ts';
import { openZipWriter, type ZipWriter } from './zip-write.ts';

interface Named {
  /** In the archive: relative, with slashes, none at its end. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
}
export type NewEntry =
  /** `file`: where it lies. */
  | (Named & { readonly kind: 'file'; readonly file: string })
  | (Named & { readonly kind: 'link'; readonly target: string })
  | (Named & { readonly kind: 'folder' });

/** Read and not yet written: enough for all cores, and flat in memory. */
const AHEAD_BYTES_MAX = 16 * PIECE_BYTES;
/** What an entry weighs here besides its content. */
const ENTRY_BYTES = 1024;

/** One thing to write: a whole entry, or a piece of a large one. */
interface Part {
  readonly entry: NewEntry;
  readonly place: 'whole' | 'first' | 'middle' | 'last';
  /** Of the whole file, as it was when opened. */
  readonly fileBytes: number;
  readonly sizeBytes: number;
  /** From the beginning of the file to the end of this part. */
  readonly crc32: number;
  readonly deflated: Deflated | Promise<Deflated>;
}

/** Writes `target`, which must not be there; of no use when this throws. Errors of the disk as they are: a file that is gone is not left out. */
export async function createZip(target: string, entries: Iterable<NewEntry>): Promise<{ sizeBytes: number }> {
  const writer = openZipWriter(target);
  const ahead: Part[] = [];
  let aheadBytes = 0;
  const write = partWriter(writer);
  const writeOldest = async (): Promise<void> => {
    const part = ahead.shift();
    if (part === undefined) return;
    aheadBytes -= part.sizeBytes + ENTRY_BYTES;
    write(part, part.deflated instanceof Promise ? await part.deflated : part.deflated);
  };
  try {
    for (const part of partsOf(entries)) {
      // Looked at when its turn comes; a failure before that is no unhandled one.
      if (part.deflated instanceof Promise) part.deflated.catch(() => undefined);
      ahead.push(part);
      aheadBytes += part.sizeBytes + ENTRY_BYTES;
      while (aheadBytes > AHEAD_BYTES_MAX || (ahead[0] !== undefined && !(ahead[0].deflated instanceof Promise)))
        await writeOldest();
    }
    while (ahead.length > 0) await writeOldest();
    return { sizeBytes: writer.finish().sizeBytes };
  } finally {
    writer.close();
  }
}

/** Whole entries with their sums in front; those in pieces with theirs behind. */
function partWriter(writer: ZipWriter): (part: Part, deflated: Deflated) => void {
  let open: ReturnType<ZipWriter['beginUnknown']> | null = null;
  let sizeBytes = 0;
  let compressedBytes = 0;
  return ({ entry: { path, mode, kind }, place, fileBytes, ...part }, { method, bytes }) => {
    const length = bytes.reduce((sum, one) => sum + one.length, 0);
    if (place === 'whole') {
      const { sizeBytes, crc32 } = part;
      writer.begin({ path, mode, kind, method, crc32, sizeBytes, compressedBytes: length });
    } else if (place === 'first') {
      open = writer.beginUnknown({ path, mode, kind, method }, fileBytes);
      sizeBytes = compressedBytes = 0;
    }
    for (const one of bytes) writer.write(one);
    sizeBytes += part.sizeBytes;
    compressedBytes += length;
    if (place !== 'last') return;
    writer.write(END_OF_PIECES);
    open?.end({ crc32: part.crc32, sizeBytes, compressedBytes: compressedBytes + END_OF_PIECES.length });
  };
}

function* partsOf(entries: Iterable<NewEntry>): Iterable<Part> {
  for (const entry of entries)
    if (entry.kind === 'file') yield* partsOfFile(entry, entry.file);
    else yield wholePart(entry, Buffer.from(entry.kind === 'link' ? entry.target : ''));
}

function wholePart(entry: NewEntry, content: Buffer): Part {
  const sizeBytes = content.length;
  return {
    entry,
    place: 'whole',
    fileBytes: sizeBytes,
    sizeBytes,
    crc32: crc32(content),
    deflated: entry.kind === 'file' ? deflateWhole(content) : { method: 0, bytes: [content] },
  };
}

/** What a file holds up to the size that it has when opened, or less if it shrinks. */
function* partsOfFile(entry: NewEntry, file: string): Iterable<Part> {
  const fd = openSync(file, 'r');
  try {
    const { size: fileBytes } = fstatSync(fd);
    if (fileBytes <= PIECE_BYTES) {
      yield wholePart(entry, readPiece(fd, fileBytes));
      return;
    }
    let at = 0;
    let sum = 0;
    for (let place: Part['place'] = 'first'; place !== 'last'; ) {
      const wanted = Math.min(PIECE_BYTES, fileBytes - at);
      const content = readPiece(fd, wanted);
      const isLast = at + content.length === fileBytes || content.length < wanted;
      if (at === 0 && isLast) {
        yield wholePart(entry, content);
        return;
      }
      place = isLast ? 'last' : at === 0 ? 'first' : 'middle';
      at += content.length;
      sum = crc32(content, sum);
      const deflated = deflatePiece(content);
      yield { entry, place, fileBytes, sizeBytes: content.length, crc32: sum, deflated };
    }
  } finally {
    closeSync(fd);
  }
}

/** The next bytes, at most `length`; fewer only at the end of the file. In memory of its own. */
function readPiece(fd: number, length: number): Buffer {
  const piece = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const read = readSync(fd, piece, got, length - got, null);
    if (read === 0) break;
    got += read;
  }
  return piece.subarray(0, got);
}
