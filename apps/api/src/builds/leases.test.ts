import { STAGING_LIMITS } from '@cupola/model/limits';
import { expect, test } from 'vitest';
import { createBuildLeases } from './leases.ts';

const BUILD = { guid: 'b', fence: 2, stager: 's1' };

function aClock() {
  let ms = 5_000;
  return {
    monotonic: () => ms,
    pass: (by: number) => {
      ms += by;
    },
  };
}

test('a lease stands for its time after the stager was heard last', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  clock.pass(STAGING_LIMITS.leaseMs);
  leases.extend('b', 2);
  clock.pass(STAGING_LIMITS.leaseMs - 1);
  expect(leases.stands(BUILD)).toBe(true);
  clock.pass(1);
  expect(leases.stands(BUILD)).toBe(false);
});

test('what was claimed before this process has a full lease from its start on', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  clock.pass(STAGING_LIMITS.leaseMs - 1);
  expect(leases.stands(BUILD)).toBe(true);
  clock.pass(1);
  expect(leases.stands(BUILD)).toBe(false);
});

test('a lease is of one fence: a former holder keeps nothing', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  clock.pass(STAGING_LIMITS.leaseMs);
  leases.extend('b', 1);
  expect(leases.stands(BUILD)).toBe(false);
});

test('a build that nobody has claimed has no lease', () => {
  expect(createBuildLeases(() => 0).stands({ ...BUILD, stager: null })).toBe(false);
});
