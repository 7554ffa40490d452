/**
 * Pushes that this page carries out. They belong to no component: whoever looks at another page of it meanwhile ends none. What the platform does of a push
 * (staging, starting) is told by the live stream, as for a push from elsewhere; what only this page knows stands here.
 */
import { createContext, useContext, useSyncExternalStore } from 'react';

/** Up to where this page has to do something itself; `failed`: it does nothing any more, and why. */
export interface Push {
  phase: 'upload' | 'stage' | 'start' | 'failed';
  /** For people. */
  says: string;
  /** Since when the phase is (epoch ms of this machine). */
  since: number;
}
export type Say = (phase: Push['phase'], says: string) => void;

export interface Pushes {
  /** What was under way for that app is ended first. */
  begin(appGuid: string, run: (at: { signal: AbortSignal; say: Say }) => Promise<void>): void;
  /** Ends it where it is, or forgets that it failed. What the platform has begun it finishes; what was staged is not started. */
  end(appGuid: string): void;
  of(appGuid: string): Push | null;
  subscribe(listener: () => void): () => void;
}

export function createPushes(now: () => number): Pushes {
  const pushes = new Map<string, { push: Push; ending: AbortController }>();
  const listeners = new Set<() => void>();
  const tell = (): void => {
    setLeavingHint([...pushes.values()].some(({ push }) => push.phase !== 'failed'));
    for (const one of listeners) one();
  };
  const end = (appGuid: string): void => {
    pushes.get(appGuid)?.ending.abort();
    if (pushes.delete(appGuid)) tell();
  };
  return {
    begin: (appGuid, run) => {
      end(appGuid);
      const ending = new AbortController();
      const say: Say = (phase, says) => {
        if (ending.signal.aborted) return;
        const before = pushes.get(appGuid)?.push;
        pushes.set(appGuid, {
          ending,
          push: { phase, says, since: before?.phase === phase ? before.since : now() },
        });
        tell();
      };
      say('upload', '');
      run({ signal: ending.signal, say }).then(
        () => {
          if (!ending.signal.aborted) end(appGuid);
        },
        (error: unknown) => say('failed', error instanceof Error ? error.message : String(error)),
      );
    },
    end,
    of: appGuid => pushes.get(appGuid)?.push ?? null,
    subscribe: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const hold = (event: Event): void => event.preventDefault();
/** Who would close the page in the middle of a push is asked by the browser. */
function setLeavingHint(isNeeded: boolean): void {
  if (typeof window === 'undefined') return;
  if (isNeeded) window.addEventListener('beforeunload', hold);
  else window.removeEventListener('beforeunload', hold);
}

export const PushesContext = createContext<Pushes | null>(null);

export function usePushes(): Pushes {
  const pushes = useContext(PushesContext);
  if (pushes === null) throw new Error('no pushes are given to these components');
  return pushes;
}

export function usePush(appGuid: string): Push | null {
  const pushes = usePushes();
  return useSyncExternalStore(pushes.subscribe, () => pushes.of(appGuid));
}
