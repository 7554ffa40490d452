/**
 * Gives memory back once a burst of work is over. V8 lets garbage lie until it needs the room, which at rest is never, or minutes later: after a push 10 of
 * control's and the cell's 90 MB are that (docs/decisions/0019).
 */
import { performance } from 'node:perf_hooks';

export interface Rest {
  /** Share of the time since the last look in which the event loop worked, 0 to 1. */
  utilization: number;
  /** ms that it has worked since garbage was last collected. */
  workedMs: number;
}

const LOOK_MS = 10_000;
/** Watches, heartbeats and metrics at rest take less (measured: under 0.01). */
const REST_UTILIZATION = 0.02;
/** What a part works at rest in some minutes: a collection takes 20 to 50 ms, and is not worth it for less. */
const WORTH_MS = 500;

/** Whether this is the moment: it has worked, and works no more. */
export function isAtRest({ utilization, workedMs }: Rest): boolean {
  return utilization < REST_UTILIZATION && workedMs >= WORTH_MS;
}

/** Looks for the moment, for the life of the process; keeps nobody alive. Nothing where Node.js was not started with `--expose-gc`. */
export function collectAtRest(lookMs = LOOK_MS): void {
  let looked = performance.eventLoopUtilization();
  let collectedAt = 0;
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, looked);
    looked = now;
    if (!isAtRest({ utilization, workedMs: now.active - collectedAt })) return;
    // All that can be had: a plain collection left 20 MB of control, and put V8's own off.
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    collectedAt = performance.eventLoopUtilization().active;
  };
  setInterval(look, lookMs).unref();
}
