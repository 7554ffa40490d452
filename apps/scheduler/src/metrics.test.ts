import { openHealth } from '@cupola/process/health';
import { aCell } from '@cupola/store/fixtures';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { aStartedProcess, startTestScheduler } from './fixtures.ts';
import { createSchedulerWatch } from './metrics.ts';

test('a scheduler shows that it leads, its passes, and what they wrote', async () => {
  await using health = await openHealth({
    listen: { host: '127.0.0.1', port: 0 },
    log: pino({ level: 'silent' }),
  });
  let clockMs = 0;
  const shown = async (): Promise<string[]> => {
    const answer = await fetch(`http://127.0.0.1:${health.address()?.port}/metrics`);
    return (await answer.text()).split('\n');
  };
  const watch = createSchedulerWatch(health.metrics, () => clockMs);
  expect(await shown()).toContain('cupola_scheduler_leading 0');
  await using scheduler = await startTestScheduler({ watch });
  await aCell(scheduler.store);
  await aStartedProcess(scheduler.store, { instances: 2 });
  await vi.waitFor(
    async () =>
      expect(await shown()).toEqual(
        expect.arrayContaining([
          'cupola_scheduler_leading 1',
          'cupola_scheduler_actions_total{kind="place"} 2',
          expect.stringMatching(/^cupola_scheduler_pass_duration_seconds_count [1-9]/),
        ]),
      ),
    { timeout: 30_000 },
  );
  await scheduler.end();
  clockMs += 60_000;
  expect(await shown()).toEqual(
    expect.arrayContaining(['cupola_scheduler_leading 0', 'cupola_scheduler_last_pass_age_seconds 0']),
  );
});
