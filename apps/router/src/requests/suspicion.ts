/**
 * Which copies to pass over. Those that failed: for 30 s unless nothing else is left. Those that could not be dialled: out until the table states them anew or
 * their machine is heard again. The table says nothing new of a copy that was well all the time, its agent away for a moment say, so such a suspicion heals by
 * itself as well: when nothing else is left they are tried after the same while a request would wait, and otherwise by one request each 30 s.
 */
import type { RouterSettings } from '../settings.ts';
import type { Backend } from '../table/route-table.ts';

export interface Suspicion {
  /** 0: fine, or to be tried. 1: failed lately. 2: was not to be dialled, but that is a while ago, or its machine does not answer. 3: out. */
  of(backend: Backend): 0 | 1 | 2 | 3;
  /** A request goes there. */
  chosen(backend: Backend): void;
  /** It could not be dialled. */
  pruned(backend: Backend): void;
  /** It was dialled but did not answer properly. */
  failed(backend: Backend): void;
  /** It has answered: suspicion from dialling ends. */
  answered(key: string): void;
  /** Their machine is heard again, so what went wrong there may have been its silence: no suspicion is left. */
  heard(isThere: (backend: Backend) => boolean): void;
  /** The table says that these are healthy: suspicion from dialling ends. */
  restated(keys: readonly string[]): void;
  forget(key: string): void;
}

/** Monotonic ms; 0 when it never happened, or is forgiven. */
interface Suspect {
  readonly backend: Backend;
  failedAtMs: number;
  prunedAtMs: number;
  /** Sent a request though it could not be dialled before. */
  triedAtMs: number;
}

interface Deps {
  settings: RouterSettings;
  /** Its machine does not answer now. */
  isDown(backend: Backend): boolean;
  monotonic(): number;
}

export function createSuspicion({ settings, isDown, monotonic }: Deps): Suspicion {
  const suspects = new Map<string, Suspect>();
  const suspect = (backend: Backend): Suspect => {
    const known = suspects.get(backend.key) ?? { backend, failedAtMs: 0, prunedAtMs: 0, triedAtMs: 0 };
    suspects.set(backend.key, known);
    return known;
  };
  const answered = (key: string): void => {
    const known = suspects.get(key);
    if (known !== undefined) known.prunedAtMs = 0;
  };
  return {
    of: backend => {
      const known = suspects.get(backend.key);
      // Of nearly every copy, at each request.
      if (known === undefined) return isDown(backend) ? 2 : 0;
      const isWithin = (atMs: number, ms: number): boolean => atMs !== 0 && monotonic() - atMs < ms;
      if (isWithin(known.prunedAtMs, settings.dialGraceMs)) return 3;
      if (isDown(backend)) return 2;
      const isRecent = (atMs: number): boolean => isWithin(atMs, settings.failedEndpointSkipMs);
      if (known.prunedAtMs !== 0) return isRecent(known.prunedAtMs) || isRecent(known.triedAtMs) ? 2 : 0;
      return isRecent(known.failedAtMs) ? 1 : 0;
    },
    chosen: ({ key }) => {
      const known = suspects.get(key);
      if (known !== undefined && known.prunedAtMs !== 0) known.triedAtMs = monotonic();
    },
    pruned: backend => {
      suspect(backend).prunedAtMs = monotonic();
    },
    failed: backend => {
      suspect(backend).failedAtMs = monotonic();
    },
    answered,
    heard: isThere => {
      for (const { backend } of [...suspects.values()]) if (isThere(backend)) suspects.delete(backend.key);
    },
    restated: keys => {
      for (const key of keys) answered(key);
    },
    forget: key => {
      suspects.delete(key);
    },
  };
}
