import { useSyncExternalStore } from 'react';

function subscribe(listener: () => void): () => void {
  document.addEventListener('visibilitychange', listener);
  return () => document.removeEventListener('visibilitychange', listener);
}

/** Whether nobody can see this page: it is behind another tab, or its window is away. */
export function useHidden(): boolean {
  return useSyncExternalStore(subscribe, () => document.hidden);
}
