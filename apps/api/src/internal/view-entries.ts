/**
 * The entries of one view as its watchers know them, and since which revision: what a change means for them, and what a watcher that was away has missed.
 * Lines are made once, whoever watches. In memory, no I/O.
 */
import type { Cursor } from '@cupola/store/store';

/** One item of a view. */
export interface Entry {
  guid: string;
  /** Who gets it, of a view that is not the same for all; null: everybody. */
  audience: string | null;
  /** The item as JSON: the same item always gives the same text. */
  text: string;
  /** Epoch ms at which it must be looked at again though nothing has changed; null: never. */
  dueAtMs: number | null;
}

/** A line of a watch, for those whom it concerns. */
export interface AddressedLine {
  audience: string | null;
  line: string;
}

export interface ViewEntries {
  /** Everything anew. Whoever watches needs a snapshot. */
  reset(entries: readonly Entry[], cursor: Cursor): void;
  /** `found` is what there is now of `asked`. Answers what that means for watchers: nothing for what has not changed for them. */
  take(asked: Iterable<string>, found: readonly Entry[], cursor: Cursor): AddressedLine[];
  /** All that a watcher at `after` needs to be at `cursor`: what has changed since, or a snapshot. Never nothing. */
  missed(audience: string | null, after: Cursor | null, cursor: Cursor): string[];
  /** Those that are due at `now`. */
  due(now: number): string[];
  /** When the next one is due; null: none is. */
  nextDueAtMs(): number | null;
}

interface Kept extends Entry {
  /** The revision at which it last changed. */
  revision: number;
}

/** So many of those that are gone are remembered; who was away for longer lists again. */
const GONE_MAX = 10_000;

const at = ({ epoch, revision }: Cursor): string => `"epoch":${JSON.stringify(epoch)},"revision":${revision}`;
const upsertLine = (text: string, cursor: Cursor): string => `{"type":"upsert",${at(cursor)},"item":${text}}\n`;
const removeLine = (guid: string, cursor: Cursor): string =>
  `{"type":"remove",${at(cursor)},"guid":${JSON.stringify(guid)}}\n`;
/** Up to `cursor` all is said. */
export const syncedLine = (cursor: Cursor): string => `{"type":"synced",${at(cursor)}}\n`;

export function createViewEntries(): ViewEntries {
  const kept = new Map<string, Kept>();
  /** What was removed for whom; one guid may have gone for several, one after another. */
  const gone = new Map<string, { guid: string; audience: string | null; revision: number }>();
  /** Of the few that are due at all. */
  const dueTimes = new Map<string, number>();
  /** A watcher from before this may have missed what is not remembered here. */
  let floor = 0;

  const goneKey = ({ guid, audience }: Pick<Entry, 'guid' | 'audience'>): string => JSON.stringify([guid, audience]);

  function keep(entry: Entry, revision: number): void {
    gone.delete(goneKey(entry));
    kept.set(entry.guid, { ...entry, revision });
    if (entry.dueAtMs === null) dueTimes.delete(entry.guid);
    else dueTimes.set(entry.guid, entry.dueAtMs);
  }

  function forget({ guid, audience }: Kept, revision: number): void {
    kept.delete(guid);
    dueTimes.delete(guid);
    // Taken out first: the map is in the order in which they went.
    gone.delete(goneKey({ guid, audience }));
    gone.set(goneKey({ guid, audience }), { guid, audience, revision });
    for (const [oldest, was] of gone) {
      if (gone.size <= GONE_MAX) break;
      gone.delete(oldest);
      floor = Math.max(floor, was.revision + 1);
    }
  }

  function takeOne(guid: string, entry: Entry | undefined, cursor: Cursor): AddressedLine[] {
    const before = kept.get(guid);
    const lines: AddressedLine[] = [];
    if (before !== undefined && before.audience !== entry?.audience) {
      forget(before, cursor.revision);
      lines.push({ audience: before.audience, line: removeLine(guid, cursor) });
    }
    if (entry === undefined) return lines;
    const isSame = before?.text === entry.text && before.audience === entry.audience;
    keep(entry, isSame ? before.revision : cursor.revision);
    if (!isSame) lines.push({ audience: entry.audience, line: upsertLine(entry.text, cursor) });
    return lines;
  }

  function snapshot(audience: string | null, cursor: Cursor): string {
    const texts = [...kept.values()].filter(entry => entry.audience === audience).map(({ text }) => text);
    return `{"type":"snapshot",${at(cursor)},"items":[${texts.join(',')}]}\n`;
  }

  return {
    reset: (entries, cursor) => {
      for (const memory of [kept, gone, dueTimes]) memory.clear();
      // Not even who is at this very revision: of what was removed by it nothing is known here.
      floor = cursor.revision + 1;
      for (const entry of entries) keep(entry, cursor.revision);
    },
    take: (asked, found, cursor) => {
      const byGuid = new Map(found.map(entry => [entry.guid, entry]));
      return [...new Set(asked)].flatMap(guid => takeOne(guid, byGuid.get(guid), cursor));
    },
    missed: (audience, after, cursor) => {
      const isKnown = after?.epoch === cursor.epoch && after.revision >= floor && after.revision <= cursor.revision;
      if (!isKnown) return [snapshot(audience, cursor)];
      // Those of `after` itself again: its lines share a revision, and the connection may have ended between two of them. For the same reason each line
      // has its own revision here and they come in that order: wherever this connection ends, the next one goes on from there.
      const isMissed = (one: { audience: string | null; revision: number }): boolean =>
        one.audience === audience && one.revision >= after.revision;
      const lines = [
        ...[...gone.values()]
          .filter(isMissed)
          .map(({ guid, revision }) => ({ revision, line: removeLine(guid, { ...cursor, revision }) })),
        ...[...kept.values()]
          .filter(isMissed)
          .map(({ text, revision }) => ({ revision, line: upsertLine(text, { ...cursor, revision }) })),
      ];
      return [...lines.sort((x, y) => x.revision - y.revision).map(({ line }) => line), syncedLine(cursor)];
    },
    due: now => [...dueTimes].filter(([, dueAtMs]) => dueAtMs <= now).map(([guid]) => guid),
    nextDueAtMs: () => (dueTimes.size === 0 ? null : Math.min(...dueTimes.values())),
  };
}
