import { STAGING_LIMITS } from '@cupola/model/limits';
import { expect, test } from 'vitest';
import { createBuildLeases } from './leases.ts';

const BUILD = { guid: 'b', fence: 2, stager: 's1', beats: null };

function aClock() {
  let ms = 5_000;
  return {
    monotonic: () => ms,
    pass: (by: number) => {
      ms += by;
    },
  };
}

test('a lease stands for its time after the counter has moved last', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  expect(leases.stands(BUILD)).toBe(true);
  clock.pass(STAGING_LIMITS.leaseMs - 1);
  expect(leases.stands({ ...BUILD, beats: 1 })).toBe(true);
  clock.pass(STAGING_LIMITS.leaseMs - 1);
  expect(leases.stands({ ...BUILD, beats: 1 })).toBe(true);
  clock.pass(1);
  expect(leases.stands({ ...BUILD, beats: 1 })).toBe(false);
});

test('what is seen for the first time has a full lease, however old this process is', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  clock.pass(10 * STAGING_LIMITS.leaseMs);
  expect(leases.stands({ ...BUILD, beats: 7 })).toBe(true);
  clock.pass(STAGING_LIMITS.leaseMs);
  expect(leases.stands({ ...BUILD, beats: 7 })).toBe(false);
});

test('a lease is of one fence: who claims after it has a full one', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  expect(leases.stands({ ...BUILD, fence: 1 })).toBe(true);
  clock.pass(STAGING_LIMITS.leaseMs);
  expect(leases.stands({ ...BUILD, fence: 1 })).toBe(false);
  expect(leases.stands(BUILD)).toBe(true);
});

test('what is kept no more is seen for the first time again', () => {
  const clock = aClock();
  const leases = createBuildLeases(clock.monotonic);
  leases.stands(BUILD);
  clock.pass(STAGING_LIMITS.leaseMs);
  leases.keep(['b']);
  expect(leases.stands(BUILD)).toBe(false);
  leases.keep([]);
  expect(leases.stands(BUILD)).toBe(true);
});

test('a build that nobody has claimed has no lease', () => {
  expect(createBuildLeases(() => 0).stands({ ...BUILD, stager: null })).toBe(false);
});
