/**
 * The live stream of the API, one for each page: told to whoever listens, resumed where it broke off. While a page is hidden it holds nothing: browsers keep
 * six connections to a host for all its pages together.
 */
import { STREAM_BEAT_MS, type StreamFrame, streamFrame } from '@cupola/contract/v3/stream';

/** Since when what is shown may be old: null while it is live. `never`: nothing was heard yet. */
export interface LiveState {
  staleSince: number | null;
  hasBegun: boolean;
}

export interface LiveStream {
  /** Resolves with the first `ready`, or after `ms`. */
  begun(ms: number): Promise<void>;
  state(): LiveState;
  subscribe(listener: () => void): () => void;
  close(): void;
}

interface Listening {
  /** In order. */
  changed(frame: Extract<StreamFrame, { type: 'changed' | 'gone' }>): void;
  /** What an app has done in the last window. These may get lost. */
  metrics(frame: Extract<StreamFrame, { type: 'metrics' }>): void;
  /** It is heard again, and nothing was missed of what has a cursor. */
  resumed(): void;
  /** What is known may be wrong: read it again. */
  reset(): void;
  /** The session has ended. */
  ended(): void;
}

const PATH = '/dashboard/api/v3/stream';
/** Two beats and a bit. */
const SILENCE_MS = 2 * STREAM_BEAT_MS + 2_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 8_000;

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one connection's state, and the few functions that change it.
export function openStream({ changed, metrics, resumed, reset, ended }: Listening): LiveStream {
  const listeners = new Set<() => void>();
  const waiting = new Set<() => void>();
  let state: LiveState = { staleSince: null, hasBegun: false };
  let cursor: string | null = null;
  let source: EventSource | null = null;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let retryMs = RETRY_FIRST_MS;

  const show = (next: LiveState): void => {
    if (next.staleSince === state.staleSince && next.hasBegun === state.hasBegun) return;
    state = next;
    for (const listener of listeners) listener();
  };
  const stale = (): void => show({ ...state, staleSince: state.staleSince ?? Date.now() });
  const heard = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      stale();
      again();
    }, SILENCE_MS);
  };
  const disconnect = (): void => {
    source?.close();
    source = null;
    clearTimeout(silence);
    clearTimeout(retry);
  };
  const again = (): void => {
    disconnect();
    retry = setTimeout(connect, retryMs);
    retryMs = Math.min(RETRY_MAX_MS, 2 * retryMs);
  };
  const take = (frame: StreamFrame): void => {
    heard();
    if (frame.type === 'end') {
      if (frame.reason === 'token') ended();
      again();
      return;
    }
    if (frame.type === 'changed' || frame.type === 'gone') changed(frame);
    else if (frame.type === 'metrics') metrics(frame);
    else if (frame.type === 'reset') reset();
    else if (frame.type === 'ready') {
      retryMs = RETRY_FIRST_MS;
      // What was read before has nobody to tell of changes meanwhile.
      if (cursor === null && state.hasBegun) reset();
      else if (state.hasBegun) resumed();
      show({ staleSince: null, hasBegun: true });
      for (const one of waiting) one();
      waiting.clear();
    } else show({ ...state, staleSince: null });
    // What rides along without one (figures) may get lost.
    if ('cursor' in frame) cursor = frame.cursor;
  };
  function connect(): void {
    disconnect();
    const query = cursor === null ? '' : `?${new URLSearchParams({ since: cursor })}`;
    source = new EventSource(`${PATH}${query}`);
    source.addEventListener('message', ({ data }) => {
      const read = streamFrame.safeParse(JSON.parse(String(data)));
      // One of a kind that this page does not know yet, of a newer API: it still is a sign of life.
      if (read.success) take(read.data);
      else heard();
    });
    source.addEventListener('error', () => {
      // By itself it would come back without what was read last.
      if (state.hasBegun) stale();
      again();
    });
  }
  const look = (): void => {
    if (document.hidden) disconnect();
    else if (source === null) connect();
  };
  document.addEventListener('visibilitychange', look);
  look();
  return {
    begun: ms =>
      state.hasBegun
        ? Promise.resolve()
        : new Promise(resolve => {
            waiting.add(resolve);
            setTimeout(resolve, ms);
          }),
    state: () => state,
    subscribe: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      document.removeEventListener('visibilitychange', look);
      disconnect();
    },
  };
}
