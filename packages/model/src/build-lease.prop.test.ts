import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BuildFacts, decideBuild, isClaimable } from './build-lease.ts';
import { STAGING_LIMITS } from './limits.ts';
import { BUILD_STATES } from './states.ts';

const NOW = 10_000_000_000;
const anyBuild: fc.Arbitrary<BuildFacts> = fc.record({
  state: fc.constantFrom(...BUILD_STATES),
  isAdopted: fc.boolean(),
  isCancelled: fc.boolean(),
  isLeased: fc.boolean(),
  attempts: fc.integer({ min: 0, max: 3 }),
  createdAt: fc.integer({ min: NOW - 3_000_000, max: NOW + 10_000 }),
  lastError: fc.option(fc.string()),
});

test('decideBuild() offers only what may be claimed', () => {
  fc.assert(
    fc.property(anyBuild, build => {
      fc.pre(decideBuild(build, NOW).do === 'offer');
      expect(isClaimable(build)).toBe(true);
    }),
  );
});

test('decideBuild() never drops what a user asked for, and never changes what has ended', () => {
  fc.assert(
    fc.property(anyBuild, build => {
      const fate = decideBuild(build, NOW);
      expect(build.isAdopted && fate.do === 'drop').toBe(false);
      expect(build.isAdopted && build.state !== 'STAGING' && fate.do !== 'wait').toBe(false);
    }),
  );
});

interface World {
  facts: BuildFacts;
  now: number;
}
type Step = 'claim' | 'loseLease' | 'giveBack' | 'cancel' | 'pass';

function apply({ facts, now }: World, step: Step, passMs: number): World {
  if (step === 'claim')
    return { now, facts: isClaimable(facts) ? { ...facts, isLeased: true, attempts: facts.attempts + 1 } : facts };
  if (step === 'loseLease') return { now, facts: { ...facts, isLeased: false } };
  if (step === 'giveBack') return { now, facts: { ...facts, isLeased: false, lastError: 'the stager was stopped' } };
  if (step === 'cancel') return { now, facts: { ...facts, isCancelled: true } };
  return { facts, now: now + passMs };
}

test('every build ends in the end, after no more than the attempts that are allowed', () => {
  const step = fc.constantFrom<Step>('claim', 'loseLease', 'giveBack', 'cancel', 'pass');
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.integer({ min: 1, max: 600_000 }))), fc.boolean(), (steps, isAdopted) => {
      const begun: World = {
        now: NOW,
        facts: {
          state: 'STAGING',
          isAdopted,
          isCancelled: false,
          isLeased: false,
          attempts: 0,
          createdAt: NOW,
          lastError: null,
        },
      };
      const { facts, now } = steps.reduce((world, [what, passMs]) => apply(world, what, passMs), begun);
      expect(facts.attempts).toBeLessThanOrEqual(STAGING_LIMITS.attemptsMax);
      const later = now + STAGING_LIMITS.timeoutMs + STAGING_LIMITS.sweepAfterMs;
      expect(['fail', 'drop']).toContain(decideBuild({ ...facts, isLeased: false }, later).do);
    }),
  );
});
