import { expect, test } from 'vitest';
import type { Overview } from '../apps/overview.ts';
import type { ShownProcess } from '../data/queries.ts';
import { applyToOverview, applyToProcesses, type Change } from './apply.ts';

const CREATED = '2026-01-02T03:04:05Z';
const changed = (kind: Change['kind'], guid: string, object: object, appGuid: string | null = null): Change =>
  ({
    type: 'changed',
    cursor: 'c',
    kind,
    guid,
    organization_guid: 'o',
    space_guid: 's',
    app_guid: appGuid,
    object: { guid, ...object },
  }) as Change;
const gone = (kind: Change['kind'], guid: string): Change =>
  ({ type: 'gone', cursor: 'c', kind, guid, organization_guid: 'o', space_guid: 's' }) as Change;
const anApp = (name: string) => ({ name, state: 'STARTED', created_at: CREATED });
const aProcess = { type: 'web', instances: 2, memory_in_mb: 64, disk_in_mb: 64 };
const someInstances = (...states: string[]) => ({
  process_guid: 'p',
  app_guid: 'a',
  type: 'web',
  instances: states.map((state, index) => ({
    index,
    state,
    since: CREATED,
    routable: null,
    details: null,
    instance_guid: `i${index}`,
    cell_id: 'z1',
    crashes: 0,
    last_exit: null,
  })),
});
const EMPTY: Overview = { apps: [], processes: new Map(), routes: [], deployments: new Map(), builds: new Map() };
const after = (...changes: Change[]): Overview =>
  changes.reduce((overview, change) => applyToOverview(overview, change, 's'), EMPTY);

test('applyToOverview() takes a new app in by name, and lets go of one that is gone', () => {
  const both = after(changed('app', 'b', anApp('beta')), changed('app', 'a', anApp('alpha')));
  expect(both.apps.map(({ name }) => name)).toEqual(['alpha', 'beta']);
  expect(applyToOverview(both, gone('app', 'a'), 's').apps.map(({ name }) => name)).toEqual(['beta']);
});

test('applyToOverview() leaves out what is of another space', () => {
  expect(applyToOverview(EMPTY, changed('app', 'b', anApp('beta')), 'other')).toBe(EMPTY);
});

test('applyToOverview() shows states of instances, and keeps them when the process changes', () => {
  const { processes } = after(
    changed('process', 'p', aProcess, 'a'),
    changed('instances', 'p', someInstances('RUNNING', 'STARTING'), 'a'),
    changed('process', 'p', { ...aProcess, memory_in_mb: 128 }, 'a'),
  );
  expect(processes.get('a')?.[0]).toMatchObject({
    memory_in_mb: 128,
    process_instances: [
      { index: 0, state: 'RUNNING' },
      { index: 1, state: 'STARTING' },
    ],
  });
});

test('applyToOverview() knows a deployment for as long as it is active, and the newest build first', () => {
  const status = (value: string) => ({ status: { value, reason: 'DEPLOYING' }, created_at: CREATED });
  const active = after(changed('deployment', 'd', status('ACTIVE'), 'a'));
  expect(active.deployments.get('a')?.guid).toBe('d');
  expect(applyToOverview(active, changed('deployment', 'd', status('FINALIZED'), 'a'), 's').deployments.size).toBe(0);
  const { builds } = after(
    changed('build', 'new', { state: 'STAGING', created_at: '2026-01-03T00:00:00Z' }, 'a'),
    changed('build', 'old', { state: 'FAILED', created_at: CREATED }, 'a'),
  );
  expect(builds.get('a')?.map(({ guid }) => guid)).toEqual(['new', 'old']);
});

test('applyToProcesses() keeps what an instance uses while it is the same, and forgets it for the next one', () => {
  const usage = { cpu: 0.5, mem: 1, disk: 1 };
  const shown = [
    { process: { guid: 'p' }, instances: [{ index: 0, state: 'STARTING', instance_guid: 'i0', usage, since: 1 }] },
  ] as unknown as ShownProcess[];
  const told = applyToProcesses(shown, changed('instances', 'p', someInstances('RUNNING'), 'a'));
  expect(told[0]?.instances[0]).toMatchObject({ state: 'RUNNING', usage, since: Date.parse(CREATED) });
  const other = [
    { ...shown[0], instances: [{ index: 0, instance_guid: 'before', usage }] },
  ] as unknown as ShownProcess[];
  const next = applyToProcesses(other, changed('instances', 'p', someInstances('STARTING'), 'a'));
  expect(next[0]?.instances[0]?.usage).toBeUndefined();
});
