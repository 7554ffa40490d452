import { expect, test } from 'vitest';
import { clientOf, serverThat } from './fixtures.ts';
import { followLines, recentLines } from './logs.ts';

const envelope = (ns: number, text: string): unknown => ({
  timestamp: String(ns),
  instance_id: '0',
  tags: { source_type: 'APP/PROC/WEB' },
  log: { payload: Buffer.from(text).toString('base64'), ...(text.startsWith('!') ? { type: 'ERR' } : {}) },
});

test('recentLines() asks for the newest and gives the oldest of them first', async () => {
  await using server = await serverThat(() => ({
    body: {
      envelopes: { batch: [envelope(3, 'c'), envelope(2, '!b'), { timestamp: '1', gauge: {} }, envelope(1, 'ä')] },
    },
  }));
  const lines = await recentLines(clientOf(server.origin), 'app/1');
  expect(lines.map(({ text, stream }) => [text, stream])).toEqual([
    ['ä', 'OUT'],
    ['!b', 'ERR'],
    ['c', 'OUT'],
  ]);
  expect(server.asked[0]?.url).toBe('/api/v1/read/app%2F1?envelope_types=LOG&limit=1000&descending=true&start_time=0');
});

test.each([{}, { envelopes: {} }, { envelopes: { batch: [] } }])('no lines: %j', async body => {
  await using server = await serverThat(() => ({ body }));
  expect(await recentLines(clientOf(server.origin), 'a')).toEqual([]);
});

test('followLines() shows each line once, goes on after failures, and reads a last time when told to stop', async () => {
  const all = [envelope(10, 'a'), envelope(11, 'b'), envelope(12, 'c')];
  const stop = new AbortController();
  await using server = await serverThat((asked, before) => {
    const startNs = BigInt(new URL(asked.url, 'http://x').searchParams.get('start_time') ?? '0');
    if (before === 1) return { cut: true };
    if (before === 2) return { status: 500, body: {} };
    if (before === 3) setImmediate(() => stop.abort());
    // The last line is there only for the read after the stop.
    const there = stop.signal.aborted ? all : all.slice(0, 2);
    return {
      body: { envelopes: { batch: there.filter(one => BigInt((one as { timestamp: string }).timestamp) >= startNs) } },
    };
  });
  const shown: string[] = [];
  await followLines(clientOf(server.origin), 'a', {
    fromNs: 5n,
    signal: stop.signal,
    show: ({ text }) => shown.push(text),
  });
  expect(shown).toEqual(['a', 'b', 'c']);
  expect(server.asked[0]?.url).toContain('limit=');
});

test('followLines() gives up after five failures in a row', async () => {
  await using server = await serverThat(() => ({ status: 500, body: {} }));
  await expect(
    followLines(clientOf(server.origin), 'a', {
      fromNs: 0n,
      signal: new AbortController().signal,
      show: () => undefined,
    }),
  ).rejects.toMatchObject({ status: 500 });
  expect(server.asked).toHaveLength(5);
});
