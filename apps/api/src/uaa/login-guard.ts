/**
 * Counts failed logins by user and address: five within five minutes lock that pair for five (failure-rules.md 7), so that nobody can lock a user out from
 * elsewhere. Attempts of a pair are judged one after another: many at once are no more guesses than five. In memory: a restart forgives, and whoever can
 * restart us needs no password.
 */
import { TOKEN_LIMITS } from '@cupola/model/limits';

export type Verdict = 'right' | 'wrong' | 'locked';

export interface LoginGuard {
  /** Calls `verify` unless the pair is locked, and counts what it says. */
  attempt(username: string, address: string, verify: () => Promise<boolean>): Promise<Verdict>;
}

/** More pairs than anyone watches; the one that was tried least recently is forgotten first. */
const PAIRS_MAX = 10_000;

interface Pair {
  failedAt: number[];
  lockedUntil: number;
  /** Settles when the attempts before have been judged. */
  last: Promise<unknown>;
}

export function createLoginGuard(now: () => number): LoginGuard {
  const pairs = new Map<string, Pair>();

  function pairOf(username: string, address: string): Pair {
    const key = JSON.stringify([username.toLowerCase(), address]);
    const pair = pairs.get(key) ?? { failedAt: [], lockedUntil: 0, last: Promise.resolve() };
    pairs.delete(key);
    pairs.set(key, pair);
    const [oldest] = pairs.keys();
    if (pairs.size > PAIRS_MAX && oldest !== undefined) pairs.delete(oldest);
    return pair;
  }

  async function judge(pair: Pair, verify: () => Promise<boolean>): Promise<Verdict> {
    if (pair.lockedUntil > now()) return 'locked';
    if (await verify()) {
      pair.failedAt = [];
      return 'right';
    }
    const at = now();
    pair.failedAt = [...pair.failedAt.filter(time => time > at - TOKEN_LIMITS.loginFailureWindowMs), at];
    if (pair.failedAt.length >= TOKEN_LIMITS.loginFailuresMax) {
      pair.lockedUntil = at + TOKEN_LIMITS.loginLockMs;
      pair.failedAt = [];
    }
    return 'wrong';
  }

  return {
    attempt: (username, address, verify) => {
      const pair = pairOf(username, address);
      const verdict = pair.last.then(() => judge(pair, verify));
      pair.last = verdict.catch(() => undefined);
      return verdict;
    },
  };
}
