import type { LogEnvelope } from '@cupola/contract/internal';
import { expect, test } from 'vitest';
import { openLogSender } from './log-sender.ts';

function aLog(fails = 0) {
  const sent: LogEnvelope[][] = [];
  let left = fails;
  const send = async (batch: LogEnvelope[]): Promise<void> => {
    if (left-- > 0) throw new Error('away');
    sent.push(batch);
  };
  return { sent, sender: openLogSender(send, { appGuid: 'app', now: () => 1_000 }) };
}

test('line() sends [STG/0] lines in batches, with times that rise within a millisecond', async () => {
  const { sent, sender } = aLog();
  sender.line('one');
  sender.line('two', 'ERR');
  await sender.flush();
  expect(sent).toEqual([
    [
      { appGuid: 'app', sourceType: 'STG', instanceId: '0', type: 'OUT', timestampNs: '1000000000', line: 'one' },
      { appGuid: 'app', sourceType: 'STG', instanceId: '0', type: 'ERR', timestampNs: '1000000001', line: 'two' },
    ],
  ]);
});

test('flush() waits for an API that is away for a moment', async () => {
  const { sent, sender } = aLog(2);
  sender.line('kept');
  await sender.flush();
  expect(sent.flat().map(({ line }) => line)).toEqual(['kept']);
});

test('line() counts what it had to drop, and says so', async () => {
  const { sent, sender } = aLog();
  for (let index = 0; index < 20_005; index++) sender.line(String(index));
  await sender.flush();
  sender.line('later');
  await sender.flush();
  const lines = sent.flat().map(({ line }) => line);
  expect(lines).toContain('5 lines of the staging log were lost');
  expect(lines.at(-1)).toBe('later');
  expect(Math.max(...sent.map(batch => batch.length))).toBeLessThanOrEqual(1_001);
});
