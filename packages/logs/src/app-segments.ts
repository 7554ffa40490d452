/**
 * One app's lines on disk: FOLDER/FIRST-BEFORE.log, where FIRST is the time of its first line in ns and BEFORE counts the app's lines before it. So names
 * alone tell where to read, and how many lines went when the oldest segments are gone. Callers write one batch at a time; reads may run beside it.
 */
import { readdirSync, statSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogLine, LogQuery } from './log-store.ts';
import { droppedLine } from './own-line.ts';
import { decodeRow, encodeRow } from './row.ts';
import { isWanted } from './wanted.ts';

interface Segment {
  firstNs: bigint;
  linesBefore: number;
  bytes: number;
}

export interface AppSegments {
  readonly bytes: number;
  readonly count: number;
  /** Cuts a torn last row off, which would swallow the next one; resolves to the newest time, 0n when there is none. Once, before the first write. */
  recover(): Promise<bigint>;
  /** Resolves to the number of lines that could not be written; of a failed write nothing is left. */
  write(lines: readonly LogLine[]): Promise<number>;
  read(query: LogQuery): Promise<LogLine[]>;
  /** Even the only one. */
  dropOldest(): Promise<void>;
  removeAll(): Promise<void>;
}

interface AppSegmentsOptions {
  appGuid: string;
  /** Of this app; need not exist. */
  folder: string;
  /** A segment that has as many is followed by a new one. */
  segmentBytes: number;
}

export function appSegments({ appGuid, folder, segmentBytes }: AppSegmentsOptions): AppSegments {
  const segments = findSegments(folder);
  let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  /** Lines ever written. */
  let lines = 0;
  const fileOf = (segment: Segment): string => join(folder, `${segment.firstNs}-${segment.linesBefore}.log`);

  function resize(segment: Segment, to: number): void {
    bytes += to - segment.bytes;
    segment.bytes = to;
  }

  async function recover(): Promise<bigint> {
    const last = segments.at(-1);
    if (last === undefined) return 0n;
    const found = await readFile(fileOf(last)).catch(() => Buffer.alloc(0));
    const whole = found.lastIndexOf(0x0a) + 1;
    await truncate(fileOf(last), whole).catch(() => undefined); // Where that fails too, the torn row costs its neighbour.
    resize(last, whole);
    const rows = found.toString('utf8', 0, whole).split('\n').slice(0, -1);
    lines = last.linesBefore + rows.length;
    const newest = rows.findLast(row => decodeRow(row, appGuid) !== null) ?? '';
    return decodeRow(newest, appGuid)?.timestampNs ?? last.firstNs;
  }

  async function writeTo(segment: Segment, rows: string): Promise<boolean> {
    const added = Buffer.from(rows);
    const before = segment.bytes;
    try {
      if (before === 0) await mkdir(folder, { recursive: true });
      await appendFile(fileOf(segment), added);
      resize(segment, before + added.length);
      return true;
    } catch {
      // Half of it may be there. Where taking it back fails too, the torn row costs its neighbour.
      await (before === 0 ? rm(fileOf(segment), { force: true }) : truncate(fileOf(segment), before)).catch(
        () => undefined,
      );
      return false;
    }
  }

  async function write(batch: readonly LogLine[]): Promise<number> {
    let failed = 0;
    for (let at = 0; at < batch.length; ) {
      let last = segments.at(-1);
      if (last === undefined || last.bytes >= segmentBytes) {
        last = { firstNs: batch[at]?.timestampNs ?? 0n, linesBefore: lines, bytes: 0 };
        segments.push(last);
      }
      const from = at;
      let rows = '';
      while (at < batch.length && last.bytes + rows.length < segmentBytes) rows += encodeRow(batch[at++] as LogLine);
      if (await writeTo(last, rows)) lines += at - from;
      else failed += at - from;
      if (last.bytes === 0) segments.pop();
    }
    return failed;
  }

  return {
    get bytes() {
      return bytes;
    },
    get count() {
      return segments.length;
    },
    recover,
    write,
    read: query => readSegments(query, [...segments], fileOf),
    dropOldest: async () => {
      const oldest = segments.shift();
      if (oldest === undefined) return;
      bytes -= oldest.bytes;
      await rm(fileOf(oldest), { force: true });
    },
    removeAll: async () => {
      segments.length = 0;
      bytes = 0;
      lines = 0;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function findSegments(folder: string): Segment[] {
  const found: Segment[] = [];
  for (const name of statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : []) {
    const [, firstNs, linesBefore] = /^(\d+)-(\d+)\.log$/.exec(name) ?? [];
    if (firstNs === undefined) continue;
    const bytes = statSync(join(folder, name)).size;
    found.push({ firstNs: BigInt(firstNs), linesBefore: Number(linesBefore), bytes });
  }
  return found.sort((a, b) => a.linesBefore - b.linesBefore);
}

/** Reads one segment at a time, and only those that the times and the limit need. */
async function readSegments(
  query: LogQuery,
  segments: readonly Segment[],
  fileOf: (segment: Segment) => string,
): Promise<LogLine[]> {
  const { startNs = 0n, endNs, limit, descending } = query;
  const begun = segments.filter(({ firstNs }) => endNs === undefined || firstNs < endNs);
  const first = begun.findLastIndex(({ firstNs }) => firstNs <= startNs);
  const needed = begun.slice(Math.max(first, 0));
  const dropped = droppedNotice(query, segments[0]);
  const found: LogLine[] = descending ? [] : dropped;
  for (const segment of descending ? needed.toReversed() : needed) {
    if (found.length >= limit) break;
    const rows = (await readFile(fileOf(segment), 'utf8').catch(whenMissing)).split('\n');
    for (let at = 0; at < rows.length && found.length < limit; at++) {
      const line = decodeRow(rows.at(descending ? -1 - at : at) ?? '', query.appGuid);
      if (line !== null && isWanted(query, line)) found.push(line);
    }
  }
  return (descending ? [...found, ...dropped] : found).slice(0, limit);
}

/** Says at the oldest end how many lines are gone, to whom asks for times from before it. */
function droppedNotice(query: LogQuery, oldest: Segment | undefined): LogLine[] {
  if (oldest === undefined || oldest.linesBefore === 0) return [];
  const notice = droppedLine(query.appGuid, { timestampNs: oldest.firstNs - 1n, count: oldest.linesBefore });
  return isWanted(query, notice) ? [notice] : [];
}

/** Dropped while it was to be read. */
function whenMissing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}
