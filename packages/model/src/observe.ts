/**
 * What a scheduler has seen, and since when by its own monotonic clock: clocks of other processes do not compare, and wall clocks jump. Pure: the loop
 * keeps the result in memory from pass to pass. A new scheduler begins with nothing, so that every lease and every wait gets its full time again: no mass
 * replacement after our own restart (failure-rules.md sections 1 and 3).
 */
import type { CellFacts, ClusterState, CopyFacts } from './cluster-state.ts';
import { CELL_LIMITS } from './limits.ts';

export interface CellSeen {
  session: string;
  counter: number | null;
  /** When session or counter last moved; the lease is lost `leaseTtlMs` later. */
  movedAtMs: number;
  /** It has moved, or appeared, under our eyes: what its agent reports is fresh enough to stop things for. */
  isProven: boolean;
  lostAtMs: number | null;
}

/** Starts of one run spec on one cell that never ran its code. The agent tries again by itself; the scheduler looks for another cell after the third. */
export interface SandboxErrors {
  count: number;
  /** The cell gets no more of it until then; null: fewer than `sandboxErrorsMax` so far. */
  pausedUntilMs: number | null;
  /** The agent's words for the last one. */
  reason: string;
  /** Which starts (guid and attempt) are in `count`, so that none counts twice. */
  counted: readonly string[];
}

export interface Observations {
  cells: ReadonlyMap<string, CellSeen>;
  /** More than half of the cells were lost within a minute: nothing is placed before this. */
  brakeUntilMs: number | null;
  /** Copies withdrawn from STOPPED apps linger from here on; by app. */
  stopped: ReadonlyMap<string, { stoppedAt: number | null; sinceMs: number }>;
  /** Placements that no agent has reported yet, by guid. */
  untakenSinceMs: ReadonlyMap<string, number>;
  /** Placements that are neither RUNNING nor CRASHED yet, by guid. */
  startingSinceMs: ReadonlyMap<string, number>;
  /** Copies that have no placement any more and are not gone yet, by guid. */
  endingSinceMs: ReadonlyMap<string, number>;
  /** By {@link errorsKey}. */
  sandboxErrors: ReadonlyMap<string, SandboxErrors>;
}

/**
 * A copy without a placement that its agent has not reported gone after so long is no copy any more: the machine was set up anew, or the report that would
 * say so got lost. It stops holding room. Far beyond a graceful stop (ours).
 */
const GHOST_AFTER_MS = 60_000;

export const errorsKey = (runSpecGuid: string, cellId: string): string => `${runSpecGuid}@${cellId}`;

/** `before` is null for a scheduler's first look. `clockMs` is monotonic. */
export function observe(before: Observations | null, state: ClusterState, clockMs: number): Observations {
  const cells = new Map<string, CellSeen>();
  for (const cell of state.cells)
    cells.set(cell.id, seeCell(before?.cells.get(cell.id), cell, { clockMs, isFirstLook: before === null }));
  const copies = new Map(state.copies.map(copy => [copy.guid, copy]));
  return {
    cells,
    brakeUntilMs: brake(before?.brakeUntilMs ?? null, cells, clockMs),
    stopped: seeStopped(before, state, clockMs),
    ...seePlacements(before, { state, copies, cells }, clockMs),
    endingSinceMs: seeEnding(before, state, clockMs),
    sandboxErrors: seeSandboxErrors(before?.sandboxErrors ?? new Map(), { state, copies }, clockMs),
  };
}

function seeCell(
  known: CellSeen | undefined,
  { session, counter, state }: CellFacts,
  { clockMs, isFirstLook }: { clockMs: number; isFirstLook: boolean },
): CellSeen {
  if (known === undefined) {
    // Lost before our time, so no loss of this minute: it stays so until it moves, or it would be placed on for a whole lease after each restart of ours.
    const lostAtMs = isFirstLook && state === 'LOST' ? Number.NEGATIVE_INFINITY : null;
    return { session, counter, movedAtMs: clockMs, isProven: !isFirstLook, lostAtMs };
  }
  if (known.session !== session || known.counter !== counter)
    return { session, counter, movedAtMs: clockMs, isProven: true, lostAtMs: null };
  if (known.lostAtMs === null && clockMs - known.movedAtMs >= CELL_LIMITS.leaseTtlMs)
    return { ...known, lostAtMs: clockMs };
  return known;
}

