/** How watchers come in: what each has missed, `ready`, and a seat. */
import type { Cursor, Store } from '@cupola/store/store';
import { rereadActors } from '../uaa/authenticate.ts';
import { cursorText } from './cursor.ts';
import type { Frame } from './frames.ts';
import type { Missed } from './missed.ts';
import { bytesOf, type Seat, say, sayEnd, sayReset, seatOf, type Watcher } from './watcher.ts';

export interface Joiner {
  watcher: Watcher;
  since: string | null;
  joined(): void;
  failed(error: unknown): void;
}

/** Tells them what they missed up to `cursor`. Answers the seats of those who may stay. Rights are read last: what was taken away meanwhile counts. */
export async function welcome(
  { read }: Pick<Store, 'read'>,
  joiners: readonly Joiner[],
  { missed, cursor }: { missed: Missed; cursor: Cursor },
): Promise<Seat[]> {
  const fresh = await rereadActors(
    read,
    joiners.map(({ watcher }) => watcher.actor),
  );
  const made = new Map<string, Buffer | null>();
  return joiners.flatMap(({ watcher, since }) => {
    const actor = fresh.get(watcher.actor);
    if (actor === undefined) {
      sayEnd(watcher, 'token');
      return [];
    }
    const seat = seatOf(watcher, actor);
    const from = since === null ? cursor.revision : missed.from.get(since);
    if (from === undefined) sayReset(watcher, 'unknown_cursor', cursor);
    else if (missed.hasOtherRights(actor, from)) sayReset(watcher, 'rights', cursor);
    else sayMissed(seat, { from, frames: missed.frames, made });
    say(watcher, { type: 'ready', cursor: cursorText(cursor) });
    seat.headStartBytes = watcher.behindBytes();
    return [seat];
  });
}

/** @param made what those who missed the same were sent. */
function sayMissed(
  { watcher, group, wants }: Seat,
  { from, frames, made }: { from: number; frames: readonly Frame[]; made: Map<string, Buffer | null> },
): void {
  const key = `${from} ${group}`;
  const known = made.get(key);
  const bytes =
    known === undefined
      ? bytesOf(
          frames.filter(({ revision, subject }) => revision > from && wants(subject)),
          watcher,
        )
      : known;
  made.set(key, bytes);
  if (bytes !== null) watcher.send(bytes);
}
