import { expect, test } from 'vitest';
import {
  canaryStep,
  continued,
  countProcess,
  type DeploymentFacts,
  decideDeployment,
  deploymentStatus,
  isCancelable,
  leftMs,
  type ProcessCount,
  supersededState,
} from './deployments.ts';
import { aCellOf, aCluster, aCopyOf, aDesired, aPlacementOf } from './fixtures.ts';

/** All of it serves unless said otherwise. */
function aCount(guid: string, instances: number, given: Partial<ProcessCount> = {}): ProcessCount {
  const { serving = instances, crashed = 0 } = given;
  const servingAt = given.servingAt ?? Array.from({ length: serving }, (_, index) => index);
  return { guid, instances, serving, servingAt, crashed, starting: instances - serving - crashed };
}

/** Three instances of `old` serve; the first one of `new` is starting. */
function aDeployment(given: Partial<DeploymentFacts> = {}): DeploymentFacts {
  return {
    state: 'DEPLOYING',
    wanted: 3,
    original: 3,
    maxInFlight: 1,
    deploying: aCount('new', 1, { serving: 0 }),
    others: [aCount('old', 3)],
    canary: null,
    superseded: new Set(),
    abandoned: new Set(),
    ...given,
  };
}

test('decideDeployment() waits while what it has asked for is starting', () => {
  expect(decideDeployment(aDeployment())).toEqual([]);
});

test('decideDeployment() takes one old instance away for each new one that serves, and asks for the next', () => {
  expect(decideDeployment(aDeployment({ deploying: aCount('new', 1) }))).toEqual([
    { do: 'scale', processGuid: 'old', instances: 2 },
    { do: 'scale', processGuid: 'new', instances: 2 },
    { do: 'note-health' },
  ]);
});

test('decideDeployment() brings up as many at once as may be in flight', () => {
  const facts = aDeployment({ maxInFlight: 2, deploying: aCount('new', 1) });
  expect(decideDeployment(facts)).toContainEqual({ do: 'scale', processGuid: 'new', instances: 3 });
});

test('decideDeployment() leaves the old version as it is while the new one crashes', () => {
  const facts = aDeployment({ deploying: aCount('new', 1, { serving: 0, crashed: 1 }) });
  expect(decideDeployment(facts)).toEqual([]);
});

test('decideDeployment() ends when all that is wanted serves, and the old processes go', () => {
  const facts = aDeployment({ deploying: aCount('new', 3), others: [aCount('old', 1)] });
  expect(decideDeployment(facts)).toEqual([
    { do: 'remove', processGuid: 'old' },
    { do: 'note-health' },
    { do: 'finish', state: 'DEPLOYED' },
  ]);
});

test('decideDeployment() ends at once where no instance is wanted', () => {
  const facts = aDeployment({ wanted: 0, deploying: aCount('new', 0), others: [aCount('old', 0)] });
  expect(decideDeployment(facts)).toContainEqual({ do: 'finish', state: 'DEPLOYED' });
});

test('decideDeployment() takes a superseded version that never got healthy away before the one that serves', () => {
  const facts = aDeployment({
    wanted: 1,
    others: [aCount('old', 1), aCount('bad', 1, { serving: 0, crashed: 1 })],
    superseded: new Set(['bad']),
  });
  expect(decideDeployment(facts)).toEqual([{ do: 'remove', processGuid: 'bad' }]);
});

test('decideDeployment() keeps a high instance that serves while a lower one has crashed and it is needed', () => {
  const old = aCount('old', 3, { serving: 2, servingAt: [1, 2], crashed: 1 });
  expect(decideDeployment(aDeployment({ deploying: aCount('new', 1), others: [old] }))).toEqual([
    { do: 'scale', processGuid: 'new', instances: 2 },
    { do: 'note-health' },
  ]);
  expect(decideDeployment(aDeployment({ deploying: aCount('new', 2), others: [old] }))).toContainEqual({
    do: 'scale',
    processGuid: 'old',
    instances: 2,
  });
});

