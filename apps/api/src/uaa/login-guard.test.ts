import { TOKEN_LIMITS } from '@cupola/model/limits';
import { describe, expect, test } from 'vitest';
import { createLoginGuard, type LoginGuard } from './login-guard.ts';

function guardAt(start: number) {
  let now = start;
  return {
    guard: createLoginGuard(() => now),
    pass: (ms: number) => {
      now += ms;
    },
  };
}
function fail(guard: LoginGuard, times: number, username = 'jane', address = '10.0.0.1'): void {
  for (let time = 0; time < times; time++) guard.failed(username, address);
}

function failManyUsers(guard: LoginGuard, users: number): void {
  for (let user = 0; user < users; user++) guard.failed(`user-${user}`, 'a');
}

describe('createLoginGuard()', () => {
  test('locks at the fifth failure, that user at that address only', () => {
    const { guard } = guardAt(0);
    fail(guard, 4);
    expect(guard.isLocked('jane', '10.0.0.1')).toBe(false);
    fail(guard, 1, 'JANE');
    expect(guard.isLocked('jane', '10.0.0.1')).toBe(true);
    expect(guard.isLocked('jane', '10.0.0.2')).toBe(false);
    expect(guard.isLocked('joe', '10.0.0.1')).toBe(false);
  });

  test('forgets failures that are older than the window', () => {
    const { guard, pass } = guardAt(0);
    fail(guard, 4);
    pass(TOKEN_LIMITS.loginFailureWindowMs);
    fail(guard, 4);
    expect(guard.isLocked('jane', '10.0.0.1')).toBe(false);
  });

  test('opens again after its time, with a clean slate', () => {
    const { guard, pass } = guardAt(0);
    fail(guard, 5);
    pass(TOKEN_LIMITS.loginLockMs);
    fail(guard, 4);
    expect(guard.isLocked('jane', '10.0.0.1')).toBe(false);
  });

  test('forgets failures after a login', () => {
    const { guard } = guardAt(0);
    fail(guard, 4);
    guard.succeeded('jane', '10.0.0.1');
    fail(guard, 4);
    expect(guard.isLocked('jane', '10.0.0.1')).toBe(false);
  });

  test('remembers a bounded number of pairs, those that failed last', () => {
    const { guard } = guardAt(0);
    fail(guard, 5, 'first');
    failManyUsers(guard, 10_000);
    expect(guard.isLocked('first', '10.0.0.1')).toBe(false);
    fail(guard, 4, 'user-9999', 'a');
    expect(guard.isLocked('user-9999', 'a')).toBe(true);
  });
});
