/**
 * Logs as Redis streams, for several APIs: any of them answers any read, and followers at each of them hear what was appended at another. Lossy under the
 * same two budgets as on disk, in bytes, kept by Redis itself (redis/scripts.ts). While Redis is away lines are counted instead of written, and nobody waits.
 */
import { connectRedis } from '@cupola/redis/connect';
import { assertAppGuid, isAppGuid } from './app-guid.ts';
import type { LogLine, LogQuery, LogStore } from './log-store.ts';
import { ownLine } from './own-line.ts';
import { type LogCommands, logCommands } from './redis/commands.ts';
import { encodeBatches, idOf } from './redis/entry.ts';
import { createFollowers } from './redis/followers.ts';
import { isWanted } from './wanted.ts';

const MIB = 1024 * 1024;
/** On their way to Redis; beyond it lines are counted instead (ours). */
const UNDER_WAY_MAX_BYTES = 16 * MIB;

export interface RedisLogsOptions {
  /** `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `rediss://`. */
  url: string;
  /** 4 MiB when not given: some 30,000 lines. */
  maxBytesPerApp?: number;
  /** 256 MiB when not given: it is memory of Redis. */
  maxBytesTotal?: number;
  /** Epoch ms. */
  now?: () => number;
}

/** Returns at once; Redis may be away, then and later. */
export function openRedisLogs(options: RedisLogsOptions): LogStore {
  const { url, maxBytesPerApp = 4 * MIB, maxBytesTotal = 256 * MIB, now = Date.now } = options;
  const link = connectRedis(url);
  const ears = connectRedis(url, { isListener: true });
  const commands = logCommands(link, { maxBytesPerApp, maxBytesTotal });
  const followers = createFollowers(ears, commands, link.onReady);
  const writer = openWriter(commands, now);
  return {
    append: async lines => {
      const byApp = Map.groupBy(lines, line => line.appGuid);
      for (const appGuid of byApp.keys()) assertAppGuid(appGuid);
      await Promise.all([...byApp].map(([appGuid, its]) => writer.append(appGuid, its)));
    },
    read: async query => (isAppGuid(query.appGuid) ? readLines(commands, query) : []),
    follow: followers.follow,
    remove: async appGuid => {
      // Redis is away: what stays gives way to newer lines by the budget of all.
      if (isAppGuid(appGuid)) await commands.remove(appGuid).catch(() => undefined);
    },
    close: async () => {
      for (const one of [ears, link]) await one[Symbol.asyncDispose]();
    },
  };
}

function openWriter(commands: LogCommands, now: () => number) {
  /** Lines by app that could not be written, and nobody has been told yet. */
  const lost = new Map<string, number>();
  let underWay = 0;
  const lose = (appGuid: string, count: number): void => {
    lost.set(appGuid, (lost.get(appGuid) ?? 0) + count);
  };

  async function write(appGuid: string, lines: readonly LogLine[]): Promise<void> {
    for (const batch of encodeBatches(lines, now())) {
      if (underWay >= UNDER_WAY_MAX_BYTES) {
        lose(appGuid, batch.count);
        continue;
      }
      underWay += batch.rows.length;
      try {
        await commands.append(appGuid, batch);
      } catch {
        lose(appGuid, batch.count); // It may have been written: then it is said to be lost, and is there.
      } finally {
        underWay -= batch.rows.length;
      }
    }
  }

  return {
    append: async (appGuid: string, lines: readonly LogLine[]): Promise<void> => {
      const before = lost.get(appGuid) ?? 0;
      if (before === 0) return write(appGuid, lines);
      const words = `${before} log lines were lost: they could not be written (is Redis away, or full?)`;
      const notice = ownLine(appGuid, BigInt(now()) * 1_000_000n, words);
      const [first] = encodeBatches([notice], now());
      lost.delete(appGuid);
      // The notice is no line of the app's: when it fails too, it says the same again.
      const said = first === undefined ? Promise.resolve() : commands.append(appGuid, first);
      await Promise.all([said.catch(() => lose(appGuid, before)), write(appGuid, lines)]);
    },
  };
}

async function readLines(commands: LogCommands, query: LogQuery): Promise<LogLine[]> {
  const { appGuid, startNs = 0n, endNs, limit, descending } = query;
  const dropped = (await commands.dropped(appGuid)).filter(line => isWanted(query, line));
  const found: LogLine[] = descending ? [] : dropped;
  const endId = endNs === undefined ? null : idOf(endNs);
  const entries = descending ? commands.before(appGuid, endId) : commands.after(appGuid, idOf(startNs));
  for await (const { floorNs, lastNs, lines } of entries) {
    if (found.length >= limit) break;
    if (descending ? lastNs < startNs : endNs !== undefined && floorNs >= endNs) break;
    for (const line of descending ? lines.toReversed() : lines) if (isWanted(query, line)) found.push(line);
  }
  return (descending ? [...found, ...dropped] : found).slice(0, limit);
}
