/**
 * What the cf CLI's log tails have read. A tail has no name of its own, but it always asks from the time it was answered last plus 1 ns: so what we
 * answered names it, and an answer with shifted times (held-requests.md, "Logs in a fast push") can be told from the true ones when it is continued.
 * Kept in memory: after a restart of the API a tail shows at most the lines of its last two seconds twice.
 */

export interface Tails {
  /** The true position behind a tail's `start_time`: itself, unless an answer of ours was shifted. */
  trueStart(appGuid: string, askedNs: bigint): bigint;
  /** A tail that asks from `askedNs` means `trueNs`. */
  shifted(appGuid: string, askedNs: bigint, trueNs: bigint): void;
  /** A tail has asked from `trueNs` on: it has everything before. */
  asked(appGuid: string, trueNs: bigint): void;
  /** True when a tail of the cf CLI has asked past the line with this time: it has that line. */
  passed(appGuid: string, timestampNs: bigint): boolean;
  /** Waits for `passed`; false after `timeoutMs` or when the signal aborts. */
  waitPassed(
    appGuid: string,
    timestampNs: bigint,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<boolean>;
}

/** Of one app: more positions than its tails of a moment can have. */
const POSITIONS_MAX = 256;
/** Apps whose tails are remembered; the one asked for least recently goes first. */
const APPS_MAX = 1_000;

interface AppTails {
  positions: Map<bigint, bigint>;
  newestNs: bigint;
  waiting: Set<() => void>;
}

export function createTails(): Tails {
  const apps = new Map<string, AppTails>();

  function tailsOf(appGuid: string): AppTails {
    const known = apps.get(appGuid) ?? { positions: new Map(), newestNs: -1n, waiting: new Set() };
    apps.delete(appGuid);
    apps.set(appGuid, known);
    for (const [oldest, tails] of apps) {
      if (apps.size <= APPS_MAX) break;
      if (tails.waiting.size === 0) apps.delete(oldest);
      else break;
    }
    return known;
  }
  const passed = (appGuid: string, timestampNs: bigint): boolean => (apps.get(appGuid)?.newestNs ?? -1n) > timestampNs;

  return {
    trueStart: (appGuid, askedNs) => apps.get(appGuid)?.positions.get(askedNs) ?? askedNs,
    shifted: (appGuid, askedNs, trueNs) => {
      const { positions } = tailsOf(appGuid);
      positions.set(askedNs, trueNs);
      for (const oldest of positions.keys()) {
        if (positions.size <= POSITIONS_MAX) break;
        positions.delete(oldest);
      }
    },
    asked: (appGuid, trueNs) => {
      const tails = tailsOf(appGuid);
      if (trueNs <= tails.newestNs) return;
      tails.newestNs = trueNs;
      for (const wake of [...tails.waiting]) wake();
    },
    passed,
    waitPassed: (appGuid, timestampNs, { timeoutMs, signal }) => {
      if (passed(appGuid, timestampNs)) return Promise.resolve(true);
      if (signal?.aborted === true) return Promise.resolve(false);
      const { waiting } = tailsOf(appGuid);
      return new Promise(resolve => {
        const end = (value: boolean): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          signal?.removeEventListener('abort', stop);
          resolve(value);
        };
        const stop = (): void => end(false);
        const wake = (): void => {
          if (passed(appGuid, timestampNs)) end(true);
        };
        const timer = setTimeout(stop, timeoutMs);
        waiting.add(wake);
        signal?.addEventListener('abort', stop, { once: true });
      });
    },
  };
}
