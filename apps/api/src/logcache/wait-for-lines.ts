import type { LogStore } from '@cupola/logs/log-store';
import type { TokenCap } from '../holds/token-cap.ts';

/** Held tails of one token at a time; more are answered at once. */
export interface TailHolds {
  /**
   * Reads until there are lines, waking when the app logs; at once with none when `maxMs` is over, the client has gone, or the token holds too many.
   */
  untilLines<T>(
    options: { appGuid: string; tokenId: string; maxMs: number; signal: AbortSignal },
    read: () => Promise<T[]>,
  ): Promise<T[]>;
}

export function createTailHolds(logs: Pick<LogStore, 'follow'>, cap: TokenCap): TailHolds {
  return {
    async untilLines({ appGuid, tokenId, maxMs, signal }, read) {
      const release = maxMs > 0 ? cap.take(tokenId) : null;
      if (release === null) return read();
      const over = AbortSignal.any([signal, AbortSignal.timeout(maxMs)]);
      let wake: () => void = () => undefined;
      let isNew = false;
      const stop = logs.follow(appGuid, () => {
        isNew = true;
        wake();
      });
      over.addEventListener('abort', () => wake(), { once: true });
      try {
        for (;;) {
          isNew = false;
          const lines = await read();
          if (lines.length > 0 || over.aborted) return lines;
          // Lines that came while the read ran have set `isNew`: nothing is missed between read and wait.
          if (!isNew)
            await new Promise<void>(resolve => {
              wake = resolve;
              if (isNew || over.aborted) resolve();
            });
        }
      } finally {
        stop();
        release();
      }
    },
  };
}
