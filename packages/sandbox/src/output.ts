/**
 * A sandbox's output, read from the log segments that its shim writes: records to chunks, chunks to lines, and after each line the position from which
 * another reader gets exactly what comes after it.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { OutputLine } from './sandbox.ts';

/** A line is cut here: longer ones come in pieces (as Diego does at 60 KiB). */
const LINE_MAX = 64 * 1024;
/** inotify may overflow, and some file systems have none. */
const LOOK_ANYWAY_MS = 5_000;

/** The shim begins another segment once one has so many bytes. */
const SEGMENT_BYTES = 1024 * 1024;

type Stream = 'o' | 'e';

/** A place in the log: a byte of a record's body. */
export interface Place {
  /** Later ones have larger numbers. */
  segment: number;
  /** Where the record begins in its segment. */
  offset: number;
  /** Bytes of its body that have been taken. */
  taken: number;
}
/** One record. `at` is where it begins. */
export interface Chunk {
  timestampMs: number;
  /** `d`: bytes that the shim dropped; `u`: bytes that it removed unread (ours, no record). Both say how many. */
  stream: Stream | 'd' | 'u';
  bytes: Buffer;
  at: Place;
  next: Place;
}
/** Everything before `next` has been taken, but for the begun line of each stream. */
interface Position {
  next: Place;
  begun: Partial<Record<Stream, Place>>;
}

const START: Place = { segment: 0, offset: 0, taken: 0 };
const isBefore = (a: Place, b: Place): boolean =>
  a.segment !== b.segment ? a.segment < b.segment : a.offset < b.offset;

const formatPlace = ({ segment, offset, taken }: Place): string => `${segment}.${offset}.${taken}`;
const parsePlace = (text: string): Place => {
  const [segment = 0, offset = 0, taken = 0] = text.split('.').map(Number);
  return { segment, offset, taken };
};

/** `next:begun o:begun e`, the last two empty where no line is begun. Opaque to others. */
function formatPosition({ next, begun }: Position): string {
  return [next, begun.o, begun.e].map(place => (place === undefined ? '' : formatPlace(place))).join(':');
}

export function parsePosition(text: string | undefined): Position {
  const [next = '', o = '', e = ''] = (text ?? '').split(':');
  return {
    next: next === '' ? START : parsePlace(next),
    begun: { ...(o === '' ? {} : { o: parsePlace(o) }), ...(e === '' ? {} : { e: parsePlace(e) }) },
  };
}

/** Whole records of one segment from `offset` on; a torn last one is left for the next read. */
export function parseRecords(buffer: Buffer, { segment, offset }: { segment: number; offset: number }): Chunk[] {
  const chunks: Chunk[] = [];
  let at = 0;
  for (;;) {
    const newline = buffer.indexOf(10, at);
    if (newline < 0) return chunks;
    const [time = '', stream = '', length = ''] = buffer.toString('latin1', at, newline).split(' ');
    const end = newline + 1 + Number(length);
    if (!(end <= buffer.length)) return chunks;
    chunks.push({
      timestampMs: Number(time),
      stream: stream as Chunk['stream'],
      bytes: buffer.subarray(newline + 1, end),
      at: { segment, offset: offset + at, taken: 0 },
      next: { segment, offset: offset + end, taken: 0 },
    });
    at = end;
  }
}

interface Begun {
  bytes: Buffer;
  timestampMs: number;
  /** Where its first byte lies. */
  place: Place;
}
export type Line = OutputLine & { position: string };

/** Joins chunks to lines, for each stream apart, going on from a position: chunks may begin before it. */
export function lineSplitter(from: Position): { push(chunk: Chunk): Line[]; flush(): Line[] } {
  let next = from.next;
  const begun: Record<Stream, Begun | undefined> = { o: undefined, e: undefined };

  const position = (): string =>
    formatPosition({
      next,
      begun: {
        ...(begun.o === undefined ? {} : { o: begun.o.place }),
        ...(begun.e === undefined ? {} : { e: begun.e.place }),
      },
    });
  const emit = (stream: Stream, bytes: Buffer, timestampMs: number): Line => ({
    stream: stream === 'o' ? 'out' : 'err',
    timestampMs,
    line: bytes.toString('utf8').replace(/\r$/, ''),
    droppedBytes: 0,
    unreadBytes: 0,
    position: position(),
  });

  /** How much of a chunk was taken before the position; null: all of it. */
  const takenOf = ({ stream, at }: Chunk): number | null => {
    if (!isBefore(at, from.next)) return 0;
    if (stream === 'd' || stream === 'u') return null;
    const first = from.begun[stream];
    if (first === undefined || isBefore(at, first)) return null;
    return isBefore(first, at) ? 0 : first.taken;
  };

  const split = (stream: Stream, { timestampMs, bytes, at }: Chunk, taken: number): Line[] => {
    const held = begun[stream];
    const heldLength = held?.bytes.length ?? 0;
    const data = held === undefined ? bytes.subarray(taken) : Buffer.concat([held.bytes, bytes.subarray(taken)]);
    // What was held has no newline and is shorter than a line may be, so a cut is always in the new bytes.
    const begin = (cut: number): Begun | undefined => {
      if (cut === data.length) return undefined;
      if (cut === 0 && held !== undefined) return { ...held, bytes: data };
      return { bytes: data.subarray(cut), timestampMs, place: { ...at, taken: taken + cut - heldLength } };
    };
    const lines: Line[] = [];
    let done = 0;
    for (;;) {
      const newline = data.indexOf(10, done);
      if (newline < 0 && data.length - done < LINE_MAX) break;
      const isWhole = newline >= 0 && newline - done <= LINE_MAX;
      const end = isWhole ? newline : done + LINE_MAX;
      const text = data.subarray(done, end);
      done = isWhole ? end + 1 : end;
      begun[stream] = begin(done);
      lines.push(emit(stream, text, timestampMs));
    }
    const rest = begin(done);
    // Copied: it would keep the whole read from being freed.
    begun[stream] = rest === undefined ? undefined : { ...rest, bytes: Buffer.from(rest.bytes) };
    return lines;
  };

  return {
    push: chunk => {
      const taken = takenOf(chunk);
      if (taken === null) return [];
      if (!isBefore(chunk.at, from.next)) next = chunk.next;
      if (chunk.stream === 'o' || chunk.stream === 'e') return split(chunk.stream, chunk, taken);
      // Said at once: an app that prints nothing but surplus would never be told.
      const bytes = Number(chunk.bytes.toString('latin1'));
      const [droppedBytes, unreadBytes] = chunk.stream === 'd' ? [bytes, 0] : [0, bytes];
      const { timestampMs } = chunk;
      return [{ stream: 'err', timestampMs, line: '', droppedBytes, unreadBytes, position: position() }];
    },
    flush: () =>
      (['o', 'e'] as const).flatMap(stream => {
        const last = begun[stream];
        begun[stream] = undefined;
        return last === undefined ? [] : [emit(stream, last.bytes, last.timestampMs)];
      }),
  };
}

