/**
 * What becomes of a build next (failure-rules.md section 4). Asked by the outbox for every build that has not ended, and for those that nobody asked for.
 * What it keeps true:
 *
 * - a build that waits is offered again and again until a stager has claimed it: the queue may be lost at any time;
 * - one try more when we lost it (stager gone, disk, kill), none when what was pushed is at fault: that ends in `finish`, not here;
 * - nobody is offered a build whose lease stands, so that no two stagers work on one;
 * - every build ends: cancelled, out of attempts, or out of time.
 *
 * Left out on purpose: whether a lease stands is judged by the API that granted it, on its own monotonic clock (apps/api/src/builds/leases.ts).
 */
import { STAGING_LIMITS } from './limits.ts';
import type { BuildState } from './states.ts';

/** A build as far as its fate goes. Times are epoch ms. */
export interface BuildFacts {
  state: BuildState;
  /** False: begun by the end of an upload, and nobody has asked for it yet. */
  isAdopted: boolean;
  isCancelled: boolean;
  /** A stager holds it, and its lease stands. */
  isLeased: boolean;
  /** Claims so far. */
  attempts: number;
  createdAt: number;
  /** What the last stager said when it gave the build back; null when it never said anything. */
  lastError: string | null;
}

export type BuildFate =
  /** Nothing to do until something changes. */
  | { do: 'wait' }
  /** A stager may have it. */
  | { do: 'offer' }
  /** Tells the stager that holds it to stop; what it was about is over. */
  | { do: 'cancel' }
  | { do: 'fail'; title: 'StagerError' | 'StagingTimeExpired' | 'StagingError'; error: string }
  /** Invisible and of no use to anybody: the row goes, with the droplet it may have made. */
  | { do: 'drop' };

export function decideBuild(build: BuildFacts, now: number): BuildFate {
  const ageMs = now - build.createdAt;
  if (!build.isAdopted && (build.isCancelled || ageMs >= STAGING_LIMITS.unadoptedMs)) return leave(build);
  if (build.state !== 'STAGING') return { do: 'wait' };
  if (ageMs >= STAGING_LIMITS.timeoutMs + STAGING_LIMITS.sweepAfterMs) return timeExpired();
  // At once: its stager is told by the watch, and whatever it still hands in is refused.
  if (build.isCancelled)
    return { do: 'fail', title: 'StagingError', error: 'Staging was cancelled: a newer push took its place.' };
  if (build.isLeased) return { do: 'wait' };
  if (build.attempts >= STAGING_LIMITS.attemptsMax) return attemptsExhausted(build);
  return { do: 'offer' };
}

/** Whether a stager may have the build now. Asked again, inside the claim's own transaction. */
export function isClaimable(build: Omit<BuildFacts, 'createdAt' | 'lastError'>): boolean {
  return (
    build.state === 'STAGING' && !build.isCancelled && !build.isLeased && build.attempts < STAGING_LIMITS.attemptsMax
  );
}

/** Its row stays while a stager holds it, so that the stager can be told. */
function leave({ isLeased, isCancelled }: BuildFacts): BuildFate {
  if (!isLeased) return { do: 'drop' };
  return isCancelled ? { do: 'wait' } : { do: 'cancel' };
}

function timeExpired(): BuildFate {
  const minutes = Math.round(STAGING_LIMITS.timeoutMs / 60_000);
  return {
    do: 'fail',
    title: 'StagingTimeExpired',
    error: `Staging did not end within ${minutes} minutes. Push again; if it happens again, push what is built already, or ask the operator whether stagers are running.`,
  };
}

function attemptsExhausted({ attempts, lastError }: BuildFacts): BuildFate {
  const why = lastError === null ? 'the stager went away each time' : `the last time: ${lastError}`;
  return {
    do: 'fail',
    title: 'StagerError',
    error: `Staging was tried ${attempts} times and failed on our side (${why}). Push again; if it happens again, ask the operator to look at the stager's log.`,
  };
}
