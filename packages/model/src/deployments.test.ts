import { expect, test } from 'vitest';
import {
  countProcess,
  type DeploymentFacts,
  decideDeployment,
  deploymentStatus,
  isCancelable,
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
    superseded: new Set(),
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
  expect(deploymentStatus('CANCELED')).toEqual({ value: 'FINALIZED', reason: 'CANCELED' });
  expect([isCancelable('CANCELING'), isCancelable('DEPLOYED')]).toEqual([true, false]);
  expect([supersededState('DEPLOYING'), supersededState('CANCELING')]).toEqual(['DEPLOYED', 'CANCELED']);
});