/** Where output is kept: by a shim, or by an engine. */
export interface Log {
  /** Changes whenever something is written. */
  folder: string;
  /** Every record after a place, and how much is gone that was not read. */
  readOn(from: Place): Iterable<Chunk>;
  /** Takes out what is too much, and tells of it now and then. */
  limit?: { pass(line: Line): Line[]; rest(isLast: boolean): Line[] };
}

/** Lines of what a shim keeps in its folder, as `followLog`. */
export function followOutput(folder: string, from: string | undefined, ended: Promise<unknown>): AsyncIterable<Line> {
  return followLog({ folder, readOn: at => readOn(folder, at) }, from, ended);
}

/**
 * Lines of a sandbox as they come, then to the end once `ended` resolves. Woken by the file system (1 ms), with a slow look as a net.
 */
export async function* followLog(log: Log, from: string | undefined, ended: Promise<unknown>): AsyncIterable<Line> {
  const position = parsePosition(from);
  const splitter = lineSplitter(position);
  const { pass, rest } = log.limit ?? { pass: (line: Line) => [line], rest: () => [] };
  let readTo = [position.next, position.begun.o, position.begun.e]
    .filter(place => place !== undefined)
    .reduce((first, place) => (isBefore(place, first) ? place : first));
  let over = false;
  let wake = Promise.withResolvers<void>();
  const poke = (): void => wake.resolve();
  void ended.then(() => {
    over = true;
    poke();
  });
  const watcher = existsSync(log.folder) ? watch(log.folder, { persistent: false }, poke) : null;
  watcher?.on('error', poke);
  const net = setInterval(poke, LOOK_ANYWAY_MS);
  net.unref();
  try {
    for (;;) {
      const isLast = over;
      wake = Promise.withResolvers();
      for (const chunk of log.readOn(readTo)) {
        readTo = chunk.next;
        for (const line of splitter.push(chunk)) yield* pass(line);
      }
      if (isLast) break;
      yield* rest(false);
      await wake.promise;
    }
    for (const line of splitter.flush()) yield* pass(line);
    yield* rest(true);
  } finally {
    clearInterval(net);
    watcher?.close();
  }
}

/** Every record after a place, segment by segment. Where segments are gone that were not read to their end, how much that was. */
function* readOn(folder: string, from: Place): Iterable<Chunk> {
  let at = from.segment === START.segment ? { ...START, segment: 1 } : from;
  for (const segment of segmentsFrom(folder, at.segment)) {
    const isNext = segment === at.segment;
    const buffer = readFrom(join(folder, `log.${segment}`), isNext ? at.offset : 0);
    if (buffer === null) continue;
    // Only a segment of that size is followed by another.
    const gone = isNext ? 0 : Math.max(0, SEGMENT_BYTES - at.offset) + (segment - at.segment - 1) * SEGMENT_BYTES;
    const here = { segment, offset: isNext ? at.offset : 0 };
    const records = parseRecords(buffer, here);
    if (gone > 0) {
      const timestampMs = records[0]?.timestampMs ?? Date.now();
      const end = { segment: segment - 1, offset: SEGMENT_BYTES, taken: 0 };
      yield { timestampMs, stream: 'u', bytes: Buffer.from(String(gone)), at: end, next: { ...here, taken: 0 } };
    }
    yield* records;
    at = records.at(-1)?.next ?? { ...here, taken: 0 };
  }
}

function segmentsFrom(folder: string, first: number): number[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return []; // Removed meanwhile.
  }
  return names
    .flatMap(name => /^log\.(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .filter(number => number >= first)
    .sort((a, b) => a - b);
}

/** At most a segment's size, 1 MiB and a record. Null: the shim keeps four segments, and this one went. */
function readFrom(file: string, offset: number): Buffer | null {
  try {
    const fd = openSync(file, 'r');
    try {
      const buffer = Buffer.alloc(Math.max(0, statSync(file).size - offset));
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}
