import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DeploymentFacts, type DeploymentStep, decideDeployment, type ProcessCount } from './deployments.ts';

const anyCount = (guid: string): fc.Arbitrary<ProcessCount> =>
  fc.record({ instances: fc.nat(6), serving: fc.nat(6), crashed: fc.nat(6) }).map(({ instances, serving, crashed }) => {
    const up = Math.min(serving, instances);
    const down = Math.min(crashed, instances - up);
    return { guid, instances, serving: up, crashed: down, starting: instances - up - down };
  });

const anyDeployment: fc.Arbitrary<DeploymentFacts> = fc.record({
  state: fc.constantFrom('DEPLOYING', 'CANCELING'),
  wanted: fc.nat(6),
  original: fc.nat(6),
  maxInFlight: fc.integer({ min: 1, max: 4 }),
  deploying: fc.option(anyCount('new'), { freq: 9 }),
  others: fc.tuple(anyCount('old'), anyCount('between'), anyCount('later')).chain(all => fc.subarray(all)),
  superseded: fc.subarray(['between', 'later']).map(guids => new Set(guids)),
});

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

/** At most this many of what serves now go on serving: the lowest indices stay, but which of them serve is not known, so the worst is taken. */
function surelyServing(count: ProcessCount, instances: number): number {
  return Math.max(0, count.serving - Math.max(0, count.instances - instances));
}

test('decideDeployment() never leaves fewer serving than are wanted while it deploys, unless fewer served before', () => {
  fc.assert(
    fc.property(anyDeployment, facts => {
      fc.pre(facts.state === 'DEPLOYING' && facts.deploying !== null);
      const { deploying, others, wanted } = facts;
      const left = after(facts, decideDeployment(facts));
      const all = [...others, ...(deploying === null ? [] : [deploying])];
      const before = all.reduce((sum, { serving }) => sum + serving, 0);
      const kept = all.reduce((sum, count) => sum + surelyServing(count, left.get(count.guid) ?? 0), 0);
      // One that is wanted and does not serve may have been counted on: CF's rule of what is wanted, not what serves.
      const broken = others.reduce((sum, { instances, serving }) => sum + instances - serving, 0);
      expect(kept).toBeGreaterThanOrEqual(Math.min(before, wanted) - broken);
    }),
  );
});

test('decideDeployment() never has more of the new version starting than may be in flight', () => {
  fc.assert(
    fc.property(anyDeployment, facts => {
      fc.pre(facts.state === 'DEPLOYING' && facts.deploying !== null);
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
      const serving = { guid: 'new', instances: wanted, serving: wanted, crashed: 0, starting: 0 };
      const all = { ...facts, state: 'DEPLOYING' as const, deploying: serving };
      expect([...after(all, decideDeployment(all))]).toEqual([['new', wanted]]);
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
          return instances === undefined ? [] : [{ ...count, instances, serving: instances, crashed: 0, starting: 0 }];
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
