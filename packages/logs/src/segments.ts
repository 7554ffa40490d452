/**
 * Logs as segment files: FOLDER/APP-GUID/NUMBER.log, one JSON line each, a batch in one write, never fsynced. Lossy under a budget: the oldest segment
 * of an app goes first, and the number of lines that went is said by a line of its own. A torn last line (a kill in a write) is left out when read.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogLine, LogQuery, LogStore } from './log-store.ts';

const SEGMENT_BYTES = 1024 * 1024;

export interface SegmentLogsOptions {
  folder: string;
  /** Of one app, in bytes; 4 MiB when not given: some 30,000 lines. */
  maxBytesPerApp?: number;
  /** Epoch ms. */
  now?: () => number;
}

interface Segment {
  number: number;
  bytes: number;
  lines: number;
}
interface AppLog {
  segments: Segment[];
  newestNs: bigint;
  lost: number;
  /** Appends of one app go one after another. */
  tail: Promise<void>;
}

export function openSegmentLogs({
  folder,
  maxBytesPerApp = 4 * SEGMENT_BYTES,
  now = Date.now,
}: SegmentLogsOptions): LogStore {
  mkdirSync(folder, { recursive: true });
  const apps = new Map<string, AppLog>();
  const followers = new Map<string, Set<(lines: readonly LogLine[]) => void>>();
  const file = (appGuid: string, number: number): string => join(folder, appGuid, `${number}.log`);

  function appLog(appGuid: string): AppLog {
    const known = apps.get(appGuid);
    if (known !== undefined) return known;
    const made = loadApp(join(folder, appGuid));
    apps.set(appGuid, made);
    return made;
  }

  /** Times become unique and rising for each app, also across restarts: readers ask for "after that one". */
  function stamp(log: AppLog, lines: readonly LogLine[]): LogLine[] {
    return lines.map(line => {
      log.newestNs = line.timestampNs > log.newestNs ? line.timestampNs : log.newestNs + 1n;
      return { ...line, timestampNs: log.newestNs };
    });
  }

  async function write(appGuid: string, log: AppLog, lines: readonly LogLine[]): Promise<void> {
    let last = log.segments.at(-1);
    if (last === undefined || last.bytes >= SEGMENT_BYTES) {
      last = { number: (last?.number ?? 0) + 1, bytes: 0, lines: 0 };
      log.segments.push(last);
    }
    const text = lines.map(encode).join('');
    try {
      if (last.bytes === 0) await mkdir(join(folder, appGuid), { recursive: true });
      await appendFile(file(appGuid, last.number), text);
      last.bytes += Buffer.byteLength(text);
      last.lines += lines.length;
    } catch {
      log.lost += lines.length; // Disk full: counted, and said with the next batch that fits.
    }
    while (log.segments.length > 1 && log.segments.reduce((sum, segment) => sum + segment.bytes, 0) > maxBytesPerApp) {
      const oldest = log.segments.shift();
      if (oldest !== undefined) await rm(file(appGuid, oldest.number), { force: true });
    }
  }

  async function appendTo(appGuid: string, lines: readonly LogLine[]): Promise<void> {
    const log = appLog(appGuid);
    const lost = log.lost;
    log.lost = 0;
    const notice: LogLine[] =
      lost === 0
        ? []
        : [
            {
              appGuid,
              sourceType: 'API',
              instanceId: '0',
              type: 'ERR',
              timestampNs: BigInt(now()) * 1_000_000n,
              line: `${lost} log lines were lost: the disk was full`,
            },
          ];
    const stamped = stamp(log, [...notice, ...lines]);
    log.tail = log.tail.then(() => write(appGuid, log, stamped));
    await log.tail;
    for (const listener of followers.get(appGuid) ?? []) listener(stamped);
  }

  return {
    append: async lines => {
      const byApp = Map.groupBy(lines, line => line.appGuid);
      await Promise.all([...byApp].map(([appGuid, of]) => appendTo(appGuid, of)));
    },
    read: async query => {
      const log = appLog(query.appGuid);
      await log.tail;
      const numbers = log.segments.map(({ number }) => number);
      return readSegments(query, query.descending ? numbers.toReversed() : numbers, number =>
        file(query.appGuid, number),
      );
    },
    follow: (appGuid, listener) => {
      const set = followers.get(appGuid) ?? new Set();
      followers.set(appGuid, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0 && followers.get(appGuid) === set) followers.delete(appGuid);
      };
    },
    remove: async appGuid => {
      await apps.get(appGuid)?.tail;
      apps.delete(appGuid);
      await rm(join(folder, appGuid), { recursive: true, force: true });
    },
    close: async () => {
      await Promise.all([...apps.values()].map(log => log.tail));
    },
  };
}

/** Reads only as many segments as the limit needs. */
async function readSegments(
  query: LogQuery,
  numbers: readonly number[],
  file: (number: number) => string,
): Promise<LogLine[]> {
  const found: LogLine[] = [];
  const wanted = (line: LogLine): boolean =>
    (query.startNs === undefined || line.timestampNs >= query.startNs) &&
    (query.endNs === undefined || line.timestampNs < query.endNs) &&
    (query.sourceTypes === undefined ||
      query.sourceTypes.some(type =>
        type.endsWith('/') ? line.sourceType.startsWith(type) : line.sourceType === type,
      ));
  for (const number of numbers) {
    const text = await readFile(file(number), 'utf8').catch(() => ''); // Gone under the budget since.
    const lines = text
      .split('\n')
      .flatMap(row => decode(row, query.appGuid))
      .filter(wanted);
    found.push(...(query.descending ? lines.toReversed() : lines));
    const oldest = lines[0];
    if (found.length >= query.limit) break;
    if (query.descending && query.startNs !== undefined && oldest !== undefined && oldest.timestampNs < query.startNs)
      break;
  }
  return found.slice(0, query.limit);
}

const encode = (line: LogLine): string =>
  `${JSON.stringify([String(line.timestampNs), line.sourceType, line.instanceId, line.type === 'OUT' ? 0 : 1, line.line])}\n`;

/** Nothing for an empty or torn row. */
function decode(row: string, appGuid: string): LogLine[] {
  if (row === '') return [];
  try {
    const [timestamp, sourceType, instanceId, type, line] = JSON.parse(row) as [string, string, string, number, string];
    return [
      { appGuid, sourceType, instanceId, type: type === 0 ? 'OUT' : 'ERR', timestampNs: BigInt(timestamp), line },
    ];
  } catch {
    return [];
  }
}

function loadApp(folder: string): AppLog {
  const log: AppLog = { segments: [], newestNs: 0n, lost: 0, tail: Promise.resolve() };
  try {
    const numbers = readdirSync(folder)
      .filter(name => /^\d+\.log$/.test(name))
      .map(name => Number.parseInt(name, 10))
      .sort((a, b) => a - b);
    for (const number of numbers)
      log.segments.push({ number, bytes: statSync(join(folder, `${number}.log`)).size, lines: 0 });
  } catch {
    return log; // The app has no lines yet.
  }
  const last = log.segments.at(-1);
  if (last !== undefined) {
    const rows = readFileSync(join(folder, `${last.number}.log`), 'utf8')
      .split('\n')
      .flatMap(row => decode(row, ''));
    log.newestNs = rows.at(-1)?.timestampNs ?? 0n;
    // A torn last row must not swallow the next one: go on in a new segment.
    log.segments.push({ number: last.number + 1, bytes: 0, lines: 0 });
  }
  return log;
}
