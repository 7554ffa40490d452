/** Somebody who watches, and the text that they get. */
import type { EndReason, ResetReason, StreamFrame } from '@cupola/contract/v3/stream';
import type { Cursor } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { createAudience, rightsKey, type StreamFilter, type Subject } from './audience.ts';
import { cursorText } from './cursor.ts';
import type { Frame } from './frames.ts';
import { ORIGIN } from './read-objects.ts';

/** Who watches, and how they are written to. */
export interface Watcher {
  actor: Actor;
  filter: StreamFilter;
  /** Of the links in what they get. */
  origin: string;
  form: 'events' | 'messages';
  send(bytes: Buffer): void;
  /** What was sent and is not yet on its way. */
  behindBytes(): number;
  /** Sends nothing more, and ends the connection once all is on its way, or soon. */
  end(): void;
}

/** With the rights that they have by now. */
export interface Seat {
  readonly watcher: Watcher;
  actor: Actor;
  wants(subject: Subject): boolean;
  /** Equal for those who get the same bytes. */
  group: string;
  /** What it got at first does not count as being behind. */
  headStartBytes: number;
}

const RESETS: Record<ResetReason, string> = {
  unknown_cursor: 'What has changed since then is not known any more. List again, and go on from here.',
  rights: 'What you may see has changed. List again, and go on from here.',
  slow: 'You read more slowly than things change. Come back, and list again.',
};
const ENDS: Record<EndReason, string> = {
  token: 'Your token has ended or was taken back. Log in again, and come back with the last cursor.',
  restart: 'This server is being restarted. Come back with the last cursor.',
  slow: 'You read more slowly than things change. Come back, and list again.',
};

export function seatOf(watcher: Watcher, actor: Actor): Seat {
  const seat = { watcher, actor, wants: () => false, group: '', headStartBytes: 0 };
  reseat(seat, actor);
  return seat;
}

/** The same one, with other rights. */
export function reseat(seat: Seat, actor: Actor): void {
  const { filter, origin, form } = seat.watcher;
  seat.actor = actor;
  seat.wants = createAudience(actor, filter);
  seat.group = JSON.stringify([rightsKey(actor), filter, origin, form]);
}

export function say(watcher: Watcher, frame: StreamFrame): void {
  watcher.send(encode(watcher.form, JSON.stringify(frame), 'cursor' in frame ? frame.cursor : null));
}

export function sayReset(watcher: Watcher, reason: ResetReason, cursor: Cursor): void {
  say(watcher, { type: 'reset', cursor: cursorText(cursor), reason, message: RESETS[reason] });
}

/** The last word. */
export function sayEnd(watcher: Watcher, reason: EndReason): void {
  say(watcher, { type: 'end', reason, message: ENDS[reason] });
  watcher.end();
}

/** Null where there is nothing to say. */
export function bytesOf(frames: readonly Frame[], { form, origin }: Watcher): Buffer | null {
  if (frames.length === 0) return null;
  return Buffer.concat(frames.map(({ json, cursor }) => encode(form, json.replaceAll(ORIGIN, origin), cursor)));
}

/** A line of a message has its cursor in it; events carry it beside, for `Last-Event-ID`. */
export function encode(form: Watcher['form'], json: string, cursor: string | null): Buffer {
  if (form === 'messages') return Buffer.from(`${json}\n`);
  return Buffer.from(`${cursor === null ? '' : `id: ${cursor}\n`}data: ${json}\n\n`);
}
