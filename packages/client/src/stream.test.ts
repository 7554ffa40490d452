import type { StreamFrame } from '@cupola/contract/v3/stream';
import { expect, test } from 'vitest';
import { CfApiError } from './errors.ts';
import { clientOf, serverThat } from './fixtures.ts';
import { followStream } from './stream.ts';

const event = (frame: object): string => `data: ${JSON.stringify(frame)}\n\n`;
const ready = (cursor: string) => ({ type: 'ready', cursor });

test('followStream() goes on from the last cursor when the connection has ended, and knows nothing of frames yet to be invented', async () => {
  const ended = new AbortController();
  const frames: StreamFrame[] = [];
  await using server = await serverThat((_asked, before) => ({
    headers: { 'content-type': 'text/event-stream' },
    text:
      before === 0
        ? `${event(ready('1:e'))}${event({ type: 'new', cursor: '9:e' })}${event({ type: 'end', reason: 'restart', message: 'x' })}`
        : event(ready('2:e')),
  }));
  await followStream(clientOf(server.origin), {
    query: { space_guids: 's' },
    signal: ended.signal,
    frame: frame => {
      frames.push(frame);
      if (frame.type === 'ready' && frame.cursor === '2:e') ended.abort();
    },
  });
  expect(frames.map(({ type }) => type)).toEqual(['ready', 'end', 'ready']);
  expect(server.asked.map(({ url }) => url)).toEqual([
    '/v3/stream?space_guids=s',
    '/v3/stream?space_guids=s&since=1%3Ae',
  ]);
  expect(server.asked[0]?.headers.accept).toBe('text/event-stream');
});

test('followStream() throws what the API refuses', async () => {
  await using server = await serverThat(() => ({
    status: 400,
    body: { errors: [{ code: 1, title: 't', detail: 'd' }] },
  }));
  const followed = followStream(clientOf(server.origin), {
    query: { kinds: 'x' },
    signal: new AbortController().signal,
    frame: () => undefined,
  });
  await expect(followed).rejects.toThrow(CfApiError);
});

test('followStream() tells that a connection was cut, and makes it again', async () => {
  const ended = new AbortController();
  const lost: unknown[] = [];
  await using server = await serverThat((_asked, before) =>
    before === 0 ? { cut: true } : { text: event(ready('1:e')) },
  );
  await followStream(clientOf(server.origin), {
    query: {},
    signal: ended.signal,
    frame: () => ended.abort(),
    lost: error => void lost.push(error),
  });
  expect(lost).toHaveLength(1);
});
