import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tellSchedule } from './run.ts';

const REPLAY = fileURLToPath(new URL('replay.ts', import.meta.url));

/** What a process of its own says of these schedules: a core each, and without the test runner's wrapping of every import twice as fast. */
async function play(from: number, count: number): Promise<string> {
  const argv = [REPLAY, '--from', String(from), '--count', String(count)];
  const { stdout } = await promisify(execFile)(process.execPath, argv).catch((error: { stdout: string }) => error);
  return stdout.trim();
}

/** Some 10 s on a quiet machine; the rest is for one that has other things to do. */
const TIMEOUT_MS = 300_000;

test.concurrent.each([1, 5_001])(
  'the simulated cluster holds every invariant in 5,000 schedules from seed %i',
  async from => {
    expect(await play(from, 5_000)).toBe(`5000 schedules from seed ${from}: every invariant held`);
  },
  TIMEOUT_MS,
);

test('runSchedule() tells the same history for the same seed, and another one for another', () => {
  expect(tellSchedule(3)).toEqual(tellSchedule(3));
  expect(tellSchedule(3)).not.toEqual(tellSchedule(4));
  expect(tellSchedule(3).length).toBeGreaterThan(20);
});
