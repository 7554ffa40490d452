/**
 * A log store whose followed apps have their newest lines in memory: who follows reads what came since the last read without a file being read and its rows
 * parsed for each reader, and a burst that pushes lines off the disk faster than a follower asks is not lost to it. Bounded, for an app and in all; what is
 * older than what is kept is read from the store below, which says what it has dropped.
 */
import type { LogLine, LogQuery, LogStore } from './log-store.ts';

/** So long after its last follower and its last read an app's lines leave memory (ours: followers ask again within milliseconds). */
const KEEP_MS = 10_000;
const MIB = 1024 * 1024;

export interface RecentOptions {
  /** 32 MiB when not given: some 40,000 lines. */
  maxBytesPerApp?: number;
  /** 64 MiB when not given. */
  maxBytesTotal?: number;
  /** Ms on a clock that never jumps. */
  monotonic?: () => number;
}

/** Lines of one app, in the order of their times, which are unique. */
interface Window {
  /** Batches as they were appended; none is empty. */
  batches: Array<readonly LogLine[]>;
  bytes: number;
  /** Every line of this time or later is here; null: not known yet. */
  coveredFromNs: bigint | null;
  followers: number;
  usedMs: number;
  stop(): void;
}

/** About what a line takes, with what is made of it for its readers. */
const bytesOf = (lines: readonly LogLine[]): number => lines.reduce((sum, { line }) => sum + 600 + 2 * line.length, 0);

/** The windows of all apps that have one, within their bounds. */
function openWindows(logs: LogStore, options: RecentOptions) {
  const { maxBytesPerApp = 32 * MIB, maxBytesTotal = 64 * MIB, monotonic = () => performance.now() } = options;
  const windows = new Map<string, Window>();
  let total = 0;

  const empty = (window: Window): void => {
    total -= window.bytes;
    Object.assign(window, { batches: [], bytes: 0, coveredFromNs: null });
  };
  const dropOldest = (window: Window): void => {
    const dropped = window.batches.shift() ?? [];
    const bytes = bytesOf(dropped);
    window.bytes -= bytes;
    total -= bytes;
    window.coveredFromNs = (dropped.at(-1)?.timestampNs ?? 0n) + 1n;
  };
  const take = (window: Window, lines: readonly LogLine[]): void => {
    if (lines.length === 0) return;
    const bytes = bytesOf(lines);
    window.batches.push(lines);
    window.bytes += bytes;
    total += bytes;
    // What came while nobody knew yet is whole from its first line on.
    window.coveredFromNs ??= lines[0]?.timestampNs ?? null;
    while (window.bytes > maxBytesPerApp) dropOldest(window);
    while (total > maxBytesTotal)
      dropOldest([...windows.values()].reduce((most, one) => (one.bytes > most.bytes ? one : most)));
  };
  const close = (isUnused: (window: Window) => boolean): void => {
    for (const [appGuid, window] of windows) {
      if (!isUnused(window)) continue;
      window.stop();
      empty(window);
      windows.delete(appGuid);
    }
  };
  const timer = setInterval(
    () => close(({ followers, usedMs }) => followers === 0 && monotonic() - usedMs > KEEP_MS),
    KEEP_MS,
  ).unref();
  return {
    get: (appGuid: string) => windows.get(appGuid),
    open: (appGuid: string): Window => {
      const known = windows.get(appGuid);
      if (known !== undefined) return known;
      const window: Window = {
        batches: [],
        bytes: 0,
        coveredFromNs: null,
        followers: 0,
        usedMs: monotonic(),
        stop: logs.follow(appGuid, lines => take(window, lines)),
      };
      windows.set(appGuid, window);
      return window;
    },
    use: (window: Window): void => {
      window.usedMs = monotonic();
    },
    empty,
    end: (): void => {
      clearInterval(timer);
      close(() => true);
    },
  };
}

export function withRecent(logs: LogStore, options: RecentOptions = {}): LogStore & AsyncDisposable {
  const windows = openWindows(logs, options);
  /** Where nothing has come since the window was opened, it holds all that comes after the newest line. */
  const coverage = async (appGuid: string, window: Window): Promise<bigint> => {
    if (window.coveredFromNs === null) {
      const [newest] = await logs.read({ appGuid, limit: 1, descending: true });
      window.coveredFromNs ??= newest === undefined ? 0n : newest.timestampNs + 1n;
    }
    return window.coveredFromNs;
  };

  return {
    ...logs,
    read: async query => {
      const window = windows.get(query.appGuid);
      if (window === undefined || query.descending || query.startNs === undefined) return logs.read(query);
      windows.use(window);
      const from = await coverage(query.appGuid, window);
      return query.startNs >= from ? linesOf(window, query) : logs.read(query);
    },
    follow: (appGuid, listener) => {
      // Before the listener: who is woken by it finds the lines there.
      const window = windows.open(appGuid);
      window.followers++;
      const stop = logs.follow(appGuid, listener);
      let isOver = false;
      return () => {
        stop();
        if (isOver) return;
        isOver = true;
        window.followers--;
        windows.use(window);
      };
    },
    remove: async appGuid => {
      await logs.remove(appGuid);
      const window = windows.get(appGuid);
      // Its times may begin anew.
      if (window !== undefined) windows.empty(window);
    },
    [Symbol.asyncDispose]: async () => windows.end(),
  };
}

function linesOf({ batches }: Window, query: LogQuery): LogLine[] {
  const { startNs = 0n, endNs, limit, sourceTypes } = query;
  const found: LogLine[] = [];
  const isWanted = ({ timestampNs, sourceType }: LogLine): boolean =>
    (endNs === undefined || timestampNs < endNs) &&
    (sourceTypes === undefined ||
      sourceTypes.some(type => (type.endsWith('/') ? sourceType.startsWith(type) : sourceType === type)));
  const first = firstIndex(batches, batch => (batch.at(-1)?.timestampNs ?? 0n) >= startNs);
  for (let at = first; at < batches.length && found.length < limit; at++) {
    const batch = batches[at] ?? [];
    const from = at === first ? firstIndex(batch, line => line.timestampNs >= startNs) : 0;
    for (let index = from; index < batch.length && found.length < limit; index++) {
      const line = batch[index] as LogLine;
      if (isWanted(line)) found.push(line);
    }
  }
  return found;
}

/** Of the first for which it holds, as it does for all after it; the length when for none. */
function firstIndex<T>(all: readonly T[], holds: (one: T) => boolean): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(all[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
