/**
 * The items of one view as its watchers know them, and since which revision: what a change means for them, and what a watcher that was away has missed.
 * In memory, no I/O.
 */
import type { WatchLine } from '@cupola/contract/internal';
import type { Cursor } from '@cupola/store/store';

interface Kept<Item> {
  item: Item;
  text: string;
  /** The revision at which it last changed. */
  revision: number;
}

export interface ViewItems<Item extends { guid: string }> {
  /** Everything anew: another epoch, or the first read. */
  reset(items: readonly Item[], cursor: Cursor): WatchLine<Item>;
  /** `found` is what there is now of `asked`. Answers what has changed. */
  take(asked: Iterable<string>, found: readonly Item[], cursor: Cursor): WatchLine<Item>[];
  /** All that a watcher at `after` needs to be at `cursor`: the changes since then, or a snapshot. */
  missed(after: Cursor | null, cursor: Cursor): WatchLine<Item>[];
  values(): Iterable<Item>;
}

/** So many of those that are gone are remembered; who was away for longer lists again. */
const GONE_MAX = 10_000;

export function createViewItems<Item extends { guid: string }>(): ViewItems<Item> {
  const kept = new Map<string, Kept<Item>>();
  const gone = new Map<string, number>();
  /** What was removed up to here may have been forgotten. */
  let floor = 0;

  function forget(guid: string, revision: number): void {
    kept.delete(guid);
    gone.delete(guid);
    gone.set(guid, revision);
    for (const [oldest, goneAt] of gone) {
      if (gone.size <= GONE_MAX) break;
      gone.delete(oldest);
      floor = Math.max(floor, goneAt + 1);
    }
  }

  function takeOne(guid: string, item: Item | undefined, cursor: Cursor): WatchLine<Item> | null {
    const before = kept.get(guid);
    if (item === undefined) {
      if (before === undefined) return null;
      forget(guid, cursor.revision);
      return { type: 'remove', ...cursor, guid };
    }
    const text = JSON.stringify(item);
    if (before?.text === text) return null;
    gone.delete(guid);
    kept.set(guid, { item, text, revision: cursor.revision });
    return { type: 'upsert', ...cursor, item };
  }

  return {
    reset: (items, cursor) => {
      kept.clear();
      gone.clear();
      floor = cursor.revision;
      for (const item of items) kept.set(item.guid, { item, text: JSON.stringify(item), revision: cursor.revision });
      return { type: 'snapshot', ...cursor, items: [...items] };
    },
    take: (asked, found, cursor) => {
      const byGuid = new Map(found.map(item => [item.guid, item]));
      return [...new Set(asked)].map(guid => takeOne(guid, byGuid.get(guid), cursor)).filter(line => line !== null);
    },
    missed: (after, cursor) => {
      const isKnown =
        after !== null && after.epoch === cursor.epoch && after.revision >= floor && after.revision <= cursor.revision;
      if (!isKnown) return [{ type: 'snapshot', ...cursor, items: [...kept.values()].map(({ item }) => item) }];
      const removed = [...gone].filter(([, revision]) => revision >= after.revision);
      const changed = [...kept.values()].filter(({ revision }) => revision >= after.revision);
      return [
        ...removed.map(([guid]) => ({ type: 'remove' as const, ...cursor, guid })),
        ...changed.map(({ item }) => ({ type: 'upsert' as const, ...cursor, item })),
        { type: 'synced', ...cursor },
      ];
    },
    *values() {
      for (const { item } of kept.values()) yield item;
    },
  };
}
