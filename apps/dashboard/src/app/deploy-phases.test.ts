import { expect, test } from 'vitest';
import { type PhaseFacts, phasesOf } from './deploy-phases.ts';

const ZERO = Date.parse('2026-01-02T03:04:00Z');
const at = (second: number): string => new Date(ZERO + second * 1_000).toISOString();

interface Given {
  now: number;
  state?: 'STARTED' | 'STOPPED';
  build?: { state: string; from: number; to: number };
  deployment?: { at: number; value?: string; reason: string; changed?: number; makes?: string };
  /** By process: its instances, `STATE since` or `STATE since routable`. */
  processes?: Record<string, string[]>;
  /** Newest first: `type second`. */
  events?: string[];
  routes?: number;
  push?: PhaseFacts['push'];
}
const facts = ({
  now,
  state = 'STARTED',
  build,
  deployment,
  processes = {},
  events = [],
  routes = 1,
  push = null,
}: Given) =>
  ({
    app: { state },
    build:
      build === undefined
        ? null
        : { guid: 'b', state: build.state, created_at: at(build.from), updated_at: at(build.to) },
    deployment:
      deployment === undefined
        ? null
        : {
            guid: 'd',
            strategy: 'rolling',
            created_at: at(deployment.at),
            new_processes: deployment.makes === undefined ? [] : [{ guid: deployment.makes, type: 'web' }],
            status: {
              value: deployment.value ?? 'ACTIVE',
              reason: deployment.reason,
              details: { last_status_change: at(deployment.changed ?? deployment.at) },
            },
          },
    processes: Object.entries(processes).map(([guid, instances]) => ({
      process: { guid, instances: instances.length },
      instances: instances.map(text => {
        const [word = '', since = '0', routable] = text.split(' ');
        return { state: word, since: ZERO + Number(since) * 1_000, routable: routable === 'routable' };
      }),
    })),
    events: events.map(text => {
      const [type = '', second = '0'] = text.split(' ');
      return { type: `audit.app.${type}`, created_at: at(Number(second)) };
    }),
    routes,
    push,
    now: ZERO + now * 1_000,
  }) as unknown as PhaseFacts;
const shown = (given: Given): string[] =>
  phasesOf(facts(given)).map(({ name, tone, says }) => `${name} ${tone}: ${says}`);

const WAITS = ['start off: waits', 'route off: waits', 'drain off: waits'];

test('phasesOf() is empty when nothing is under way, and of a build that is long over', () => {
  expect(shown({ now: 9 })).toEqual([]);
  expect(shown({ now: 4_000, build: { state: 'STAGED', from: 0, to: 2 }, processes: { p: ['RUNNING 3'] } })).toEqual(
    [],
  );
  expect(shown({ now: 4_000, build: { state: 'FAILED', from: 0, to: 2 } })).toEqual([]);
});

test('phasesOf() says what this page has sent, and of another client how long it has been sending', () => {
  const push = { phase: 'upload' as const, says: '3.1 of 8.0 MB', since: 0 };
  expect(shown({ now: 2, push })).toEqual(['upload moving: 3.1 of 8.0 MB', 'stage off: waits', ...WAITS]);
  expect(shown({ now: 9, events: ['package.create 2'] })[0]).toBe('upload moving: 7 s');
  expect(shown({ now: 9, events: ['package.delete 3', 'package.create 2'] })).toEqual([]);
});

test('phasesOf() counts the seconds of a build, while the version before serves', () => {
  const given = {
    now: 9,
    events: ['package.upload 3', 'package.create 1'],
    build: { state: 'STAGING', from: 3, to: 3 },
    processes: { p: ['RUNNING -90 routable'] },
  };
  expect(shown(given).slice(0, 3)).toEqual([
    'upload good: 2 s',
    'stage moving: 6 s',
    'start off: the version before serves',
  ]);
});

test('phasesOf() ends with a build that failed', () => {
  const given = { now: 9, state: 'STOPPED' as const, build: { state: 'FAILED', from: 1, to: 5 } };
  expect(shown(given)).toEqual([
    'upload off: not needed',
    'stage bad: failed, 4 s',
    'start off: not begun',
    'route off: not begun',
    'drain off: not begun',
  ]);
});

test('phasesOf() has each phase of a first push, with its seconds', () => {
  const given = {
    now: 20,
    events: ['restart 6', 'package.upload 3', 'package.create 1'],
    build: { state: 'STAGED', from: 3, to: 6 },
    processes: { p: ['RUNNING 11 routable'] },
  };
  expect(shown(given)).toEqual([
    'upload good: 2 s',
    'stage good: 3 s',
    'start good: 5 s',
    'route good: takes requests',
    'drain off: not needed',
  ]);
});

test('phasesOf() tells of the new copies of a deployment, then of the old ones that leave, then of its end', () => {
  const build = { state: 'STAGED', from: 3, to: 6 };
  const events = ['deployment.create 6'];
  const deployment = { at: 6, reason: 'DEPLOYING', makes: 'new' };
  const old = ['RUNNING -90 routable', 'RUNNING -90 routable'];
  const rising = { now: 9, events, build, deployment, processes: { old, new: ['RUNNING 8 routable', 'STARTING 8'] } };
  expect(shown(rising).slice(2)).toEqual([
    'start moving: 1 of 2, 3 s',
    'route moving: 1 of 2 take requests',
    'drain off: the version before serves',
  ]);
  const leaving = { ...rising, now: 14, processes: { old, new: ['RUNNING 8 routable', 'RUNNING 12 routable'] } };
  expect(shown(leaving).slice(2)).toEqual(['start good: 6 s', 'route good: takes requests', 'drain moving: 2 s']);
  const over = { ...leaving, deployment: { ...deployment, value: 'FINALIZED', reason: 'DEPLOYED', changed: 15 } };
  expect(shown({ ...over, processes: { new: ['RUNNING 8 routable', 'RUNNING 12 routable'] } }).at(-1)).toBe(
    'drain good: 3 s',
  );
});

test('phasesOf() says that a start has crashed, and that nothing was built for a restart', () => {
  const given = {
    now: 900,
    events: ['restart 890'],
    build: { state: 'STAGED', from: 1, to: 6 },
    processes: { p: ['CRASHED 895'] },
  };
  expect(shown(given)).toEqual([
    'upload off: not needed',
    'stage off: not needed',
    'start bad: 0 of 1, 1 crashed',
    'route off: 0 of 1 take requests',
    'drain off: not needed',
  ]);
});
