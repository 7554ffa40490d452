import type { Cluster, ClusterCell } from '@cupola/contract/v3/cluster';
import { expect, test } from 'vitest';
import { attentionOf, share } from './attention.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const cell = (given: Partial<ClusterCell>): ClusterCell => ({
  ...{ guid: 'c', name: 'one', zone: 'z1', isolation_segment: null, state: 'ACTIVE', stacks: ['host'] },
  sandbox: { name: 'runc', enforced: {}, missing: [] },
  memory_in_mb: { capacity: 1_000, placed: 100 },
  instances: { placed: 1, running: 1 },
  ...{ heard_at: null, drained_at: null, lost_at: null },
  ...given,
});
const cluster = (given: Partial<Cluster> = {}): Cluster => ({
  ...{ version: '1', cells: [cell({})], members: [], scheduler: { leader: null, terms: 0 } },
  builds: { waiting: 0, staging: 1, oldest_waiting_since: null },
  disk_in_mb: { total: 100_000, free: 50_000, kept_free: 5_000 },
  ...given,
});
const words = (given: Partial<Cluster>) => attentionOf(cluster(given), NOW).map(({ word, tone }) => `${word} ${tone}`);

test('nothing is said of a platform that is well', () => {
  expect(words({})).toEqual([]);
});

test('lost and full cells, builds that wait and a full disk are named, the worst first', () => {
  const cells = [cell({ memory_in_mb: { capacity: 1_000, placed: 950 } }), cell({ guid: 'd', state: 'LOST' })];
  const builds = { waiting: 2, staging: 0, oldest_waiting_since: '2026-01-01T11:59:00Z' };
  expect(words({ cells, builds })).toEqual(['lost bad', 'builds wait bad', 'nearly full moving']);
  expect(attentionOf(cluster({ builds }), NOW)[0]?.text).toMatch(/^2 builds wait for a stager, the oldest for 1 min\./);
  expect(words({ disk_in_mb: { total: 100_000, free: 4_000, kept_free: 5_000 } })).toEqual(['disk full bad']);
  expect(words({ disk_in_mb: { total: 100_000, free: 9_000, kept_free: 5_000 } })).toEqual(['disk moving']);
});

test('a build that has just come is no trouble, nor a cell without memory', () => {
  const builds = { waiting: 1, staging: 0, oldest_waiting_since: '2026-01-01T11:59:50Z' };
  expect(words({ builds, cells: [cell({ memory_in_mb: { capacity: 0, placed: 0 } })] })).toEqual([]);
  expect(share({ capacity: 0, placed: 0 })).toBe('0 %');
});
