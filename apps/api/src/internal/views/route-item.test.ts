import { STOP_LINGER_MS } from '@cupola/model/limits';
import { expect, test } from 'vitest';
import { type RoutedCopy, type RoutedProcess, routeItem } from './route-item.ts';

const NOW = 1_000_000_000;
const TIMEOUT_MS = 240_000;

const aCopy = (given: Partial<RoutedCopy> = {}): RoutedCopy => ({
  guid: 'copy',
  index: 0,
  runSpecGuid: 'new',
  state: 'RUNNING',
  isRoutable: true,
  host: '10.0.0.2',
  port: 8080,
  via: null,
  crashCount: 0,
  ...given,
});
const aProcess = (given: Partial<RoutedProcess> = {}): RoutedProcess => ({
  appGuid: 'app',
  appName: 'shop',
  spaceName: 'dev',
  organizationName: 'org',
  processGuid: 'process',
  processType: 'web',
  isStarted: true,
  stoppedAt: null,
  instances: 1,
  runSpecGuid: 'new',
  plannedAt: null,
  startTimeoutMs: TIMEOUT_MS,
  copies: [aCopy()],
  ...given,
});
/** Longer ago than any start takes. */
const LONG_AGO = NOW - 1_000_000;
const route = (processes: RoutedProcess[], now = NOW, startedAt = LONG_AGO) =>
  routeItem({ guid: 'r', host: 'shop', domain: 'localhost', path: '', options: {}, processes }, { now, startedAt });
const first = (process: Partial<RoutedProcess>, now = NOW, startedAt = LONG_AGO) =>
  route([aProcess(process)], now, startedAt).item.destinations[0];
const endpointsOf = (process: Partial<RoutedProcess>) =>
  first(process)?.endpoints.map(({ instanceGuid }) => instanceGuid);
const holdOf = (process: Partial<RoutedProcess>, now = NOW) => first(process, now)?.holdMs;

test('endpoints are the copies that are RUNNING and ready, by index', () => {
  const copies = [
    aCopy({ guid: 'b', index: 1 }),
    aCopy({ guid: 'a', index: 0 }),
    aCopy({ guid: 'unready', index: 2, isRoutable: false }),
    aCopy({ guid: 'starting', index: 3, state: 'STARTING', host: null, port: null }),
    aCopy({ guid: 'stopping', index: 4, state: 'STOPPING' }),
  ];
  expect(first({ copies })?.endpoints).toEqual([
    { instanceGuid: 'a', index: 0, host: '10.0.0.2', port: 8080 },
    { instanceGuid: 'b', index: 1, host: '10.0.0.2', port: 8080 },
  ]);
});

test('copies of a former run serve until one of the newest is healthy, and not longer', () => {
  const old = aCopy({ guid: 'old', runSpecGuid: 'former' });
  expect(endpointsOf({ copies: [old, aCopy({ state: 'STARTING' })] })).toEqual(['old']);
  expect(endpointsOf({ copies: [old, aCopy({ guid: 'new' })] })).toEqual(['new']);
});

test('nothing is held while somebody serves', () => {
  expect(holdOf({ plannedAt: NOW })).toBe(0);
});

test('requests are held for a planned change, for as long as a start may take', () => {
  const planned = { plannedAt: NOW, copies: [] };
  expect(holdOf(planned)).toBe(TIMEOUT_MS);
  expect(holdOf(planned, NOW + TIMEOUT_MS - 1)).toBe(TIMEOUT_MS);
  expect(holdOf(planned, NOW + TIMEOUT_MS)).toBe(0);
  expect(route([aProcess(planned)]).dueAtMs).toBe(NOW + TIMEOUT_MS);
});

test.each([
  ['the first crash', { state: 'CRASHED', crashCount: 1 }, TIMEOUT_MS],
  ['the start after the second', { state: 'STARTING', crashCount: 2 }, TIMEOUT_MS],
  ['the third crash', { state: 'CRASHED', crashCount: 3 }, 0],
  ['a first start that nobody planned', { state: 'STARTING', crashCount: 0 }, 0],
  ['a copy that is not ready', { state: 'RUNNING', crashCount: 1, isRoutable: false }, 0],
] as const)('after %s requests are held for %j: %i ms', (_, copy, holdMs) => {
  expect(holdOf({ copies: [aCopy(copy)] })).toBe(holdMs);
});

test('what was planned is not waited for once every copy of it keeps crashing', () => {
  const copies = [aCopy({ state: 'CRASHED', crashCount: 3 })];
  expect(holdOf({ plannedAt: NOW - 1_000, copies })).toBe(0);
  const former = aCopy({ state: 'CRASHED', crashCount: 9, runSpecGuid: 'former' });
  expect(holdOf({ plannedAt: NOW - 1_000, copies: [former] })).toBe(TIMEOUT_MS);
});

test('nothing is held for a process without instances', () => {
  expect(holdOf({ instances: 0, plannedAt: NOW, copies: [] })).toBe(0);
});

test('a stopped app keeps its route and copies for a moment, then requests get 404', () => {
  const stopped = { isStarted: false, stoppedAt: NOW };
  expect(endpointsOf(stopped)).toEqual(['copy']);
  expect(route([aProcess(stopped)]).dueAtMs).toBe(NOW + STOP_LINGER_MS);
  const after = route([aProcess(stopped)], NOW + STOP_LINGER_MS);
  expect(after).toEqual({ item: expect.objectContaining({ destinations: [] }), dueAtMs: null });
});

test('a stopped app whose copies are gone holds nothing', () => {
  expect(holdOf({ isStarted: false, stoppedAt: NOW, plannedAt: NOW, copies: [] })).toBe(0);
});

test('an item is due when the first of its destinations is', () => {
  const processes = [
    aProcess({ plannedAt: NOW, copies: [] }),
    aProcess({ isStarted: false, stoppedAt: NOW - 500 }),
    aProcess(),
  ];
  expect(route(processes).dueAtMs).toBe(NOW - 500 + STOP_LINGER_MS);
});

test('requests are held for what is wanted since the start of the platform, as long as a start may take', () => {
  const held = (process: Partial<RoutedProcess>, now: number) => first(process, now, NOW)?.holdMs;
  const down = { copies: [], plannedAt: LONG_AGO };
  expect([held(down, NOW), held(down, NOW + TIMEOUT_MS - 1), held(down, NOW + TIMEOUT_MS)]).toEqual([
    TIMEOUT_MS,
    TIMEOUT_MS,
    0,
  ]);
  expect(route([aProcess(down)], NOW, NOW).dueAtMs).toBe(NOW + TIMEOUT_MS);
  expect(held({ ...down, isStarted: false, stoppedAt: NOW }, NOW)).toBe(0);
  expect(held({ ...down, instances: 0 }, NOW)).toBe(0);
  expect(held({ ...down, copies: [aCopy()] }, NOW)).toBe(0);
  expect(held({ ...down, copies: [aCopy({ state: 'CRASHED', crashCount: 3 })] }, NOW)).toBe(0);
});
