/**
 * Views of the store for many watchers. One reader of the feed for the whole process: it is woken by commits, reads what has changed since, and asks each
 * view which of its items that concerns, so a change costs the same for one watcher as for a thousand. A view is read whole when it is first asked for and
 * kept in memory from then on; one that could not be read is read whole again, and is not called fresh until then.
 *
 * A watcher that comes back is told what it missed, or everything when its place in the feed is not known here any more. Nothing is ever skipped; what was
 * said may be said again.
 */
import { CELL_LIMITS, ROUTER_LIMITS } from '@cupola/model/limits';
import type { ChangeKind } from '@cupola/store/schema';
import type { Change, Cursor, Store } from '@cupola/store/store';
import type { Logger } from 'pino';
import { createLiveView, type LiveView, type View, type Watcher } from './live-view.ts';

export interface Watches<Name extends string> extends Disposable {
  /**
   * Sends what the watcher misses, then every change, as lines of NDJSON in order, until the returned function is called. An empty line each 2 s; a
   * `synced` one twice in each `CELL_LIMITS.syncMs`, as long as the feed can be read. @throws when the store cannot be read.
   */
  watch(name: Name, watcher: Watcher, after: Cursor | null): Promise<() => void>;
}

const SYNC_MS = CELL_LIMITS.syncMs / 2;
const RETRY_MS = 1_000;
const CHANGES_EACH_READ = 1_000;
/** What has come of the scheduler's and the agents' work. Of everything else the scheduler hears first, since an app's start waits for it: a turn of the loop before. */
const AT_ONCE: ReadonlySet<ChangeKind> = new Set(['placement', 'copy']);
/** Node's timers hold no more than 2^31 - 1 ms. */
const TIMER_MAX_MS = 60_000;

interface Deps {
  store: Pick<Store, 'cursor' | 'changesAfter' | 'subscribe'>;
  log: Logger;
  now(): number;
}

export function startWatches<Name extends string>(views: Record<Name, View>, deps: Deps): Watches<Name> {
  const { store, log, now } = deps;
  const lives = new Map<string, LiveView>(
    Object.entries<View>(views).map(([name, view]) => [name, createLiveView(view)]),
  );
  const all = [...lives.values()];
  let at: Cursor | null = null;
  let isClosed = false;
  let isWoken = false;
  let turn: Promise<unknown> = Promise.resolve();
  let dueTimer: NodeJS.Timeout | undefined;
  let retryTimer: NodeJS.Timeout | undefined;

  /** One thing at a time: what is sent stays in the order of the feed. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.then(armDueTimer, armDueTimer);
    return mine;
  }

  function work(what: () => Promise<void>): void {
    inTurn(async () => {
      if (!isClosed) await what();
    }).catch((error: unknown) => {
      if (isClosed) return;
      log.error({ err: error }, 'views could not be read; this is tried again');
      clearTimeout(retryTimer);
      retryTimer = setTimeout(wake, RETRY_MS);
    });
  }

  /** Follows the feed to its end. */
  async function catchUp(): Promise<void> {
    while (at !== null) {
      const changes: Change[] | null = await store.changesAfter(at, CHANGES_EACH_READ);
      if (changes === null) {
        // Another epoch, or too far behind.
        for (const live of all) live.forget();
        at = await store.cursor();
        continue;
      }
      const last = changes.at(-1);
      if (last === undefined) break;
      const cursor = { epoch: at.epoch, revision: last.revision };
      at = cursor;
      await forEach(all, live => live.follow(changes, cursor));
    }
    const cursor = at;
    if (cursor !== null) await forEach(all, live => live.repair(cursor));
  }

  async function lookAtDue(): Promise<void> {
    const cursor = at;
    if (cursor !== null) await forEach(all, live => live.lookAtDue(now(), cursor));
  }

  async function confirm(): Promise<void> {
    await catchUp();
    if (at !== null) for (const live of all) live.confirm(at);
  }

  function armDueTimer(): void {
    clearTimeout(dueTimer);
    const times = all.flatMap(live => live.nextDueAtMs() ?? []);
    if (isClosed || times.length === 0) return;
    dueTimer = setTimeout(() => work(lookAtDue), Math.min(Math.max(Math.min(...times) - now(), 1), TIMER_MAX_MS));
  }

  function wake(): void {
    if (isWoken || isClosed) return;
    isWoken = true;
    work(async () => {
      isWoken = false;
      await catchUp();
    });
  }

  const unsubscribe = store.subscribe(changes => {
    if (changes === null || changes.some(({ kind }) => AT_ONCE.has(kind))) wake();
    else setImmediate(wake);
  });
  const beat = setInterval(() => {
    for (const live of all) live.beat();
  }, ROUTER_LIMITS.watchEmptyLineMs);
  const sync = setInterval(() => work(confirm), SYNC_MS);

  return {
    watch: (name, watcher, after) =>
      inTurn(async () => {
        at ??= await store.cursor();
        const live = lives.get(name);
        if (live === undefined) throw new Error(`there is no view "${name}"`);
        return live.join(watcher, after, at);
      }),
    [Symbol.dispose]: () => {
      isClosed = true;
      unsubscribe();
      for (const timer of [dueTimer, retryTimer, beat, sync]) clearTimeout(timer);
    },
  };
}

/** What fails for one view keeps nothing from the others; the first failure is thrown when all had their turn. */
async function forEach(lives: readonly LiveView[], work: (live: LiveView) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const live of lives) await work(live).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
