/**
 * Moves of files from pack to pack (`moveFiles`), put off until pushes pause: rows of 20,000 files are 0.3 s of the database, and who pushes again and again
 * needs only the last of them. Nobody waits for it: until then the files are matched where they lay. What a restart loses of it costs room alone: an older
 * pack stays until its files have not been pushed for a day.
 */
import type { Move } from '@cupola/archive/zip-base';
import type { Store } from '@cupola/store/store';
import type { Logger } from 'pino';
import { type Moved, moveFiles } from './remember.ts';

/** Ours: longer than from one push to the next of somebody who tries things. */
const PAUSE_MS = 10_000;
/** Moved at once beyond: bounds what is remembered here. */
const WAITING_MAX = 100;

export interface FileMover extends AsyncDisposable {
  later(moved: Moved): void;
}

/** Disposing drops what waits, and ends with the one that is under way. */
export function createFileMover({ store, log }: { store: Store; log: Logger }, pauseMs = PAUSE_MS): FileMover {
  let waiting: Moved[] = [];
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();

  async function move(all: readonly Moved[]): Promise<void> {
    for (const moved of all)
      await moveFiles(store, moved).catch((error: unknown) =>
        log.warn({ err: error }, 'the next push will copy matched files from an older pack'),
      );
  }
  const moveAll = (): void => {
    clearTimeout(timer);
    const all = waiting;
    waiting = [];
    running = running.then(() => move(all));
  };
  return {
    later: moved => {
      waiting = [...waiting.map(before => follow(before, moved)), moved];
      if (waiting.length >= WAITING_MAX) return moveAll();
      clearTimeout(timer);
      timer = setTimeout(moveAll, pauseMs).unref();
    },
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      waiting = [];
      await running;
    },
  };
}

/** `first`, going on to where `then` leads when it begins where `first` ends. */
function follow(first: Moved, then: Moved): Moved {
  if (first.to !== then.from || first.organizationGuid !== then.organizationGuid) return first;
  return { ...first, to: then.to, moves: joinMoves(first.moves, then.moves) };
}

/** What both do one after the other; what only the first one keeps is gone. */
export function joinMoves(first: readonly Move[], then: readonly Move[]): Move[] {
  return first.flatMap(one =>
    then.flatMap(next => {
      const from = Math.max(one.from, next.from + one.shift);
      const until = Math.min(one.until, next.until + one.shift);
      return from < until ? [{ from, until, shift: one.shift + next.shift }] : [];
    }),
  );
}
