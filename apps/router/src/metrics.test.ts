import http from 'node:http';
import { openHealth } from '@cupola/process/health';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { aRouter, until } from './fixtures.ts';
import { createLatency } from './logs/latency.ts';
import { addRouterMetrics, readinessOf } from './metrics.ts';

test('a router shows requests by app and status, and what it has', async () => {
  await using health = await openHealth({ listen: { host: '127.0.0.1', port: 0 }, log: pino({ level: 'silent' }) });
  const latency = createLatency();
  await using test = await aRouter([], { latency });
  addRouterMetrics(health.metrics, latency, test.router);
  expect(readinessOf(test.router)).toEqual({ missing: null });
  await new Promise<void>((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port: test.port, headers: { host: 'none.localhost' }, agent: false }, response => {
        response.resume().on('end', resolve);
      })
      .on('error', reject);
  });
  await until(() => test.router.counts.get('')?.get(404) === 1);
  const answer = await fetch(`http://127.0.0.1:${health.address()?.port}/metrics`);
  const shown = await answer.text();
  expect(shown.split('\n')).toEqual(
    expect.arrayContaining([
      'cupola_router_requests_total{app="",status="4xx"} 1',
      'cupola_router_request_duration_seconds_count{app=""} 1',
      ...['cupola_router_routes 0', 'cupola_router_backend_connections 0', 'cupola_router_held_requests 0'],
      ...['cupola_router_machines_down 0', 'cupola_router_log_lines_lost_total 0'],
    ]),
  );
  expect([...shown.matchAll(/^# HELP /gm)]).toHaveLength([...shown.matchAll(/^# TYPE /gm)].length);
});

test('a router without a table is not ready', async () => {
  const state = () => ({ hasTable: false }) as ReturnType<Parameters<typeof readinessOf>[0]['state']>;
  expect(readinessOf({ state }).missing).toMatch(/^no table of routes has come yet/);
});
