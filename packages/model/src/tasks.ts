/**
 * What becomes of a task (CF: task_model.rb, Diego's task life cycle): run once on some cell, never started again once its code may have run. Pure: what the
 * scheduler sees in, the next state out. Placing and withdrawing it are `decide`'s, as with instances of a process.
 */
import type { CopyState, TaskState } from './states.ts';

/** Those that still want something; the others have ended. */
export type ActiveTaskState = 'PENDING' | 'RUNNING' | 'CANCELING';

/** CF's: a task that no cell has taken by then is given up. */
const PENDING_MAX_MS = 1_800_000;
/** Starts that failed before its code ran, then it is given up (CF). */
const PLACEMENTS_MAX = 3;

export interface TaskFacts {
  state: ActiveTaskState;
  /** Since it was asked for. */
  ageMs: number;
  /** Null: no cell has been told to run it. */
  placement: { isCellLost: boolean } | null;
  /** Null: no cell has said anything of it, or nothing is left of it. */
  copy: {
    state: CopyState;
    /** Starts that never ran its code. */
    startErrors: number;
    placementError: string | null;
    /** Of its end. */
    exit: { code: number | null; outOfMemory: boolean; reason: string } | null;
  } | null;
  /** Why it waits, as `decide` found it. */
  waitingReason: string | null;
}

export interface TaskChange {
  state: TaskState;
  /** For its user, when it FAILED. */
  failureReason: string | null;
}

const CANCELLED = 'task was cancelled';

/** Null: it stays as it is. */
export function decideTask({ state, ageMs, placement, copy, waitingReason }: TaskFacts): TaskChange | null {
  if (state === 'CANCELING') {
    const isStillThere = copy !== null && copy.state !== 'GONE' && copy.state !== 'CRASHED';
    return isStillThere || placement !== null ? null : failed(CANCELLED);
  }
  // Nothing is started again: a copy that has ended is the task's end.
  if (copy?.state === 'CRASHED') return ended(copy.exit);
  if (placement?.isCellLost) return failed('the cell that ran it was lost before it completed');
  if (state === 'RUNNING') return placement === null ? failed('Unable to determine completion status') : null;
  if (copy !== null && copy.placementError !== null && copy.startErrors >= PLACEMENTS_MAX)
    return failed(copy.placementError);
  if (copy?.state === 'RUNNING') return { state: 'RUNNING', failureReason: null };
  if (ageMs >= PENDING_MAX_MS)
    return failed(`Task expired in PENDING state${waitingReason === null ? '' : `: ${waitingReason}`}`);
  return null;
}

/** When `decideTask` has to be asked again by the mere passing of time, in ms from now. */
export function taskDueInMs({ state, ageMs }: Pick<TaskFacts, 'state' | 'ageMs'>): number | null {
  return state === 'PENDING' ? Math.max(0, PENDING_MAX_MS - ageMs) : null;
}

function ended(exit: NonNullable<TaskFacts['copy']>['exit']): TaskChange {
  if (exit === null) return failed('Unable to determine completion status');
  return exit.code === 0 && !exit.outOfMemory ? { state: 'SUCCEEDED', failureReason: null } : failed(exit.reason);
}

function failed(failureReason: string): TaskChange {
  return { state: 'FAILED', failureReason };
}

/** False for one that has ended. */
export function isTaskCancelable(state: TaskState): boolean {
  return state !== 'SUCCEEDED' && state !== 'FAILED';
}
