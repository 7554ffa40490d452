/**
 * When a crashed copy is started again (failure-rules.md section 2, as in Cloud Foundry). Asked by the agent alone, connected or not: the scheduler never
 * restarts anything. Exact: no jitter, and each wait is a timer of its own.
 */

/** Crashes in a row that are answered by a start at once. */
const AT_ONCE_MAX = 2;
const FIRST_WAIT_MS = 30_000;
const WAIT_MAX_MS = 960_000;
/** The crash that is not followed by a start: the copy stays CRASHED until its user restarts it. */
const GIVE_UP_AT = 200;
/** A copy that was RUNNING for longer than this is a good one: its next crash is the first again. */
const FORGIVEN_AFTER_MS = 300_000;

/**
 * The number in a row of the crash that has just happened: raised before the table is read.
 * @param crashCount crashes in a row before it.
 * @param ranMs how long the copy had been RUNNING (healthy); 0 if it never was.
 */
export function nextCrashCount(crashCount: number, ranMs: number): number {
  return ranMs > FORGIVEN_AFTER_MS ? 1 : crashCount + 1;
}

/** Ms to wait before the restart that follows crash `crashNumber` (1 or more); null: never again, state CRASHED. */
export function restartDelayMs(crashNumber: number): number | null {
  if (crashNumber >= GIVE_UP_AT) return null;
  if (crashNumber <= AT_ONCE_MAX) return 0;
  return Math.min(FIRST_WAIT_MS * 2 ** (crashNumber - AT_ONCE_MAX - 1), WAIT_MAX_MS);
}