const aCanary = (given: Partial<DeploymentFacts> = {}): DeploymentFacts =>
  aDeployment({ state: 'PREPAUSED', canary: { canaries: 1, total: 4 }, ...given });

test('decideDeployment() pauses when the canaries serve, beside all that was there', () => {
  expect(decideDeployment(aCanary())).toEqual([]);
  expect(decideDeployment(aCanary({ deploying: aCount('new', 1) }))).toEqual([{ do: 'note-health' }, { do: 'pause' }]);
});

test('decideDeployment() takes old instances away on the way to a later step, and pauses there', () => {
  const step = { canary: { canaries: 2, total: 4 }, maxInFlight: 2 };
  expect(decideDeployment(aCanary({ ...step, deploying: aCount('new', 1) }))).toEqual([
    { do: 'scale', processGuid: 'new', instances: 2 },
    { do: 'note-health' },
  ]);
  expect(decideDeployment(aCanary({ ...step, deploying: aCount('new', 2) }))).toEqual([
    { do: 'scale', processGuid: 'old', instances: 2 },
    { do: 'note-health' },
    { do: 'pause' },
  ]);
});

test('decideDeployment() leaves one that is paused as it is, and ends it when its process was deleted', () => {
  expect(decideDeployment(aCanary({ state: 'PAUSED', deploying: aCount('new', 1) }))).toEqual([]);
  expect(decideDeployment(aCanary({ state: 'PAUSED', deploying: null }))).toEqual([
    { do: 'finish', state: 'CANCELED' },
  ]);
});

test('decideDeployment() takes a canary away that another deployment has superseded, and never goes back to it', () => {
  const facts = aDeployment({ others: [aCount('old', 3), aCount('canary', 1)], abandoned: new Set(['canary']) });
  expect(decideDeployment(facts)).toEqual([{ do: 'remove', processGuid: 'canary' }]);
  expect(decideDeployment({ ...facts, state: 'CANCELING' })).toEqual([
    { do: 'remove', processGuid: 'canary' },
    { do: 'remove', processGuid: 'new' },
    { do: 'finish', state: 'CANCELED' },
  ]);
});

test.each([
  [{ weights: null, original: 3, webInstances: null }, 1, { canaries: 1, total: 4 }],
  [{ weights: null, original: 0, webInstances: null }, 1, { canaries: 0, total: 1 }],
  [{ weights: [25, 50, 75], original: 4, webInstances: null }, 1, { canaries: 1, total: 5 }],
  [{ weights: [25, 50, 75], original: 4, webInstances: null }, 3, { canaries: 3, total: 5 }],
  [{ weights: [1, 100], original: 10, webInstances: null }, 1, { canaries: 1, total: 11 }],
  [{ weights: [1, 100], original: 10, webInstances: null }, 2, { canaries: 10, total: 10 }],
  [{ weights: [50], original: 10, webInstances: 4 }, 1, { canaries: 2, total: 5 }],
  [{ weights: [50], original: 2, webInstances: 20 }, 1, { canaries: 1, total: 3 }],
])('canaryStep() of %j at step %i', (plan, step, wanted) => {
  expect(canaryStep(plan, step)).toEqual(wanted);
});

test('continued() goes from step to step, and after the last one to the end', () => {
  expect(continued('PAUSED', { step: 1, steps: 2 })).toEqual({ state: 'PREPAUSED', step: 2 });
  expect(continued('PAUSED', { step: 2, steps: 2 })).toEqual({ state: 'DEPLOYING', step: 2 });
  expect(continued('PREPAUSED', { step: 1, steps: 2 })).toBeNull();
});

test('decideDeployment() cancels back to the old process with all its instances', () => {
  const facts = aDeployment({ state: 'CANCELING', deploying: aCount('new', 2), others: [aCount('old', 1)] });
  expect(decideDeployment(facts)).toEqual([
    { do: 'scale', processGuid: 'old', instances: 3 },
    { do: 'remove', processGuid: 'new' },
    { do: 'finish', state: 'CANCELED' },
  ]);
});

