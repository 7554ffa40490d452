import { expect, test } from 'vitest';
import { byNeed, type HealthFacts, healthOf } from './health.ts';

const facts = (given: Partial<HealthFacts> & { states?: string[] }): HealthFacts => ({
  state: 'STARTED',
  processes: [{ instances: given.states?.length ?? 1, states: given.states ?? ['RUNNING'] }],
  buildState: 'STAGED',
  deploymentReason: null,
  ...given,
});

test.each<[string, string, HealthFacts]>([
  ['running', 'good', facts({ states: ['RUNNING', 'RUNNING'] })],
  ['starting', 'moving', facts({ states: ['RUNNING', 'STARTING'] })],
  ['crashing', 'bad', facts({ states: ['CRASHED', 'STARTING'] })],
  ['degraded', 'bad', facts({ states: ['RUNNING', 'CRASHED'] })],
  ['waiting', 'bad', facts({ states: ['DOWN'] })],
  ['deploying', 'moving', facts({ deploymentReason: 'DEPLOYING' })],
  ['paused', 'moving', facts({ deploymentReason: 'PAUSED' })],
  ['staging', 'moving', facts({ buildState: 'STAGING' })],
  ['no instances', 'off', facts({ processes: [] })],
  ['stopped', 'off', facts({ state: 'STOPPED' })],
  ['build failed', 'bad', facts({ state: 'STOPPED', buildState: 'FAILED' })],
  ['empty', 'off', facts({ state: 'STOPPED', buildState: null })],
])('healthOf() says "%s" (%s)', (word, tone, given) => {
  expect(healthOf(given)).toEqual({ word, tone });
});

test('byNeed() has trouble first, then what moves, then names', () => {
  const of = (name: string, tone: 'good' | 'moving' | 'bad' | 'off') => ({ name, health: { word: '', tone } });
  const sorted = [of('b', 'good'), of('a', 'good'), of('d', 'off'), of('z', 'bad'), of('c', 'moving')].sort(byNeed);
  expect(sorted.map(({ name }) => name).join('')).toBe('zcabd');
});
