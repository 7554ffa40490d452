/** A client of the stream for tests: frames as they come. */
import { get, type IncomingMessage } from 'node:http';
import { type StreamFrame, streamFrame } from '@cupola/contract/v3/stream';
import type { Store } from '@cupola/store/store';
import { WebSocket } from 'ws';
import type { ApiDeps } from '../deps.ts';
import type { TestApi } from '../fixtures.ts';
import { createStreamHub, type StreamHub } from './hub.ts';

/** A hub of its own beside a test's API, with a store that may count. */
export function hubOf(given: TestApi['deps'], store: Store = given.store): StreamHub {
  const { log, now, sealer, config } = given;
  // Objects are read and shown with nothing else.
  const deps = { store, log, now, sealer, config } as unknown as ApiDeps;
  return createStreamHub(() => deps, { store, log, now });
}

export interface TestStream extends AsyncDisposable {
  status: number;
  /** All that came so far. */
  frames: StreamFrame[];
  /** Of the last event that had one. */
  lastId: string;
  /** Resolves with the first frame, of those that came or will come, that fits. */
  until(fits: (frame: StreamFrame) => boolean): Promise<StreamFrame>;
  /** Resolves when the server has ended it. */
  ended: Promise<void>;
}

export type ChangedFrame = Extract<StreamFrame, { type: 'changed' }>;
export const isChanged =
  (kind: string, guid?: string) =>
  (frame: StreamFrame): frame is ChangedFrame =>
    frame.type === 'changed' && frame.kind === kind && (guid === undefined || frame.guid === guid);

interface Ask {
  token: string;
  query?: string;
  lastEventId?: string;
}

/** Resolves after `ready`. */
export async function openStream(
  test: Pick<TestApi, 'url'>,
  { token, query = '', lastEventId }: Ask,
): Promise<TestStream> {
  const headers = {
    accept: 'text/event-stream',
    authorization: `bearer ${token}`,
    ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
  };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    // A connection of its own: fetch opens another one for the next request when one is cut, and a server that drains waits for it.
    get(`${test.url}/v3/stream${query}`, { headers, agent: false }, resolve).once('error', reject);
  });
  const collected = collect();
  const ended = readEvents(answer, collected.take).catch(() => undefined);
  const status = answer.statusCode ?? 0;
  if (status === 200) await collected.until(({ type }) => type === 'ready' || type === 'end');
  return {
    ...collected,
    get lastId() {
      return collected.lastId();
    },
    status,
    ended,
    [Symbol.asyncDispose]: async () => {
      answer.destroy();
      await ended;
    },
  };
}

async function readEvents(answer: IncomingMessage, take: (event: string) => void): Promise<void> {
  answer.setEncoding('utf8');
  let text = '';
  for await (const chunk of answer) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) take(event);
  }
}

/** The same over a WebSocket. */
export async function openSocketStream(test: Pick<TestApi, 'url'>, { token, query = '' }: Ask): Promise<TestStream> {
  const socket = new WebSocket(`${test.url.replace('http', 'ws')}/v3/stream${query}`, {
    headers: { authorization: `bearer ${token}` },
  });
  const collected = collect();
  socket.on('message', data => {
    for (const line of String(data).split('\n')) if (line !== '') collected.take(`data: ${line}`);
  });
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()));
  const status = await new Promise<number>(resolve => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.once('error', () => resolve(0));
  });
  if (status === 101) await collected.until(({ type }) => type === 'ready' || type === 'end');
  return {
    ...collected,
    lastId: '',
    status,
    ended,
    [Symbol.asyncDispose]: async () => {
      socket.terminate();
      await ended;
    },
  };
}

function collect() {
  const frames: StreamFrame[] = [];
  const waiting = new Set<() => void>();
  let id = '';
  return {
    frames,
    lastId: () => id,
    take: (event: string): void => {
      const lines = event.split('\n');
      id = lines.find(line => line.startsWith('id: '))?.slice(4) ?? id;
      const data = lines.find(line => line.startsWith('data: '))?.slice(6);
      if (data !== undefined) frames.push(streamFrame.parse(JSON.parse(data)));
      for (const wake of waiting) wake();
    },
    until: (fits: (frame: StreamFrame) => boolean): Promise<StreamFrame> =>
      new Promise(resolve => {
        const look = (): void => {
          const found = frames.find(fits);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}
