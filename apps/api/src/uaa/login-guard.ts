/**
 * Counts failed logins by user and address: five within five minutes lock that pair for five (failure-rules.md 7), so that nobody can lock a user out from
 * elsewhere. In memory: a restart forgives, and whoever can restart us needs no password.
 */
import { TOKEN_LIMITS } from '@cupola/model/limits';

export interface LoginGuard {
  isLocked(username: string, address: string): boolean;
  failed(username: string, address: string): void;
  succeeded(username: string, address: string): void;
}

/** More pairs than anyone watches; the one that failed least recently is forgotten first. */
const PAIRS_MAX = 10_000;

export function createLoginGuard(now: () => number): LoginGuard {
  const pairs = new Map<string, { failedAt: number[]; lockedUntil: number }>();
  const key = (username: string, address: string): string => JSON.stringify([username.toLowerCase(), address]);
  return {
    isLocked: (username, address) => (pairs.get(key(username, address))?.lockedUntil ?? 0) > now(),
    failed: (username, address) => {
      const pair = key(username, address);
      const at = now();
      const since = at - TOKEN_LIMITS.loginFailureWindowMs;
      const failedAt = [...(pairs.get(pair)?.failedAt ?? []).filter(time => time > since), at];
      const isLocked = failedAt.length >= TOKEN_LIMITS.loginFailuresMax;
      pairs.delete(pair);
      pairs.set(pair, {
        failedAt: isLocked ? [] : failedAt,
        lockedUntil: isLocked ? at + TOKEN_LIMITS.loginLockMs : 0,
      });
      const [oldest] = pairs.keys();
      if (pairs.size > PAIRS_MAX && oldest !== undefined) pairs.delete(oldest);
    },
    succeeded: (username, address) => void pairs.delete(key(username, address)),
  };
}
