/**
 * One app's log: batches go in one after another; the oldest segment goes when the app is over its budget. Times become unique and rising, also across
 * restarts, since readers ask for "what came after that one".
 */
import type { AppSegments } from './app-segments.ts';
import { claimedNs } from './claimed-time.ts';
import type { LogLine, LogQuery } from './log-store.ts';
import { ownLine } from './own-line.ts';

export interface AppLog {
  readonly bytes: number;
  /** Nothing waits to be written. */
  readonly isIdle: boolean;
  /** Writes a batch and resolves to its lines as stamped. Lines that cannot be written are counted, and a later batch says how many. */
  append(lines: readonly LogLine[]): Promise<LogLine[]>;
  read(query: LogQuery): Promise<LogLine[]>;
  /** Removes the oldest segment, even the only one. */
  dropOldest(): Promise<void>;
  remove(): Promise<void>;
  settled(): Promise<void>;
}

interface AppLogOptions {
  appGuid: string;
  segments: AppSegments;
  maxBytes: number;
  /** Epoch ms. */
  now(): number;
}

export function appLog({ appGuid, segments, maxBytes, now }: AppLogOptions): AppLog {
  let newestNs = 0n;
  /** Lost by failed writes and not said yet. */
  let lost = 0;
  let waiting = 0;
  let tail = Promise.resolve();

  /** One after another. What fails is its caller's; the next one runs all the same. */
  function inOrder<T>(work: () => Promise<T>): Promise<T> {
    waiting++;
    const result = tail.then(work);
    const over = (): void => {
      waiting--;
    };
    tail = result.then(over, over);
    return result;
  }

  void inOrder(async () => {
    newestNs = await segments.recover();
  });

  function stamp(line: LogLine): LogLine {
    const claimed = claimedNs(line, now());
    newestNs = claimed > newestNs ? claimed : newestNs + 1n;
    return { ...line, timestampNs: newestNs };
  }

  /** Nothing when nothing was lost, or when the notice cannot be written either. */
  async function sayLoss(): Promise<LogLine[]> {
    if (lost === 0) return [];
    const words = `${lost} log lines were lost: they could not be written (is the disk full?)`;
    const notice = stamp(ownLine(appGuid, BigInt(now()) * 1_000_000n, words));
    if ((await segments.write([notice])) > 0) return [];
    lost = 0;
    return [notice];
  }

  return {
    get bytes() {
      return segments.bytes;
    },
    get isIdle() {
      return waiting === 0;
    },
    append: batch =>
      inOrder(async () => {
        const said = await sayLoss();
        const stamped = batch.map(stamp);
        lost += await segments.write(stamped);
        while (segments.count > 1 && segments.bytes > maxBytes) await segments.dropOldest();
        return [...said, ...stamped];
      }),
    read: async query => {
      await tail;
      return segments.read(query);
    },
    dropOldest: () => inOrder(() => segments.dropOldest()),
    remove: () => inOrder(() => segments.removeAll()),
    settled: () => tail,
  };
}
