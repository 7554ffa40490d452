/**
 * What a container has printed, from the files of Docker's json-file driver: read as they lie, by file and byte, since of the engine's own answer to
 * `logs?follow` lines go missing when a file is changed for the next one, and its `since` cannot tell lines of one moment apart (docs/decisions/0030).
 * A file is known by when it was made, which its later names (`.1`, `.2`) do not change; the kernel's clock for that is exact to some 4 ms, and no engine
 * fills one in that time.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Chunk, Line, Log, Place } from '../output.ts';
import { LOG_FILE_BYTES, LOG_FILES } from './container-options.ts';

/** How often at most it is told that lines were dropped (as the shim does). */
const TELL_MS = 1_000;

/** @param path of the newest file, as the engine tells it. */
export function jsonLog(path: string, bytesPerSecond: number): Log {
  return {
    folder: dirname(path),
    readOn: from => readOn(path, from),
    ...(bytesPerSecond < 0 ? {} : { limit: limiter(bytesPerSecond) }),
  };
}

interface LogFile {
  /** When it was made, in microseconds. */
  segment: number;
  fd: number;
}

/** Oldest first. Held open while they are read, so that each is read to its end under whatever name. */
function* readOn(path: string, from: Place): Iterable<Chunk> {
  const files = openFiles(path);
  try {
    let at = from;
    for (const { segment, fd } of files) {
      if (segment < at.segment) continue;
      const offset = segment === at.segment ? at.offset : 0;
      const records = parseEntries(readFrom(fd, offset), { segment, offset });
      // The file that it was read to is no more: the engine has thrown it away, and maybe others after it.
      const isGone = at.segment > 0 && !files.some(file => file.segment === at.segment);
      if (isGone) yield goneBefore(records[0]?.timestampMs ?? Date.now(), at, { segment, offset: 0, taken: 0 });
      yield* records;
      at = records.at(-1)?.next ?? { segment, offset, taken: 0 };
    }
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

/** At least so much: how many files there were in between, nobody knows. */
const goneBefore = (timestampMs: number, at: Place, next: Place): Chunk => ({
  timestampMs,
  stream: 'u',
  bytes: Buffer.from(String(Math.max(1, LOG_FILE_BYTES - at.offset))),
  at: { ...next, segment: next.segment - 1 },
  next,
});

function openFiles(path: string): LogFile[] {
  const names = [path, ...Array.from({ length: LOG_FILES - 1 }, (_, index) => `${path}.${index + 1}`)];
  const found = new Map<number, LogFile>();
  for (const name of names) {
    const fd = openOrNull(name);
    if (fd === null) continue;
    const segment = Number(fstatSync(fd, { bigint: true }).birthtimeNs / 1_000n);
    // Renamed while we looked: seen twice.
    if (found.has(segment)) closeSync(fd);
    else found.set(segment, { segment, fd });
  }
  return [...found.values()].sort((a, b) => a.segment - b.segment);
}

function openOrNull(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch {
    return null; // Not that many yet, or removed with its container.
  }
}

function readFrom(fd: number, offset: number): Buffer {
  const buffer = Buffer.alloc(Math.max(0, fstatSync(fd).size - offset));
  return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
}

/** Whole entries of one file from `offset` on; a torn last one is left for the next read. */
function parseEntries(buffer: Buffer, { segment, offset }: { segment: number; offset: number }): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 0; ; ) {
    const newline = buffer.indexOf(10, at);
    if (newline < 0) return chunks;
    const entry = entryOf(buffer.toString('utf8', at, newline));
    const next = { segment, offset: offset + newline + 1, taken: 0 };
    if (entry !== null) chunks.push({ ...entry, at: { segment, offset: offset + at, taken: 0 }, next });
    at = newline + 1;
  }
}

/** Null for what no engine has written: a line that a full disk has cut. */
function entryOf(text: string): Pick<Chunk, 'timestampMs' | 'stream' | 'bytes'> | null {
  try {
    const { log, stream, time } = JSON.parse(text) as { log?: string; stream: string; time: string };
    return { timestampMs: Date.parse(time), stream: stream === 'stderr' ? 'e' : 'o', bytes: Buffer.from(log ?? '') };
  } catch {
    return null;
  }
}

/** The shim's rule (a bucket that holds a second's worth; whole lines, the newline is free), by the times that the engine gave the lines. */
function limiter(bytesPerSecond: number): NonNullable<Log['limit']> {
  let tokens = bytesPerSecond;
  let filledMs: number | null = null;
  let dropped = 0;
  let last: Line | null = null;
  let toldMs = 0;
  const tell = (isLast: boolean): Line[] => {
    if (dropped === 0 || last === null || (!isLast && last.timestampMs - toldMs < TELL_MS)) return [];
    const told: Line = { ...last, stream: 'err', line: '', droppedBytes: dropped };
    dropped = 0;
    toldMs = last.timestampMs;
    return [told];
  };
  return {
    pass: line => {
      const bytes = Buffer.byteLength(line.line);
      const passedMs = Math.max(0, line.timestampMs - (filledMs ?? line.timestampMs));
      tokens = Math.min(bytesPerSecond, tokens + (passedMs * bytesPerSecond) / 1_000);
      filledMs = Math.max(filledMs ?? 0, line.timestampMs);
      last = line;
      if (line.unreadBytes > 0) return [line];
      if (tokens < 1 || bytes > tokens) {
        dropped += bytes + 1;
        return tell(false);
      }
      tokens -= bytes + 1;
      return [...tell(false), line];
    },
    rest: tell,
  };
}
