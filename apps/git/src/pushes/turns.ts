/** Pushes to one app follow one another, and a newer one ends those before it: they say so, and what they would have changed is left to it. */

export interface Turn extends Disposable {
  /** Aborted when a newer push of the same app waits. */
  readonly newer: AbortSignal;
}

export interface Turns {
  /** Resolves when those before have ended. */
  take(appGuid: string): Promise<Turn>;
}

export function createTurns(): Turns {
  const last = new Map<string, { newer: AbortController; over: Promise<void> }>();
  return {
    take: async appGuid => {
      const before = last.get(appGuid);
      const newer = new AbortController();
      const over = Promise.withResolvers<void>();
      const mine = { newer, over: over.promise };
      last.set(appGuid, mine);
      before?.newer.abort(new Error('a newer push'));
      await before?.over;
      return {
        newer: newer.signal,
        [Symbol.dispose]: () => {
          over.resolve();
          if (last.get(appGuid) === mine) last.delete(appGuid);
        },
      };
    },
  };
}
