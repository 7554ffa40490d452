/**
 * Deflating as fast as the machine can: a file is cut in pieces that are deflated apart, so that all cores work on one large file; small ones are done at
 * once, with a window no larger than they are, since a thread's hand-over costs more than their work. Of a piece that does not compress nothing is lost
 * but a look at its beginning. The same content gives the same bytes, whatever the machine.
 */
import { promisify } from 'node:util';
import { constants, deflateRaw, deflateRawSync, type ZlibOptions } from 'node:zlib';

/** As pigz cuts, times eight: the dictionary that each piece lacks costs less than 1 %. */
export const PIECE_BYTES = 1024 * 1024;
/** Below, a thread's hand-over (0.1 ms) is longer than the work. */
const THREAD_MIN_BYTES = 32 * 1024;
/** So much of a piece tells whether it compresses. */
const PROBE_BYTES = 32 * 1024;
/** Less gain than this is not worth the time of both ends. */
const WORTH = 0.97;
/** What every zip tool takes. */
const LEVEL = 6;
/** zlib looks no farther back than its window less this (MIN_LOOKAHEAD). */
const LOOKAHEAD_BYTES = 262;
const BLOCK_MAX_BYTES = 65_535;
const deflateInThread = promisify<Buffer, ZlibOptions, Buffer>(deflateRaw);

export interface Deflated {
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly bytes: readonly Buffer[];
}

/** A whole file of at most PIECE_BYTES; stored where deflating gains nothing. */
export function deflateWhole(content: Buffer): Deflated | Promise<Deflated> {
  const smaller = (deflated: Buffer): Deflated =>
    deflated.length < content.length ? { method: 8, bytes: [deflated] } : { method: 0, bytes: [content] };
  if (content.length === 0) return { method: 0, bytes: [] };
  if (content.length < THREAD_MIN_BYTES) return smaller(deflateRawSync(content, smallOptions(content.length)));
  if (!compresses(content)) return { method: 0, bytes: [content] };
  return deflateInThread(content, { level: LEVEL }).then(smaller);
}

/** A piece of a larger file, which is deflated; END_OF_PIECES follows the last one. */
export function deflatePiece(content: Buffer): Deflated | Promise<Deflated> {
  if (!compresses(content)) return { method: 8, bytes: storedBlocks(content) };
  return deflateInThread(content, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH }).then(bytes => ({
    method: 8,
    bytes: [bytes],
  }));
}

/** An empty last block. */
export const END_OF_PIECES = Buffer.from([3, 0]);

/** A window and tables for no more than there is: zlib clears them for each file, which takes longer than a small file itself. */
function smallOptions(length: number): ZlibOptions {
  const windowBits = Math.min(15, Math.max(9, Math.ceil(Math.log2(length + LOOKAHEAD_BYTES))));
  return { level: LEVEL, windowBits, memLevel: Math.min(8, windowBits - 6), chunkSize: Math.max(1_024, length) };
}

function compresses(content: Buffer): boolean {
  const beginning = content.subarray(0, PROBE_BYTES);
  return deflateRawSync(beginning, { level: 1 }).length < beginning.length * WORTH;
}

/** Blocks of the deflate format that hold bytes as they are (RFC 1951, 3.2.4); none is the last one. */
function storedBlocks(content: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < content.length; at += BLOCK_MAX_BYTES) {
    const data = content.subarray(at, at + BLOCK_MAX_BYTES);
    const head = Buffer.alloc(5);
    head.writeUInt16LE(data.length, 1);
    head.writeUInt16LE(data.length ^ 0xffff, 3);
    blocks.push(head, data);
  }
  return blocks;
}