test('decideDeployment() cancels back to a superseded version where one serves', () => {
  const facts = aDeployment({
    state: 'CANCELING',
    others: [aCount('old', 0), aCount('between', 3)],
    superseded: new Set(['between']),
  });
  expect(decideDeployment(facts)).toEqual([
    { do: 'remove', processGuid: 'old' },
    { do: 'remove', processGuid: 'new' },
    { do: 'finish', state: 'CANCELED' },
  ]);
});

test('decideDeployment() keeps the new version where nothing else is left to go back to', () => {
  expect(decideDeployment(aDeployment({ state: 'CANCELING', others: [] }))).toEqual([
    { do: 'finish', state: 'CANCELED' },
  ]);
});

test.each(['DEPLOYED', 'CANCELED'] as const)('decideDeployment() does nothing about one that is %s', state => {
  expect(decideDeployment(aDeployment({ state }))).toEqual([]);
});

test('decideDeployment() gives up when its process was deleted', () => {
  expect(decideDeployment(aDeployment({ deploying: null }))).toEqual([{ do: 'finish', state: 'CANCELED' }]);
});

test('countProcess() counts an index as serving only by a ready copy of the current run on a cell with a lease', () => {
  const process = aDesired({ instances: 5, startSequence: 2 });
  const at = (index: number, given = {}) => aPlacementOf(process, { index, guid: `c${index}`, ...given });
  const [ready, former, crashed, lost, unready] = [
    at(0),
    at(1, { startSequence: 1 }),
    at(2),
    at(3, { cellId: 'gone' }),
    at(4),
  ];
  const state = aCluster({
    processes: [process],
    placements: [ready, former, crashed, lost, unready],
    copies: [
      aCopyOf(ready),
      aCopyOf(former),
      aCopyOf(crashed, { state: 'CRASHED' }),
      aCopyOf(lost),
      aCopyOf(unready, { routable: false }),
    ],
    cells: [aCellOf(), aCellOf({ id: 'gone', state: 'LOST' })],
  });
  expect(countProcess(process, state)).toEqual({
    guid: 'process',
    instances: 5,
    serving: 1,
    servingAt: [0],
    crashed: 1,
    starting: 3,
  });
});

test('deploymentStatus(), isCancelable(), supersededState(): what users read and may do', () => {
  expect(deploymentStatus('DEPLOYING')).toEqual({ value: 'ACTIVE', reason: 'DEPLOYING' });
  expect(deploymentStatus('PREPAUSED')).toEqual({ value: 'ACTIVE', reason: 'DEPLOYING' });
  expect(deploymentStatus('PAUSED')).toEqual({ value: 'ACTIVE', reason: 'PAUSED' });
  expect(deploymentStatus('CANCELED')).toEqual({ value: 'FINALIZED', reason: 'CANCELED' });
  expect([isCancelable('CANCELING'), isCancelable('PAUSED'), isCancelable('DEPLOYED')]).toEqual([true, true, false]);
  expect(supersededState('DEPLOYING')).toBe('DEPLOYED');
  expect([supersededState('PAUSED'), supersededState('CANCELING')]).toEqual(['CANCELED', 'CANCELED']);
});

test.each([
  [null, { instances: 1, maxInFlight: 1, wanted: 10 }, null],
  [1_000, { instances: 1, maxInFlight: 1, wanted: 10 }, null],
  [1_000, { instances: 2, maxInFlight: 1, wanted: 10 }, 9_000],
  [4_000, { instances: 6, maxInFlight: 4, wanted: 10 }, 16_000],
  [9_000, { instances: 10, maxInFlight: 1, wanted: 10 }, 1_000],
])('leftMs() with the last one healthy at %s of %j', (lastHealthyAt, counts, left) => {
  expect(leftMs({ beganAt: 0, lastHealthyAt }, counts)).toBe(left);
});
