import { type LogEnvelope, logBatch } from '@cupola/contract/internal';
import { expect, test } from 'vitest';
import { silentLog, until } from '../fixtures.ts';
import { createLogSender, type LogLine, type LogSource } from './log-sender.ts';

const source: LogSource = { appGuid: 'app-1', sourceType: 'CELL', instanceId: '0' };
const line = (text: string, overrides: Partial<LogLine> = {}): LogLine => ({
  source,
  type: 'OUT',
  timestampMs: 1_000,
  line: text,
  mark: null,
  ...overrides,
});

/** A sender that runs, and an API that takes its batches, or does not. */
function aSender() {
  const taken: LogEnvelope[][] = [];
  const api = { isAway: false };
  const ended = new AbortController();
  const sender = createLogSender({
    api: {
      post: async (_, body) => {
        if (api.isAway) throw new Error('away');
        taken.push(logBatch.parse(body).envelopes);
        return null;
      },
    },
    now: () => 2_000,
    log: silentLog,
  });
  const running = sender.run(ended.signal);
  return {
    sender,
    api,
    taken,
    lines: () => taken.flat().map(envelope => envelope.line),
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await running;
    },
  };
}

test('offer() sends lines in batches, in their order, with a nanosecond of its own each', async () => {
  await using at = aSender();
  for (let n = 0; n < 1_500; n++) at.sender.offer(line(`line ${n}`));
  await until('all taken', () => at.lines().length === 1_500);
  expect(at.taken.length).toBeLessThanOrEqual(3);
  expect(at.lines()).toEqual(Array.from({ length: 1_500 }, (_, n) => `line ${n}`));
  const times = at.taken.flat().map(({ timestampNs }) => timestampNs);
  expect(times.slice(0, 2)).toEqual(['1000000000', '1000000001']);
  expect(new Set(times).size).toBe(1_500);
});

test('offer() counts what it cannot keep while the API is away, and says how much it was', async () => {
  await using at = aSender();
  at.api.isAway = true;
  for (let n = 0; n < 10_025; n++) at.sender.offer(line(`line ${n}`));
  at.api.isAway = false;
  await until('the loss is said', () => at.lines().some(text => text.startsWith('25 log lines were lost')));
  await until('the rest came', () => at.lines().filter(text => text.startsWith('line ')).length === 10_000);
});

test('add() waits for room instead of losing a line', async () => {
  await using at = aSender();
  at.api.isAway = true;
  for (let n = 0; n < 10_000; n++) await at.sender.add(line(`line ${n}`));
  const late = at.sender.add(line('the last'));
  expect(await Promise.race([late.then(() => 'added'), Promise.resolve('waits')])).toBe('waits');
  at.api.isAway = false;
  await late;
  await until('it came', () => at.lines().at(-1) === 'the last');
  expect(at.lines()).toHaveLength(10_001);
});

test('a mark is told once its line has been taken, the last of each batch only', async () => {
  await using at = aSender();
  const reached: string[] = [];
  const mark = (position: string) => ({ position, reached: told });
  function told(position: string): void {
    reached.push(position);
  }
  at.api.isAway = true;
  for (let n = 0; n < 5; n++) at.sender.offer(line(`line ${n}`, { mark: mark(String(n)) }));
  expect(reached).toEqual([]);
  at.api.isAway = false;
  await until('told', () => reached.length > 0);
  expect(reached).toEqual(['4']);
});
