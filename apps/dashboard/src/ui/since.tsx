import { useSyncExternalStore } from 'react';
import { shortDuration } from './time.ts';

/** One clock for all ages on the page; it rests while nobody shows one. */
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let now = Date.now();
const TICK_MS = 1_000;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const one of listeners) one();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** How long it has been, as it grows. `at` in ms since the epoch. */
export function Since({ at, after = '' }: { at: number; after?: string }) {
  const seconds = Math.max(0, (useNow() - at) / 1_000);
  return (
    <time dateTime={new Date(at).toISOString()} title={new Date(at).toISOString()}>
      {shortDuration(seconds)}
      {after}
    </time>
  );
}
