import { expect, test } from 'vitest';
import { createLatency } from './latency.ts';

test('requests are counted by app and class of the status, their seconds in rising buckets', () => {
  const latency = createLatency();
  latency.observe('app-1', 200, 3);
  latency.observe('app-1', 204, 30);
  latency.observe('app-1', 502, 120_000);
  latency.observe('', 404, 5);
  const lines = latency.text().split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      ...['# TYPE cupola_router_requests_total counter', '# TYPE cupola_router_request_duration_seconds histogram'],
      'cupola_router_requests_total{app="app-1",status="2xx"} 2',
      'cupola_router_requests_total{app="app-1",status="5xx"} 1',
      'cupola_router_requests_total{app="",status="4xx"} 1',
      'cupola_router_request_duration_seconds_bucket{app="app-1",le="0.005"} 1',
      'cupola_router_request_duration_seconds_bucket{app="app-1",le="0.05"} 2',
      'cupola_router_request_duration_seconds_bucket{app="app-1",le="60"} 2',
      'cupola_router_request_duration_seconds_bucket{app="app-1",le="+Inf"} 3',
      'cupola_router_request_duration_seconds_sum{app="app-1"} 120.033',
      'cupola_router_request_duration_seconds_count{app="app-1"} 3',
      'cupola_router_request_duration_seconds_bucket{app="",le="0.005"} 1',
    ]),
  );
});

test('apps beyond the bound that were asked longest ago become one, and no request is lost of it', () => {
  const latency = createLatency({ appsMax: 10 });
  for (let app = 0; app < 10; app++) latency.observe(`app-${app}`, 200, 1);
  latency.observe('app-0', 200, 1);
  latency.observe('app-10', 200, 1);
  const counts = latency
    .text()
    .split('\n')
    .filter(line => line.startsWith('cupola_router_requests_total'));
  expect(counts).toHaveLength(11);
  expect(counts).toContain('cupola_router_requests_total{app="app-0",status="2xx"} 2');
  expect(counts).toContain('cupola_router_requests_total{app="other",status="2xx"} 1');
  expect(counts.join()).not.toContain('app="app-1",');
});

test('sinceLast() tells what has come to each app since it was last asked', () => {
  const latency = createLatency();
  latency.observe('app-1', 200, 3);
  latency.observe('app-1', 500, 7);
  latency.observe('', 404, 5);
  const [first] = latency.sinceLast();
  expect(first?.guid).toBe('app-1');
  expect(first?.numbers).toEqual([1, 1, ...Array(12).fill(0), 0, 1, 0, 0, 1, 10]);
  expect(latency.sinceLast()).toEqual([]);
  latency.observe('app-1', 204, 2);
  expect(latency.sinceLast()[0]?.numbers).toEqual([1, ...Array(13).fill(0), 0, 1, 0, 0, 0, 2]);
  expect(latency.text()).toContain('cupola_router_requests_total{app="app-1",status="2xx"} 2');
});
