/**
 * One view of the store, kept in memory and up to date for all its watchers: a change of the feed is looked up once, whoever watches. What has not changed
 * for the watchers is not sent. A watcher that comes back is told what it missed, or everything when its place in the feed is not known here any more (another
 * epoch, from before this process, or too long ago). Nothing is ever skipped; what was said may be said again.
 */
import type { WatchLine } from '@cupola/contract/internal';
import type { Change, Cursor, Store } from '@cupola/store/store';
import type { Logger } from 'pino';
import { createViewItems } from './view-items.ts';

/** How a view is read. Items are told apart by `guid`; the same content must give the same JSON. */
export interface View<Item extends { guid: string }> {
  name: string;
  all(): Promise<Item[]>;
  /** Those of `guids` that are in the view now. */
  some(guids: readonly string[]): Promise<Item[]>;
  /** Guids of items that these changes may concern; `known` gives the items as they were. */
  concerned(changes: readonly Change[], known: () => Iterable<Item>): Promise<Iterable<string>>;
  /** Epoch ms at which this item must be looked at again though nothing has changed; null: never. */
  dueAtMs?(item: Item): number | null;
}

export interface Hub<Item extends { guid: string }> {
  /** Sends what the watcher misses, then every change, until the returned function is called. Lines come in order. */
  watch(after: Cursor | null, send: (line: WatchLine<Item>) => void): Promise<() => void>;
  /** Where the view is in the feed. */
  cursor(): Promise<Cursor>;
  close(): void;
}

const CHANGES_EACH_READ = 1_000;
/** Looked again at least this often while an item waits for its time: a clock that jumps is noticed. */
const TIMER_MAX_MS = 60_000;

interface Deps {
  store: Pick<Store, 'cursor' | 'changesAfter' | 'subscribe'>;
  log: Logger;
  now(): number;
}

export function createHub<Item extends { guid: string }>(view: View<Item>, { store, log, now }: Deps): Hub<Item> {
  const items = createViewItems<Item>();
  const watchers = new Set<(line: WatchLine<Item>) => void>();
  let at: Cursor | null = null;
  let unsubscribe: (() => void) | null = null;
  let closed = false;
  const turns = inTurns(error => {
    if (!closed)
      log.error({ err: error, view: view.name }, 'a view could not be read; it is tried with the next change');
  });
  const alarm = createAlarm(() => turns.run(lookAtDue), now);

  function tell(lines: readonly WatchLine<Item>[]): void {
    for (const line of lines) for (const send of watchers) send(line);
    if (view.dueAtMs !== undefined && !closed) alarm.setFor(dueTimes(items.values(), view.dueAtMs));
  }

  async function readAll(): Promise<void> {
    const cursor = await store.cursor();
    const all = await view.all();
    const known = [...items.values()].map(({ guid }) => guid);
    const isFirst = at?.epoch !== cursor.epoch;
    at = cursor;
    tell(isFirst ? [items.reset(all, cursor)] : items.take([...known, ...all.map(({ guid }) => guid)], all, cursor));
  }

  /** Up to the newest change. */
  async function catchUp(): Promise<void> {
    if (at === null) return readAll();
    for (;;) {
      const changes: Change[] | null = await store.changesAfter(at, CHANGES_EACH_READ);
      if (changes === null) return readAll();
      const last = changes.at(-1);
      if (last === undefined) return;
      const guids = [...new Set(await view.concerned(changes, () => items.values()))];
      const cursor: Cursor = { epoch: at.epoch, revision: last.revision };
      const lines = guids.length === 0 ? [] : items.take(guids, await view.some(guids), cursor);
      at = cursor;
      if (lines.length > 0) tell(lines);
    }
  }

  /** Items that change by themselves as time goes by. */
  async function lookAtDue(): Promise<void> {
    if (at === null || view.dueAtMs === undefined) return;
    const due = [...items.values()].filter(item => (view.dueAtMs?.(item) ?? Infinity) <= now());
    const guids = due.map(({ guid }) => guid);
    tell(guids.length === 0 ? [] : items.take(guids, await view.some(guids), at));
  }

  return {
    watch: (after, send) =>
      turns.ask(async () => {
        unsubscribe ??= store.subscribe(() => turns.once(catchUp));
        await catchUp();
        if (at === null) throw new Error(`the view ${view.name} has no place in the feed`);
        for (const line of items.missed(after, at)) send(line);
        watchers.add(send);
        return () => void watchers.delete(send);
      }),
    cursor: () =>
      turns.ask(async () => {
        await catchUp();
        return at ?? (await store.cursor());
      }),
    close: () => {
      closed = true;
      alarm.stop();
      unsubscribe?.();
      watchers.clear();
    },
  };
}

interface Turns {
  /** After all that was begun before: what is sent stays in order. */
  ask<T>(work: () => Promise<T>): Promise<T>;
  /** As `ask`; a failure is reported, nobody waits. */
  run(work: () => Promise<void>): void;
  /** As `run`, unless such a turn waits already: it will see what this one would. */
  once(work: () => Promise<void>): void;
}

function inTurns(failed: (error: unknown) => void): Turns {
  let queue: Promise<unknown> = Promise.resolve();
  let isWaiting = false;
  const ask = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = queue.then(work);
    queue = mine.catch(() => undefined);
    return mine;
  };
  const run = (work: () => Promise<void>): void => void ask(work).catch(failed);
  return {
    ask,
    run,
    once: work => {
      if (isWaiting) return;
      isWaiting = true;
      run(() => {
        isWaiting = false;
        return work();
      });
    },
  };
}

function dueTimes<Item>(items: Iterable<Item>, dueAtMs: (item: Item) => number | null): number {
  let next = Infinity;
  for (const item of items) next = Math.min(next, dueAtMs(item) ?? Infinity);
  return next;
}

function createAlarm(ring: () => void, now: () => number): { setFor(atMs: number): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    setFor: atMs => {
      clearTimeout(timer);
      if (atMs === Infinity) return;
      timer = setTimeout(ring, Math.min(Math.max(atMs - now(), 1), TIMER_MAX_MS));
      timer.unref();
    },
    stop: () => clearTimeout(timer),
  };
}
