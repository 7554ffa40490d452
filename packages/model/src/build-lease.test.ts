import { expect, test } from 'vitest';
import { type BuildFacts, decideBuild, isClaimable } from './build-lease.ts';
import { STAGING_LIMITS } from './limits.ts';

const NOW = 1_000_000_000;
const aBuild = (given: Partial<BuildFacts> = {}): BuildFacts => ({
  state: 'STAGING',
  isAdopted: true,
  isCancelled: false,
  isLeased: false,
  attempts: 0,
  createdAt: NOW - 1_000,
  lastError: null,
  ...given,
});
const EXPIRED = NOW - STAGING_LIMITS.timeoutMs - STAGING_LIMITS.sweepAfterMs;
const UNADOPTED = NOW - STAGING_LIMITS.unadoptedMs;

test('decideBuild() offers what nobody has claimed', () => {
  expect(decideBuild(aBuild(), NOW)).toEqual({ do: 'offer' });
});

test('decideBuild() offers what nobody has asked for yet: staging begins when the upload ends', () => {
  expect(decideBuild(aBuild({ isAdopted: false }), NOW)).toEqual({ do: 'offer' });
});

test('decideBuild() leaves a build alone while its lease stands', () => {
  expect(decideBuild(aBuild({ attempts: 1, isLeased: true }), NOW)).toEqual({ do: 'wait' });
});

test('decideBuild() offers a lost build once more', () => {
  expect(decideBuild(aBuild({ attempts: 1 }), NOW)).toEqual({ do: 'offer' });
});

test('decideBuild() fails a build whose attempts are used up, and says what the last stager said', () => {
  const fate = decideBuild(aBuild({ attempts: STAGING_LIMITS.attemptsMax, lastError: 'no space left' }), NOW);
  expect(fate).toMatchObject({ do: 'fail', title: 'StagerError' });
  expect(fate).toHaveProperty('error', expect.stringContaining('tried 2 times'));
  expect(fate).toHaveProperty('error', expect.stringContaining('the last time: no space left'));
});

test('decideBuild() does not fail the last attempt while it runs', () => {
  expect(decideBuild(aBuild({ attempts: STAGING_LIMITS.attemptsMax, isLeased: true }), NOW)).toEqual({ do: 'wait' });
});

test.each([
  ['waiting', aBuild({ createdAt: EXPIRED })],
  ['leased', aBuild({ createdAt: EXPIRED, attempts: 1, isLeased: true })],
  ['lost', aBuild({ createdAt: EXPIRED, attempts: 2 })],
])('decideBuild() ends a %s build when its time is over', (_, build) => {
  expect(decideBuild(build, NOW)).toMatchObject({ do: 'fail', title: 'StagingTimeExpired' });
});

test('decideBuild() gives a build its whole time', () => {
  expect(decideBuild(aBuild({ createdAt: EXPIRED + 1 }), NOW)).toEqual({ do: 'offer' });
});

test.each([true, false])('decideBuild() fails a cancelled build at once, leased (%s) or not', isLeased => {
  const fate = decideBuild(aBuild({ isCancelled: true, isLeased, attempts: 1 }), NOW);
  expect(fate).toMatchObject({ do: 'fail', title: 'StagingError' });
});

test('decideBuild() drops a cancelled build that nobody asked for, once its stager is off it', () => {
  const cancelled = { isCancelled: true, isAdopted: false, attempts: 1 };
  expect(decideBuild(aBuild({ ...cancelled, isLeased: true }), NOW)).toEqual({ do: 'wait' });
  expect(decideBuild(aBuild(cancelled), NOW)).toEqual({ do: 'drop' });
});

test.each([
  ['waiting', aBuild({ isAdopted: false, createdAt: UNADOPTED }), { do: 'drop' }],
  ['staged', aBuild({ isAdopted: false, createdAt: UNADOPTED, state: 'STAGED' }), { do: 'drop' }],
  ['failed', aBuild({ isAdopted: false, createdAt: UNADOPTED, state: 'FAILED' }), { do: 'drop' }],
  ['running', aBuild({ isAdopted: false, createdAt: UNADOPTED, isLeased: true, attempts: 1 }), { do: 'cancel' }],
])('decideBuild() lets go of a %s build that nobody asked for in time', (_, build, fate) => {
  expect(decideBuild(build, NOW)).toEqual(fate);
});

test('decideBuild() keeps what has ended, and what may still be asked for', () => {
  expect(decideBuild(aBuild({ state: 'FAILED', createdAt: 0 }), NOW)).toEqual({ do: 'wait' });
  expect(decideBuild(aBuild({ state: 'STAGED', isAdopted: false, createdAt: UNADOPTED + 1 }), NOW)).toEqual({
    do: 'wait',
  });
});

test.each([
  ['fresh', {}, true],
  ['lost once', { attempts: 1 }, true],
  ['held', { attempts: 1, isLeased: true }, false],
  ['cancelled', { isCancelled: true }, false],
  ['used up', { attempts: STAGING_LIMITS.attemptsMax }, false],
  ['ended', { state: 'FAILED' as const }, false],
])('isClaimable() of a %s build is %s', (_, given, claimable) => {
  expect(isClaimable(aBuild(given))).toBe(claimable);
});
