import { expect, test } from 'vitest';
import { type PhaseFacts, phasesOf } from './deploy-phases.ts';

const AT = '2026-01-02T03:04:00Z';
const NOW = Date.parse(AT) + 7_000;
const facts = (given: {
  states?: string[];
  build?: string;
  reason?: string;
  state?: 'STARTED' | 'STOPPED';
}): PhaseFacts =>
  ({
    app: { state: given.state ?? 'STARTED' },
    build: given.build === undefined ? null : { guid: 'b', state: given.build, created_at: AT, updated_at: AT },
    deployment:
      given.reason === undefined
        ? null
        : { guid: 'd', strategy: 'rolling', created_at: AT, status: { value: 'ACTIVE', reason: given.reason } },
    processes: [
      {
        process: { instances: given.states?.length ?? 1 },
        instances: (given.states ?? ['RUNNING']).map(state => ({ state })),
      },
    ],
    now: NOW,
  }) as unknown as PhaseFacts;
const shown = (given: PhaseFacts): string[] => phasesOf(given).map(({ name, says }) => `${name}: ${says}`);

test('phasesOf() is empty when nothing is under way', () => {
  expect(phasesOf(facts({ build: 'STAGED' }))).toEqual([]);
});

test('phasesOf() counts the seconds of a build, while the old version serves', () => {
  expect(shown(facts({ build: 'STAGING' }))).toEqual(['stage: 7 s', 'start: the old version serves']);
});

test('phasesOf() counts instances that start, and names a deployment', () => {
  expect(shown(facts({ build: 'STAGED', reason: 'DEPLOYING', states: ['RUNNING', 'STARTING'] }))).toEqual([
    'stage: 0 s',
    'start: 1 of 2 instances',
    'deploy, rolling: deploying, 7 s',
  ]);
});
