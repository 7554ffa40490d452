import { type Health, openHealth } from '@cupola/process/health';
import { aBuild, aCell, aCopy, aTask } from '@cupola/store/fixtures';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';
import { callInternal } from '../internal/fixtures.ts';
import { createRequestMetrics } from './request-metrics.ts';
import { addStoreMetrics } from './store-metrics.ts';

let health: Health;
beforeEach(async () => {
  health = await openHealth({ listen: { host: '127.0.0.1', port: 0 }, log: pino({ level: 'silent' }) });
});
afterEach(() => health[Symbol.asyncDispose]());

async function metrics(): Promise<string[]> {
  const answer = await fetch(`http://127.0.0.1:${health.address()?.port}/metrics`);
  return (await answer.text()).split('\n');
}

test('each request counts once, under the path of its endpoint', async () => {
  await using test = await startTestApi({ requestDone: createRequestMetrics(health.metrics) });
  const { spaceGuid } = test.home;
  await test.api('GET', `/v3/spaces/${spaceGuid}`, { token: test.admin });
  await test.api('GET', '/v3/spaces/none', { token: test.admin });
  await test.api('GET', '/v3/nothing/of/the/kind', { token: test.admin });
  await callInternal(test.socketPath, 'POST', '/internal/cells/none/drain', {});
  expect(await metrics()).toEqual(
    expect.arrayContaining([
      '# TYPE cupola_api_requests_total counter',
      'cupola_api_requests_total{listener="public",route="/v3/spaces/:guid",method="GET",status="2xx"} 1',
      'cupola_api_requests_total{listener="public",route="/v3/spaces/:guid",method="GET",status="4xx"} 1',
      'cupola_api_requests_total{listener="public",route="none",method="any",status="4xx"} 1',
      'cupola_api_requests_total{listener="internal",route="/internal/cells/:cellId/drain",method="POST",status="4xx"} 1',
      'cupola_api_request_duration_seconds_count{listener="public",route="/v3/spaces/:guid"} 2',
    ]),
  );
});

test('the store tells what waits and what runs, and is not asked again for some seconds', async () => {
  await using test = await openTestStore();
  const { store } = test;
  const clock = { now: 1_000_000 };
  addStoreMetrics(health.metrics, { store, now: () => clock.now, monotonic: () => clock.now });
  await aBuild(store, { created_at: 940_000 });
  await aBuild(store, { created_at: 900_000, stager: 'a' });
  await aBuild(store, { created_at: 100_000, state: 'FAILED' });
  const { cell_id } = await aCell(store);
  await aCopy(store, { cell_id, state: 'CRASHED' });
  await aTask(store, { state: 'RUNNING' });
  const expected = [
    ...['cupola_build_queue_depth 1', 'cupola_build_queue_oldest_seconds 60', 'cupola_placements_waiting 0'],
    ...['cupola_builds{state="STAGING"} 2', 'cupola_builds{state="FAILED"} 1', 'cupola_cells{state="ACTIVE"} 1'],
    ...['cupola_instances{state="CRASHED"} 1', 'cupola_tasks{state="RUNNING"} 1'],
  ];
  expect(await metrics()).toEqual(expect.arrayContaining(expected));
  await aCopy(store, { cell_id, state: 'CRASHED' });
  expect(await metrics()).toContain('cupola_instances{state="CRASHED"} 1');
  clock.now += 5_000;
  expect(await metrics()).toContain('cupola_instances{state="CRASHED"} 2');
});
