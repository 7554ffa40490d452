/** All who watch: each hears what concerns them; those who may see and want the same get the same bytes, made once. Who is slow, or has no token any more, is ended. */
import type { EndReason, StreamFrame } from '@cupola/contract/v3/stream';
import type { Cursor } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { rightsKey } from './audience.ts';
import { cursorText } from './cursor.ts';
import type { Frame } from './frames.ts';
import { bytesOf, encode, reseat, type Seat, sayEnd, sayReset, type Watcher } from './watcher.ts';

/** Bytes that all watchers together may be behind; what each may in any case, and at most. */
const BEHIND_ALL_BYTES = 32 * 1024 * 1024;
const BEHIND_LEAST_BYTES = 64 * 1024;
const BEHIND_MOST_BYTES = 1024 * 1024;

export interface Crowd {
  add(seat: Seat): void;
  leave(watcher: Watcher): void;
  size(): number;
  watchers(): Watcher[];
  actors(): Actor[];
  tell(frames: readonly Frame[], cursor: Cursor): void;
  /** That all is said up to here. */
  beat(cursor: Cursor): void;
  resetAll(cursor: Cursor): void;
  /** Who may see other things than before lists again; who is missing may not act any more. */
  setRights(fresh: ReadonlyMap<Actor, Actor>, cursor: Cursor): void;
  endAll(reason: EndReason): void;
}

export function createCrowd(now: () => number): Crowd {
  const seats = new Map<Watcher, Seat>();

  function end({ watcher }: Seat, reason: EndReason): void {
    if (seats.delete(watcher)) sayEnd(watcher, reason);
  }

  function endOverdue(): void {
    const time = now();
    for (const seat of seats.values()) if (seat.actor.endsAtMs <= time) end(seat, 'token');
  }

  /** What is not read is kept in memory for a while: so much for all together. */
  function cutSlow(cursor: Cursor): void {
    const share = Math.min(BEHIND_MOST_BYTES, Math.max(BEHIND_LEAST_BYTES, BEHIND_ALL_BYTES / seats.size));
    for (const seat of seats.values()) {
      const behind = seat.watcher.behindBytes();
      seat.headStartBytes = Math.min(seat.headStartBytes, behind);
      if (behind <= share + seat.headStartBytes) continue;
      sayReset(seat.watcher, 'slow', cursor);
      end(seat, 'slow');
    }
  }

  return {
    add: seat => void seats.set(seat.watcher, seat),
    leave: watcher => void seats.delete(watcher),
    size: () => seats.size,
    watchers: () => [...seats.keys()],
    actors: () => [...seats.values()].map(({ actor }) => actor),
    tell: (frames, cursor) => {
      endOverdue();
      const made = new Map<string, Buffer | null>();
      for (const { group, wants, watcher } of seats.values()) {
        const known = made.get(group);
        const bytes =
          known === undefined
            ? bytesOf(
                frames.filter(({ subject }) => wants(subject)),
                watcher,
              )
            : known;
        made.set(group, bytes);
        if (bytes !== null) watcher.send(bytes);
      }
      cutSlow(cursor);
    },
    beat: cursor => {
      endOverdue();
      const frame = {
        type: 'beat',
        cursor: cursorText(cursor),
        at: new Date(now()).toISOString(),
      } satisfies StreamFrame;
      const json = JSON.stringify(frame);
      const bytes = { events: encode('events', json, frame.cursor), messages: encode('messages', json, null) };
      for (const { watcher } of seats.values()) watcher.send(bytes[watcher.form]);
      cutSlow(cursor);
    },
    resetAll: cursor => {
      for (const { watcher } of seats.values()) sayReset(watcher, 'unknown_cursor', cursor);
    },
    setRights: (fresh, cursor) => {
      for (const seat of seats.values()) {
        const actor = fresh.get(seat.actor);
        if (actor === undefined) end(seat, 'token');
        else if (rightsKey(actor) !== rightsKey(seat.actor)) {
          reseat(seat, actor);
          sayReset(seat.watcher, 'rights', cursor);
        }
      }
    },
    endAll: reason => {
      for (const seat of seats.values()) end(seat, reason);
    },
  };
}
