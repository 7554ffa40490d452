import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  canaryStep,
  type DeploymentFacts,
  type DeploymentStep,
  decideDeployment,
  type ProcessCount,
} from './deployments.ts';

/** Of each index whether it serves, crashes or starts. */
const anyCount = (guid: string): fc.Arbitrary<ProcessCount> =>
  fc.array(fc.constantFrom('serves', 'serves', 'crashed', 'starts'), { maxLength: 6 }).map(states => {
    const at = (state: string): number[] => states.flatMap((is, index) => (is === state ? [index] : []));
    const [servingAt, crashed, starting] = [at('serves'), at('crashed'), at('starts')];
    return {
      guid,
      instances: states.length,
      serving: servingAt.length,
      servingAt,
      crashed: crashed.length,
      starting: starting.length,
    };
  });

/** All of it serves. */
const serving = (guid: string, instances: number): ProcessCount => ({
  guid,
  instances,
  serving: instances,
  servingAt: Array.from({ length: instances }, (_, index) => index),
  crashed: 0,
  starting: 0,
});

const anyDeployment: fc.Arbitrary<DeploymentFacts> = fc.record({
  state: fc.constantFrom('DEPLOYING', 'PREPAUSED', 'CANCELING'),
  wanted: fc.nat(6),
  original: fc.nat(6),
  maxInFlight: fc.integer({ min: 1, max: 4 }),
  deploying: fc.option(anyCount('new'), { freq: 9 }),
  others: fc.tuple(anyCount('old'), anyCount('between'), anyCount('later')).chain(all => fc.subarray(all)),
  superseded: fc.constantFrom(new Set(['between']), new Set<string>()),
  abandoned: fc.constantFrom(new Set(['later']), new Set<string>()),
  canary: fc.constant(null),
});

/** At any step of any plan. */
const anyProgress: fc.Arbitrary<DeploymentFacts> = fc
  .record({
    facts: anyDeployment,
    weights: fc.option(
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 3 }).map(all => all.sort((a, b) => a - b)),
    ),
    step: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ facts, weights, step }) => ({
    ...facts,
    canary: canaryStep({ weights, original: facts.original, webInstances: facts.wanted }, step),
  }));

/** What is wanted of every process after those steps; those that are gone are not there. */
function after({ deploying, others }: DeploymentFacts, steps: readonly DeploymentStep[]): Map<string, number> {
  const wanted = new Map(
    [...others, deploying].flatMap((one): Array<[string, number]> => (one === null ? [] : [[one.guid, one.instances]])),
  );
  for (const step of steps) {
    if (step.do === 'scale') wanted.set(step.processGuid, step.instances);
    if (step.do === 'remove') wanted.delete(step.processGuid);
  }
  return wanted;
}

test('decideDeployment() never leaves fewer serving than are wanted while it deploys, unless fewer served before', () => {
  fc.assert(
    fc.property(anyProgress, facts => {
      fc.pre(facts.state !== 'CANCELING' && facts.deploying !== null);
      const { deploying, others, wanted } = facts;
      const left = after(facts, decideDeployment(facts));
      const all = [...others, ...(deploying === null ? [] : [deploying])];
      const before = all.reduce((sum, count) => sum + count.serving, 0);
      const kept = all.flatMap(({ guid, servingAt }) => servingAt.filter(index => index < (left.get(guid) ?? 0)));
      expect(kept.length).toBeGreaterThanOrEqual(Math.min(before, wanted));
    }),
  );
});

test('decideDeployment() never has more of the new version starting than may be in flight', () => {
  fc.assert(
    fc.property(anyProgress, facts => {
      fc.pre(facts.state !== 'CANCELING' && facts.deploying !== null);
      const { deploying, maxInFlight } = facts;
      const instances = after(facts, decideDeployment(facts)).get('new') ?? 0;
      const before = deploying?.instances ?? 0;
      expect(instances - (deploying?.serving ?? 0)).toBeLessThanOrEqual(
        instances > before ? maxInFlight : Number.POSITIVE_INFINITY,
      );
    }),
  );
});

test('decideDeployment() ends with exactly one process, whatever is so, once all of the new one serves', () => {
  fc.assert(
    fc.property(anyDeployment, facts => {
      const { wanted } = facts;
      const all = { ...facts, state: 'DEPLOYING' as const, deploying: serving('new', wanted) };
      expect([...after(all, decideDeployment(all))]).toEqual([['new', wanted]]);
    }),
  );
});

test('decideDeployment() of a canary never brings up more than its step says, never ends, and pauses once they serve', () => {
  fc.assert(
    fc.property(anyProgress, facts => {
      fc.pre(facts.state === 'PREPAUSED' && facts.deploying !== null && facts.canary !== null);
      const { deploying, canary } = facts;
      const steps = decideDeployment(facts);
      const canaries = canary?.canaries ?? 0;
      const isReached = (deploying?.serving ?? 0) >= canaries;
      expect(after(facts, steps).get('new')).toBeLessThanOrEqual(Math.max(canaries, deploying?.instances ?? 0));
      expect(steps.some(step => step.do === 'finish')).toBe(false);
      expect(steps.some(step => step.do === 'pause')).toBe(isReached);
    }),
  );
});

test('decideDeployment() gets to its end from anywhere when new instances get healthy, in few steps', () => {
  fc.assert(
    fc.property(anyDeployment, start => {
      let facts = { ...start, state: 'DEPLOYING' as const };
      const { maxInFlight, wanted } = facts;
      for (let pass = 0; pass < 2 * wanted + 3; pass++) {
        const steps = decideDeployment(facts);
        if (steps.some(step => step.do === 'finish')) return;
        const left = after(facts, steps);
        const heal = (count: ProcessCount): ProcessCount[] => {
          const instances = left.get(count.guid);
          return instances === undefined ? [] : [serving(count.guid, instances)];
        };
        facts = {
          ...facts,
          deploying: facts.deploying === null ? null : (heal(facts.deploying)[0] ?? null),
          others: facts.others.flatMap(heal),
        };
      }
      expect.fail(`${wanted} instances, ${maxInFlight} at a time, are not there yet: ${JSON.stringify(facts)}`);
    }),
  );
});
