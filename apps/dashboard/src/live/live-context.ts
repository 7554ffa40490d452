import { createContext, useContext, useSyncExternalStore } from 'react';
import type { LiveState, LiveStream } from './stream.ts';

export const LiveContext = createContext<() => LiveStream>(() => {
  throw new Error('no live stream is given to these components');
});

export function useLive(): LiveState {
  const stream = useContext(LiveContext)();
  return useSyncExternalStore(stream.subscribe, stream.state);
}
