import { expect, test } from 'vitest';
import { type AppFigures, type InstanceRow, instanceRows, topTable } from './top-table.ts';

const figures = (app_guid: string, given: Partial<AppFigures> = {}): AppFigures => ({
  type: 'metrics',
  app_guid,
  organization_guid: 'o',
  space_guid: 's',
  at: '2026-01-02T03:04:00Z',
  step_seconds: 10,
  requests: { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 },
  latency_ms: { p50: null, p95: null, p99: null },
  cpu: null,
  memory_in_bytes: null,
  instances: null,
  ...given,
});
const nameOf = (guid: string): string => guid;

test('topTable() has the busiest first, by what is asked', () => {
  const quiet = figures('quiet', { cpu: 0.001, memory_in_bytes: 300 * 1024 * 1024, instances: 1 });
  const busy = figures('busy', {
    cpu: 1.5,
    memory_in_bytes: 64 * 1024 * 1024,
    instances: 2,
    requests: { '1xx': 0, '2xx': 120, '3xx': 0, '4xx': 0, '5xx': 5 },
    latency_ms: { p50: 3.4, p95: 80, p99: 90 },
  });
  expect(topTable([quiet, busy], { nameOf, order: 'cpu' }).split('\n')).toEqual([
    'app     cpu      memory   instances   req/s   5xx/s   p50 ms   p95 ms',
    'busy    150.0%   64M      2           12.5    0.5     3        80',
    'quiet   0.1%     300M     1           0.0     0.0     -        -',
  ]);
  expect(topTable([busy, quiet], { nameOf, order: 'memory' }).split('\n')[1]).toMatch(/^quiet/);
});

test('topTable() shows what was not measured as such', () => {
  expect(topTable([figures('a')], { nameOf, order: 'requests' }).split('\n')[1]).toMatch(/^a +- +- +- +0\.0/);
});

test('instanceRows() has each instance with what it uses: by index, or what uses most first', () => {
  const instance = (given: Partial<InstanceRow>): InstanceRow => ({
    ...{ type: 'web', index: 0, state: 'RUNNING', uptimeSeconds: 90, cpu: 0.01, memoryBytes: 20 * 1_048_576 },
    ...{ memoryLimitBytes: 64 * 1_048_576, crashes: 0, host: '10.0.0.1', details: null },
    ...given,
  });
  const down = {
    state: 'DOWN',
    uptimeSeconds: 7_300,
    cpu: null,
    memoryBytes: null,
    memoryLimitBytes: null,
    host: null,
  };
  const all = [
    instance({ type: 'clock' }),
    instance({ index: 1, cpu: 0.5, crashes: 2 }),
    instance({ ...down, index: 2, details: 'waits for room' }),
    instance({}),
  ];
  expect(instanceRows(all, 'index')).toEqual([
    ['instance', 'state', 'for', 'cpu', 'memory', 'crashes', 'cell', 'details'],
    ['web/0', 'running', '90 s', '1.0%', '20M of 64M', '0', '10.0.0.1', ''],
    ['web/1', 'running', '90 s', '50.0%', '20M of 64M', '2', '10.0.0.1', ''],
    ['web/2', 'down', '2 h', '-', '-', '0', '-', 'waits for room'],
    ['clock/0', 'running', '90 s', '1.0%', '20M of 64M', '0', '10.0.0.1', ''],
  ]);
  expect(instanceRows(all, 'cpu').map(([name]) => name)).toEqual(['instance', 'web/1', 'web/0', 'clock/0', 'web/2']);
});
