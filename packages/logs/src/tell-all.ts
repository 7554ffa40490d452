import type { LogLine } from './log-store.ts';

/** Hands lines to followers. A follower's bug is nobody else's: it ends the process as any uncaught error does. */
export function tellAll(
  listeners: Iterable<(lines: readonly LogLine[]) => void> | undefined,
  lines: readonly LogLine[],
): void {
  for (const listener of listeners ?? [])
    try {
      listener(lines);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
}
