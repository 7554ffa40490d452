/** What the log store asks of Redis, with what comes back parsed. */
import type { RedisLink } from '@cupola/redis/connect';
import { LogsUnavailableError } from '../errors.ts';
import type { LogLine } from '../log-store.ts';
import { droppedLine } from '../own-line.ts';
import { type Batch, type Entry, readEntry, timeOf } from './entry.ts';
import { APPEND, BOOKS, DROPPED, NEWEST, REMOVE, streamOf } from './scripts.ts';

/** Entries of one answer: each has up to 64 KiB. */
const PAGE = 64;

interface Budgets {
  maxBytesPerApp: number;
  maxBytesTotal: number;
}

/** All @throw what the connection throws, but for reads: LogsUnavailableError. */
export interface LogCommands {
  append(appGuid: string, batch: Batch): Promise<void>;
  remove(appGuid: string): Promise<void>;
  /** Time of the newest line; 0n when there is none. */
  newestNs(appGuid: string): Promise<bigint>;
  /** Where lines were dropped, the line that says how many. */
  dropped(appGuid: string): Promise<LogLine[]>;
  /** Entries with any line from this time on, the oldest first. */
  after(appGuid: string, fromId: string): AsyncGenerator<Entry>;
  /** Entries that begin before the time of `endId`, the newest first. */
  before(appGuid: string, endId: string | null): AsyncGenerator<Entry>;
}

export function logCommands(link: RedisLink, { maxBytesPerApp, maxBytesTotal }: Budgets): LogCommands {
  const { client } = link;
  client.defineCommand('cupolaAppend', { numberOfKeys: BOOKS.length, lua: APPEND });
  client.defineCommand('cupolaRemove', { numberOfKeys: BOOKS.length, lua: REMOVE });
  const scripts = client as unknown as Record<
    'cupolaAppend' | 'cupolaRemove',
    (...words: unknown[]) => Promise<unknown>
  >;

  async function read<T>(commands: () => Promise<T>): Promise<T> {
    try {
      return await link.run(commands);
    } catch (cause) {
      throw new LogsUnavailableError({ cause });
    }
  }

  async function* pages(appGuid: string, next: (last: string | null) => Promise<Array<[string, string[]]>>) {
    for (let last: string | null = null; ; ) {
      const page = await read(() => next(last));
      for (const reply of page) yield readEntry(appGuid, reply);
      if (page.length < PAGE) return;
      last = page.at(-1)?.[0] ?? null;
    }
  }

  return {
    append: async (appGuid, { lastId, count, rows }) => {
      await link.run(() => scripts.cupolaAppend(...BOOKS, appGuid, lastId, count, rows, maxBytesPerApp, maxBytesTotal));
    },
    remove: async appGuid => {
      await link.run(() => scripts.cupolaRemove(...BOOKS, appGuid));
    },
    newestNs: async appGuid => timeOf((await read(() => client.hget(NEWEST, appGuid))) ?? '0-0'),
    dropped: async appGuid => {
      const [count, id] = ((await read(() => client.hget(DROPPED, appGuid))) ?? '').split(' ');
      return id === undefined ? [] : [droppedLine(appGuid, { timestampNs: timeOf(id), count: Number(count) })];
    },
    after: (appGuid, fromId) =>
      pages(appGuid, last => client.xrange(streamOf(appGuid), last === null ? fromId : `(${last}`, '+', 'COUNT', PAGE)),
    before: async function* (appGuid, endId) {
      const key = streamOf(appGuid);
      // The one that holds that time may begin before it.
      const [spanning] = endId === null ? [] : await read(() => client.xrange(key, endId, '+', 'COUNT', 1));
      const from = spanning?.[0] ?? '+';
      yield* pages(appGuid, last => client.xrevrange(key, last === null ? from : `(${last}`, '-', 'COUNT', PAGE));
    },
  };
}
