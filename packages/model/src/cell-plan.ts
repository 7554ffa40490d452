/**
 * What an agent does next with the copies on its cell (failure-rules.md sections 2 and 3). What it keeps true:
 *
 * - nothing is stopped, or forgotten, because desired state is missing or old: only a fresh view that lacks a copy ends it;
 * - a crashed copy starts again exactly when the crash table says, connected or not, out of what the cell itself remembers;
 * - a newer generation or start sequence replaces what runs, gracefully, and its crash count begins anew; an older one changes nothing;
 * - no more than `CELL_LIMITS.startsInFlight` starts are in their busy time at once, the longest waiting first.
 *
 * Left out on purpose: how a copy is started, probed and stopped (apps/agent/src/copies). Each action is a step that the agent can take at once; it
 * asks again after every change, and at `wakeAtMs`.
 */
import { nextCrashCount, restartDelayMs } from './crash-table.ts';
import { CELL_LIMITS, INSTANCE_LIMITS } from './limits.ts';

/** A start counts against the cell's starts in flight for this long at most: who is not healthy by then waits for something else than our CPU (ours). */
const BUSY_START_MS = 10_000;

/** What the scheduler wants of one copy, as far as its order with others goes. */
export interface WantedCopy {
  guid: string;
  generation: number;
  startSequence: number;
}

/**
 * What the cell has of one copy. `waiting`: to be started at `startAtMs` (null: never again, the 200th crash); `starting`: from the first layer fetched
 * until healthy; `stopping`: asked to end; `stopped`: has ended because it was asked to.
 */
export interface KnownCopy extends WantedCopy {
  phase: 'waiting' | 'starting' | 'running' | 'stopping' | 'stopped';
  startAtMs: number | null;
  /** When the start under way began. */
  startingSinceMs: number | null;
}

export interface CellView {
  /** Monotonic, as are all times here. */
  now: number;
  wanted: readonly WantedCopy[];
  /** The view is the whole truth, and no older than `CELL_LIMITS.freshTtlMs`. */
  fresh: boolean;
  copies: readonly KnownCopy[];
}

export type CopyAction =
  /** New here: remember it, then start it when asked to. */
  | { do: 'take'; guid: string }
  /** Nothing of it runs and a newer placement is there: remember that one instead, with no crashes, to be started at once. */
  | { do: 'renew'; guid: string }
  | { do: 'start'; guid: string }
  | { do: 'stop'; guid: string; reason: 'withdrawn' | 'replaced' }
  /** Nothing of it runs and nobody wants it: forget it, and report it GONE. */
  | { do: 'forget'; guid: string };

export interface CellPlan {
  actions: CopyAction[];
  /** When time alone makes a next step; null: only a change does. */
  wakeAtMs: number | null;
}

/** True when the placement's word is newer than what the copy here stands for. */
export function isNewer(placed: WantedCopy, known: WantedCopy): boolean {
  if (placed.generation !== known.generation) return placed.generation > known.generation;
  return placed.startSequence > known.startSequence;
}

/** The actions of one pass, in the order in which they are to be taken. */
export function decideCopies({ now, wanted, fresh, copies }: CellView): CellPlan {
  const known = new Map(copies.map(copy => [copy.guid, copy]));
  const wantedGuids = new Set(wanted.map(({ guid }) => guid));
  const actions: CopyAction[] = [];
  const startable: Array<{ guid: string; startAtMs: number }> = [];
  const waiting: number[] = [];

  for (const placement of wanted) {
    const copy = known.get(placement.guid);
    if (copy === undefined) {
      actions.push({ do: 'take', guid: placement.guid });
      startable.push({ guid: placement.guid, startAtMs: now });
    } else if (isNewer(placement, copy)) {
      const { guid, phase } = copy;
      if (phase === 'starting' || phase === 'running') actions.push({ do: 'stop', guid, reason: 'replaced' });
      if (phase !== 'waiting' && phase !== 'stopped') continue;
      actions.push({ do: 'renew', guid });
      startable.push({ guid, startAtMs: now });
    } else if (copy.phase === 'stopped') {
      // Withdrawn, and wanted again before it was forgotten.
      actions.push({ do: 'renew', guid: copy.guid });
      startable.push({ guid: copy.guid, startAtMs: now });
    } else {
      wait(copy);
    }
  }
  for (const copy of copies) {
    if (wantedGuids.has(copy.guid)) continue;
    const { guid, phase } = copy;
    if (!fresh) wait(copy);
    else if (phase === 'waiting' || phase === 'stopped') actions.push({ do: 'forget', guid });
    else if (phase !== 'stopping') actions.push({ do: 'stop', guid, reason: 'withdrawn' });
  }

  function wait({ guid, phase, startAtMs }: KnownCopy): void {
    if (phase !== 'waiting' || startAtMs === null) return;
    if (startAtMs > now) waiting.push(startAtMs);
    else startable.push({ guid, startAtMs });
  }

  const busyUntil = copies.flatMap(({ phase, startingSinceMs }) => {
    const until = (startingSinceMs ?? now) + BUSY_START_MS;
    return phase === 'starting' && until > now ? [until] : [];
  });
  startable.sort((a, b) => a.startAtMs - b.startAtMs || (a.guid < b.guid ? -1 : 1));
  const free = Math.max(0, CELL_LIMITS.startsInFlight - busyUntil.length);
  for (const { guid } of startable.slice(0, free)) actions.push({ do: 'start', guid });
  if (startable.length > free) waiting.push(...busyUntil);
  return { actions, wakeAtMs: waiting.length === 0 ? null : Math.min(...waiting) };
}

/**
 * What follows the end of a copy that nobody asked to end.
 * @param ranMs how long it had been RUNNING (healthy); 0 if it never was.
 */
export function afterCrash(
  crashCount: number,
  { ranMs, now }: { ranMs: number; now: number },
): { crashCount: number; startAtMs: number | null } {
  const count = nextCrashCount(crashCount, ranMs);
  const delayMs = restartDelayMs(count);
  return { crashCount: count, startAtMs: delayMs === null ? null : now + delayMs };
}

/** After a start that never ran app code, the `errors`th in a row: no crash; tried again by the next pass, and after every third one much later. */
export function afterStartError(errors: number, now: number): number {
  const isPaused = errors % CELL_LIMITS.sandboxErrorsMax === 0;
  return now + (isPaused ? CELL_LIMITS.sandboxErrorPauseMs : CELL_LIMITS.convergenceEmbeddedMs);
}

/** Whether a view last confirmed at `syncedAtMs` (null: never) may end anything. */
export function isFresh(syncedAtMs: number | null, now: number): boolean {
  return syncedAtMs !== null && now - syncedAtMs <= CELL_LIMITS.freshTtlMs;
}

/**
 * When start-up probes come, in ms after the launch: 0, 10, 20, 40 ... until the gap is 2 s, then every 2 s, up to `timeoutMs` and once more then.
 */
export function* startProbeTimes(timeoutMs: number): Generator<number> {
  let at = 0;
  while (at < timeoutMs) {
    yield at;
    const gapMs = Math.min(Math.max(at, INSTANCE_LIMITS.startProbeFirstMs), INSTANCE_LIMITS.startProbeMaxMs);
    at += gapMs;
  }
  yield timeoutMs;
}
