/** The live stream of our API: frames as they come, from where one was, whatever becomes of the connection. */
import { setTimeout as pause } from 'node:timers/promises';
import { STREAM_BEAT_MS, type StreamFrame, streamFrame } from '@cupola/contract/v3/stream';
import type { CloudClient } from './cloud-client.ts';
import { CfApiError } from './errors.ts';

/** Three beats without a word: the connection is dead. */
const SILENCE_MS = 3 * STREAM_BEAT_MS;
const RETRY_MS = [100, 500, 2_000];
const FAILURES_MAX = 30;

export interface FollowedStream {
  /** `kinds`, `space_guids`, `app_guids` ... */
  readonly query: Record<string, string>;
  readonly signal: AbortSignal;
  frame(frame: StreamFrame): void;
  /** The connection is lost, and made again. */
  lost?(error: unknown): void;
}

/** Until `signal` is aborted. Throws what the API refuses, and after some minutes in which nobody answers. */
export async function followStream(client: CloudClient, { query, signal, frame, lost }: FollowedStream): Promise<void> {
  let since: string | null = null;
  let failures = 0;
  while (!signal.aborted) {
    const take = events(one => {
      failures = 0;
      if ('cursor' in one) since = one.cursor;
      frame(one);
    });
    try {
      await client.follow(
        {
          path: '/v3/stream',
          query: { ...query, ...(since === null ? {} : { since }) },
          headers: { accept: 'text/event-stream' },
          timeoutMs: SILENCE_MS,
          signal,
        },
        take,
      );
    } catch (error) {
      if (signal.aborted) return;
      if ((error instanceof CfApiError && error.status < 500) || ++failures > FAILURES_MAX) throw error;
      lost?.(error);
    }
    await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)], undefined, { signal }).catch(() => undefined);
  }
}

/** Cuts events out of the chunks that they come in. Frames of a kind that is not known yet are left out. */
function events(said: (frame: StreamFrame) => void): (chunk: Buffer) => void {
  const decoder = new TextDecoder();
  let text = '';
  return chunk => {
    text += decoder.decode(chunk, { stream: true });
    const whole = text.split('\n\n');
    text = whole.pop() ?? '';
    for (const event of whole) {
      const data = event.split('\n').find(line => line.startsWith('data: '));
      const parsed = data === undefined ? undefined : streamFrame.safeParse(JSON.parse(data.slice(6))).data;
      if (parsed !== undefined) said(parsed);
    }
  };
}
