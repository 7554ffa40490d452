/** Pairs of connections, each of which is handed what the other says: what an agent has under way, and how it lets go of it. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Nothing has passed for so long: between two requests, as far as we can know. */
const QUIET_MS = 300;
/** When we end, what is under way gets this long. */
const DRAIN_MS = 10_000;
/** For the last that one has said to be taken by the other (ours). */
const LAST_WORDS_MS = 5_000;

export interface Passing<About> {
  /** From now on, until either has closed, which closes the other: at once where it was an error, else once it has taken what was said. */
  join(sides: readonly [Socket, Socket], about: About): void;
  /** Ends those at once. */
  endWhere(is: (about: About) => boolean): void;
  /** Ends each when nothing passes, and all in the end. */
  drain(): Promise<void>;
}

interface Pair<About> {
  sides: readonly [Socket, Socket];
  about: About;
  heardAtMs: number;
}

export function createPassing<About>(): Passing<About> {
  const pairs = new Set<Pair<About>>();
  const end = ({ sides }: Pair<About>): void => {
    for (const side of sides) side.destroy();
  };
  const lead = (pair: Pair<About>, { from, to }: { from: Socket; to: Socket }): void => {
    from.setNoDelay(true);
    from.on('data', () => {
      pair.heardAtMs = performance.now();
    });
    from.pipe(to);
    from.once('close', (isError: boolean) => {
      pairs.delete(pair);
      // TLS has no reset.
      if (isError && !(to instanceof TLSSocket)) to.resetAndDestroy();
      else letGo(to);
    });
  };
  return {
    join: (sides, about) => {
      const pair = { sides, about, heardAtMs: performance.now() };
      const [one, other] = sides;
      pairs.add(pair);
      lead(pair, { from: one, to: other });
      lead(pair, { from: other, to: one });
    },
    endWhere: is => {
      for (const pair of [...pairs]) if (is(pair.about)) end(pair);
    },
    drain: async () => {
      const untilMs = performance.now() + DRAIN_MS;
      for (;;) {
        for (const pair of [...pairs]) if (performance.now() - pair.heardAtMs >= QUIET_MS) end(pair);
        if (pairs.size === 0 || performance.now() >= untilMs) break;
        await new Promise(resolve => setTimeout(resolve, QUIET_MS / 3));
      }
      for (const pair of [...pairs]) end(pair);
    },
  };
}

function letGo(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.destroySoon();
}