/** A stalled control plane looks like the loss of many cells at once: then waiting is better than placing everything twice. */
function brake(until: number | null, cells: ReadonlyMap<string, CellSeen>, clockMs: number): number | null {
  let present = 0;
  let justLost = 0;
  for (const { lostAtMs } of cells.values()) {
    if (lostAtMs === null) present++;
    else if (clockMs - lostAtMs < CELL_LIMITS.massLossWindowMs) justLost++;
  }
  const total = present + justLost;
  const newlyLost = [...cells.values()].some(cell => cell.lostAtMs === clockMs);
  if (newlyLost && total >= CELL_LIMITS.massLossMinCells && justLost * 2 > total)
    return clockMs + CELL_LIMITS.massLossBrakeMs;
  return until !== null && until > clockMs ? until : null;
}

function seeStopped(before: Observations | null, state: ClusterState, clockMs: number): Observations['stopped'] {
  const stopped = new Map<string, { stoppedAt: number | null; sinceMs: number }>();
  for (const { appGuid, isStarted, stoppedAt, task } of state.processes) {
    if (isStarted || task !== undefined || stopped.has(appGuid)) continue;
    const known = before?.stopped.get(appGuid);
    stopped.set(
      appGuid,
      known !== undefined && known.stoppedAt === stoppedAt ? known : { stoppedAt, sinceMs: clockMs },
    );
  }
  return stopped;
}

interface Look {
  state: ClusterState;
  copies: ReadonlyMap<string, CopyFacts>;
}

function seePlacements(
  before: Observations | null,
  { state, copies, cells }: Look & { cells: ReadonlyMap<string, CellSeen> },
  clockMs: number,
): Pick<Observations, 'untakenSinceMs' | 'startingSinceMs'> {
  const untakenSinceMs = new Map<string, number>();
  const startingSinceMs = new Map<string, number>();
  for (const { guid, cellId } of state.placements) {
    const copy = copies.get(guid);
    const isTaken = copy !== undefined && copy.state !== 'GONE';
    // An agent that is away cannot take up anything: its time begins when it is back.
    const isAway = (cells.get(cellId)?.lostAtMs ?? null) !== null;
    if (!isTaken) untakenSinceMs.set(guid, isAway ? clockMs : (before?.untakenSinceMs.get(guid) ?? clockMs));
    if (!isTaken || copy.state === 'STARTING') startingSinceMs.set(guid, before?.startingSinceMs.get(guid) ?? clockMs);
  }
  return { untakenSinceMs, startingSinceMs };
}

function seeEnding(before: Observations | null, state: ClusterState, clockMs: number): Map<string, number> {
  const placed = new Set(state.placements.map(({ guid }) => guid));
  const ending = state.copies.filter(({ guid }) => !placed.has(guid));
  return new Map(ending.map(({ guid }) => [guid, before?.endingSinceMs.get(guid) ?? clockMs]));
}

/** The state without copies that have been ending for so long that they cannot be there any more. */
export function withoutGhosts(state: ClusterState, { endingSinceMs }: Observations, clockMs: number): ClusterState {
  const copies = state.copies.filter(({ guid }) => clockMs - (endingSinceMs.get(guid) ?? clockMs) < GHOST_AFTER_MS);
  return copies.length === state.copies.length ? state : { ...state, copies };
}

function seeSandboxErrors(
  before: Observations['sandboxErrors'],
  { state, copies }: Look,
  clockMs: number,
): Observations['sandboxErrors'] {
  const specs = new Set(state.processes.map(({ spec }) => spec?.guid));
  const known = new Map<string, SandboxErrors>();
  for (const [key, errors] of before) {
    const isOver = errors.pausedUntilMs !== null && errors.pausedUntilMs <= clockMs;
    if (!isOver && specs.has(key.slice(0, key.indexOf('@')))) known.set(key, errors);
  }
  for (const { guid, runSpecGuid, cellId } of state.placements) {
    const copy = copies.get(guid);
    if (copy === undefined) continue;
    const key = errorsKey(runSpecGuid, cellId);
    if (copy.state === 'RUNNING') known.delete(key);
    else if (copy.placementError !== null) known.set(key, addError(known.get(key), copy, clockMs));
  }
  return known;
}

function addError(errors: SandboxErrors | undefined, copy: CopyFacts, clockMs: number): SandboxErrors {
  const start = `${copy.guid}#${copy.attempt}`;
  if (errors?.counted.includes(start)) return errors;
  const count = (errors?.count ?? 0) + 1;
  return {
    count,
    pausedUntilMs: count >= CELL_LIMITS.sandboxErrorsMax ? clockMs + CELL_LIMITS.sandboxErrorPauseMs : null,
    reason: copy.placementError ?? '',
    counted: [...(errors?.counted ?? []), start],
  };
}
