/** One view, kept like the store for those who watch it. Whoever calls does one thing at a time. */
import type { Change, Cursor } from '@cupola/store/store';
import { createViewEntries, type Entry, syncedLine } from './view-entries.ts';

/** How a view is read from the store. */
export interface View {
  all(): Promise<Entry[]>;
  /** Those of `guids` that are in the view now. */
  some(guids: readonly string[]): Promise<Entry[]>;
  /** Guids of the items that these changes may concern: too many do no harm. */
  concerned(changes: readonly Change[]): Promise<Iterable<string>>;
}

export interface Watcher {
  /** Of views that are not the same for all; else null. */
  audience: string | null;
  /** One or more lines, each with its newline. */
  send(lines: string): void;
}

export interface LiveView {
  /** Adds a watcher and tells it what it misses. @throws when the view cannot be read. */
  join(watcher: Watcher, after: Cursor | null, cursor: Cursor): Promise<() => void>;
  /** Takes changes up to `cursor`. A view that nobody has asked for yet takes none. @throws when it cannot be read: it is read whole the next time. */
  follow(changes: readonly Change[], cursor: Cursor): Promise<void>;
  /** Looks again at what has come due by time alone. */
  lookAtDue(now: number, cursor: Cursor): Promise<void>;
  /** Reads it whole if something of it could not be read, and tells everybody. */
  repair(cursor: Cursor): Promise<void>;
  /** All that was known is void. */
  forget(): void;
  /** To every watcher, unless something is known to be missing. */
  confirm(cursor: Cursor): void;
  beat(): void;
  nextDueAtMs(): number | null;
}

export function createLiveView(view: View): LiveView {
  const entries = createViewEntries();
  const watchers = new Map<string | null, Set<Watcher['send']>>();
  let isWanted = false;
  let isWhole = false;

  const sendAll = (line: string): void => {
    for (const sends of watchers.values()) for (const send of sends) send(line);
  };
  async function readWhole(cursor: Cursor): Promise<void> {
    entries.reset(await view.all(), cursor);
    isWanted = true;
    isWhole = true;
  }
  async function look(guids: readonly string[], cursor: Cursor): Promise<void> {
    if (guids.length === 0) return;
    const texts = new Map<string | null, string>();
    for (const { audience, line } of entries.take(guids, await view.some(guids), cursor))
      texts.set(audience, (texts.get(audience) ?? '') + line);
    // Lines of one audience go out in one piece.
    for (const [audience, text] of texts) for (const send of watchers.get(audience) ?? []) send(text);
  }
  async function orElseWhole(work: () => Promise<void>): Promise<void> {
    if (!isWhole) return;
    try {
      await work();
    } catch (error) {
      isWhole = false;
      throw error;
    }
  }

  return {
    join: async ({ audience, send }, after, cursor) => {
      if (!isWhole) await readWhole(cursor);
      for (const line of entries.missed(audience, after, cursor)) send(line);
      const sends = watchers.get(audience) ?? new Set();
      watchers.set(audience, sends);
      sends.add(send);
      return () => {
        sends.delete(send);
        if (sends.size === 0 && watchers.get(audience) === sends) watchers.delete(audience);
      };
    },
    follow: (changes, cursor) => orElseWhole(async () => look([...new Set(await view.concerned(changes))], cursor)),
    lookAtDue: (now, cursor) => orElseWhole(() => look(entries.due(now), cursor)),
    repair: async cursor => {
      if (isWhole || !isWanted) return;
      await readWhole(cursor);
      for (const [audience, sends] of watchers)
        for (const line of entries.missed(audience, null, cursor)) for (const send of sends) send(line);
    },
    forget: () => {
      isWhole = false;
    },
    confirm: cursor => {
      if (isWhole) sendAll(syncedLine(cursor));
    },
    beat: () => sendAll('\n'),
    nextDueAtMs: () => (isWhole ? entries.nextDueAtMs() : null),
  };
}
