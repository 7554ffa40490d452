import { TOKEN_LIMITS } from '@cupola/model/limits';
import { describe, expect, test } from 'vitest';
import { createLoginGuard, type LoginGuard, type Verdict } from './login-guard.ts';

function guardAt(start: number) {
  let now = start;
  return {
    guard: createLoginGuard(() => now),
    pass: (ms: number) => {
      now += ms;
    },
  };
}
const HERE = '10.0.0.1';
const fail = (guard: LoginGuard, times: number, username = 'jane'): Promise<Verdict[]> =>
  Promise.all(Array.from({ length: times }, () => guard.attempt(username, HERE, async () => false)));
const succeed = (guard: LoginGuard, username = 'jane', address = HERE): Promise<Verdict> =>
  guard.attempt(username, address, async () => true);

describe('createLoginGuard()', () => {
  test('locks after the fifth failure, that user at that address only', async () => {
    const { guard } = guardAt(0);
    await fail(guard, 4);
    await fail(guard, 1, 'JANE');
    expect(await succeed(guard)).toBe('locked');
    expect(await succeed(guard, 'jane', '10.0.0.2')).toBe('right');
    expect(await succeed(guard, 'joe')).toBe('right');
  });

  test('a hundred guesses at once are five', async () => {
    const { guard } = guardAt(0);
    const verdicts = await fail(guard, 100);
    expect(verdicts.filter(verdict => verdict === 'wrong')).toHaveLength(5);
    expect(verdicts.filter(verdict => verdict === 'locked')).toHaveLength(95);
  });

  test('a hundred right logins at once are all right', async () => {
    const { guard } = guardAt(0);
    const verdicts = await Promise.all(Array.from({ length: 100 }, () => succeed(guard)));
    expect(new Set(verdicts)).toEqual(new Set(['right']));
  });

  test('forgets failures that are older than the window', async () => {
    const { guard, pass } = guardAt(0);
    await fail(guard, 4);
    pass(TOKEN_LIMITS.loginFailureWindowMs);
    await fail(guard, 4);
    expect(await succeed(guard)).toBe('right');
  });

  test('opens again after its time, with a clean slate', async () => {
    const { guard, pass } = guardAt(0);
    await fail(guard, 5);
    pass(TOKEN_LIMITS.loginLockMs);
    await fail(guard, 4);
    expect(await succeed(guard)).toBe('right');
  });

  test('forgets failures after a login', async () => {
    const { guard } = guardAt(0);
    await fail(guard, 4);
    await succeed(guard);
    await fail(guard, 4);
    expect(await succeed(guard)).toBe('right');
  });

  test('an attempt that could not be judged counts as none, and holds nobody up', async () => {
    const { guard } = guardAt(0);
    const away = guard.attempt('jane', HERE, async () => {
      throw new Error('store away');
    });
    await expect(away).rejects.toThrow('store away');
    expect(await succeed(guard)).toBe('right');
  });

  test('remembers a bounded number of pairs, those that were tried last', async () => {
    const { guard } = guardAt(0);
    await fail(guard, 5, 'first');
    await Promise.all(Array.from({ length: 10_000 }, (_, user) => fail(guard, 1, `user-${user}`)));
    expect(await succeed(guard, 'first')).toBe('right');
    await fail(guard, 4, 'user-9999');
    expect(await succeed(guard, 'user-9999')).toBe('locked');
  });
});
