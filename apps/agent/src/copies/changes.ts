/** What happens to a copy, as changes of its record: a start begins, ends, is renewed. To disk first, then to the API. */
import type { CopyReport } from '@cupola/contract/internal';
import { afterCrash, afterStartError, isNewer } from '@cupola/model/cell-plan';
import { crashCause } from '@cupola/model/crash-cause';
import { unreachable } from '@cupola/model/errors';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { appSource, type Copy, reportOf } from './copy.ts';
import type { End } from './life.ts';
import type { CopyRecord, Records } from './record.ts';
import { exitReason } from './words.ts';

export interface ChangeDeps {
  records: Records;
  /** Something about this copy has changed. */
  touched(guid: string): void;
  /** It has just crashed. */
  crashed(report: CopyReport): void;
  now(): number;
  monotonic(): number;
}

/** To disk, then to the API. `sinceMs` only grows, whatever the clock does: reports are ordered by it. */
export function changeCopy({ records, touched, now }: ChangeDeps, copy: Copy, change: Partial<CopyRecord>): void {
  const { record } = copy;
  const isNewState = change.state !== undefined && change.state !== record.state;
  const sinceMs = isNewState ? Math.max(now(), record.sinceMs + 1) : record.sinceMs;
  copy.record = { ...record, ...change, sinceMs };
  records.save(copy.record);
  touched(copy.record.placement.guid);
}

export function markStarting(deps: ChangeDeps, copy: Copy): void {
  copy.startAtMs = null;
  copy.startingSinceMs = deps.monotonic();
  changeCopy(deps, copy, {
    phase: 'starting',
    state: 'STARTING',
    attempt: copy.record.attempt + 1,
    startAtMs: null,
    placementError: null,
    routable: false,
  });
}

export function renew(deps: ChangeDeps, copy: Copy, placement: CopyRecord['placement']): void {
  const known = copy.record.placement;
  const isSame = !isNewer(placement, known);
  // Attempts are counted under a generation.
  const attempt = placement.generation > known.generation ? 0 : copy.record.attempt;
  copy.startAtMs = deps.monotonic();
  changeCopy(deps, copy, {
    placement: isSame ? known : placement,
    phase: 'waiting',
    state: 'STARTING',
    attempt,
    crashCount: 0,
    errors: 0,
    placementError: null,
    exit: null,
    startAtMs: deps.now(),
  });
}

/** What a start's end makes of its copy. */
export function settle(
  deps: ChangeDeps,
  copy: Copy,
  { end, isStoppingAll }: { end: End; isStoppingAll: boolean },
): void {
  const { monotonic, now } = deps;
  copy.startingSinceMs = null;
  copy.runningSinceMs = null;
  const waitUntil = (startAtMs: number | null): Pick<CopyRecord, 'phase' | 'startAtMs' | 'launch'> => {
    copy.startAtMs = startAtMs;
    return { phase: 'waiting', launch: null, startAtMs: startAtMs === null ? null : now() + startAtMs - monotonic() };
  };
  switch (end.how) {
    case 'left':
      return;
    case 'stopped':
      if (isStoppingAll && copy.record.placement.runSpec.taskName !== undefined)
        endTask(deps, copy, 'stopped with its cell');
      else if (isStoppingAll) changeCopy(deps, copy, { ...waitUntil(monotonic()), state: 'GONE', routable: false });
      else changeCopy(deps, copy, { phase: 'stopped', launch: null, routable: false });
      return;
    case 'failed': {
      const errors = copy.record.errors + 1;
      const wait = waitUntil(afterStartError(errors, monotonic()));
      changeCopy(deps, copy, { ...wait, state: 'STARTING', errors, placementError: end.why });
      return;
    }
    case 'crashed': {
      const { runSpec } = copy.record.placement;
      const { memoryMb, taskName } = runSpec;
      const { exit, ranMs, unhealthy, lastLines } = end;
      const { crashCount, startAtMs } =
        taskName === undefined
          ? afterCrash(copy.record.crashCount, { ranMs, now: monotonic() })
          : { crashCount: 0, startAtMs: null };
      const reason = exitReason(exit, { unhealthy: unhealthy?.reason ?? null, memoryMb, source: appSource(runSpec) });
      const cause = crashCause({
        ...exit,
        unhealthy: unhealthy?.facts ?? null,
        wasRunning: ranMs > 0,
        memoryMb,
        lastLines,
      });
      changeCopy(deps, copy, {
        ...waitUntil(startAtMs),
        state: 'CRASHED',
        routable: false,
        crashCount,
        errors: 0,
        exit: {
          code: exit.code,
          signal: exit.signal,
          outOfMemory: exit.outOfMemory,
          reason: reason.slice(0, INSTANCE_LIMITS.crashReasonMaxChars),
          lastLines,
          cause,
        },
      });
      // A task has no crashes: its end is its result, told until the scheduler withdraws it.
      if (taskName === undefined) deps.crashed(reportOf(copy));
      return;
    }
    default:
      unreachable(end);
  }
}

/** Its cell stops, and what has run once is not run again. */
function endTask(deps: ChangeDeps, copy: Copy, reason: string): void {
  copy.startAtMs = null;
  const exit = { code: null, signal: null, outOfMemory: false, reason, lastLines: [] };
  changeCopy(deps, copy, { phase: 'waiting', launch: null, startAtMs: null, state: 'CRASHED', routable: false, exit });
}

/** It ran here, and nothing here knows of it: the machine was set up anew. */
export function loseTask(deps: ChangeDeps, copy: Copy): void {
  endTask(deps, copy, 'lost with its cell');
}

/** What was recorded to run, and of which nothing is left: its shim and folder are gone. */
export function lostEnd({ now }: ChangeDeps, { record }: Copy): End {
  if (record.phase === 'stopping') return { how: 'stopped' };
  const ranMs = record.state === 'RUNNING' ? Math.max(0, now() - record.sinceMs) : 0;
  const exit = { code: null, signal: null, outOfMemory: false, lost: true, atMs: now() };
  return { how: 'crashed', exit, unhealthy: null, lastLines: [], ranMs };
}
