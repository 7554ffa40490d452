/**
 * First half of a pass, process by process: which placements may go, and which indices need one. Never takes a copy that serves away for a reason that is
 * not its user's will or another copy that serves (failure-rules.md sections 2 to 4).
 */
import { type Board, type Standing, withdraw } from './board.ts';
import { type DesiredProcess, instanceKey } from './cluster-state.ts';
import { CELL_LIMITS, STOP_LINGER_MS } from './limits.ts';

/** An index that wants a placement. */
export interface Demand {
  process: DesiredProcess;
  index: number;
  /** Its copies of former runs that still stand: taken away where both do not fit. */
  formers: Standing[];
  /** It has none at all of the current run, so its user is told when it has to wait. */
  isBare: boolean;
  /** Where it just failed: other cells first. */
  avoid: string | null;
  reason: string;
}

/** Demands of all processes, in no order. Writes what may go into `board.withdrawn`. */
export function settle(board: Board): Demand[] {
  const demands: Demand[] = [];
  const known = new Set<string>();
  for (const process of board.state.processes) {
    known.add(process.guid);
    demands.push(...settleProcess(board, process));
  }
  for (const [guid, standings] of board.standings)
    if (!known.has(guid))
      for (const standing of standings) withdraw(board, standing, { cause: 'unwanted', reason: 'its process is gone' });
  return demands;
}

function settleProcess(board: Board, process: DesiredProcess): Demand[] {
  const standings = board.standings.get(process.guid) ?? [];
  if (process.task !== undefined) return settleTask(board, process, standings);
  if (!process.isStarted) {
    settleStopped(board, process, standings);
    return [];
  }
  const byIndex = new Map<number, Standing[]>();
  for (const standing of standings) {
    const { index } = standing.placement;
    if (index >= process.instances) withdraw(board, standing, { cause: 'unwanted', reason: 'scaled down' });
    else byIndex.set(index, [...(byIndex.get(index) ?? []), standing]);
  }
  if (process.spec === null) return [];
  const demands: Demand[] = [];
  for (let index = 0; index < process.instances; index++) {
    const demand = settleIndex(board, { process, index }, byIndex.get(index) ?? []);
    if (demand !== null) demands.push(demand);
  }
  return demands;
}

/** Placed once. Again only when no agent has taken it up, so that its code has surely not run; cancelled, it goes at once. */
function settleTask(board: Board, process: DesiredProcess, standings: readonly Standing[]): Demand[] {
  if (!process.isStarted) {
    for (const standing of standings)
      withdraw(board, standing, { cause: 'unwanted', reason: 'its task was cancelled' });
    return [];
  }
  const failed = standings.filter(standing => hasFailed(board, standing));
  if (process.task !== 'PENDING' || failed.length < standings.length) return [];
  const avoid = failed[0]?.placement.cellId ?? null;
  return [{ process, index: 0, formers: [], isBare: true, avoid, reason: 'its task waits' }];
}

/** A stop lingers, since the cf CLI restarts by stop and start: until then nothing changes. */
function settleStopped(board: Board, { appGuid }: DesiredProcess, standings: readonly Standing[]): void {
  if (standings.length === 0) return;
  const sinceMs = board.seen.stopped.get(appGuid)?.sinceMs ?? board.clockMs;
  const endMs = sinceMs + STOP_LINGER_MS;
  board.dueAt(endMs);
  if (board.clockMs < endMs) return;
  for (const standing of standings) withdraw(board, standing, { cause: 'unwanted', reason: 'its app was stopped' });
}

interface Instance {
  process: DesiredProcess;
  index: number;
}

function settleIndex(board: Board, instance: Instance, standings: readonly Standing[]): Demand | null {
  const failed = standings.filter(standing => standing.isCurrent && hasFailed(board, standing));
  const currents = standings.filter(standing => standing.isCurrent && !failed.includes(standing));
  const formers = standings.filter(standing => !standing.isCurrent);
  const best = settleCurrents(board, currents);
  settleFormers(board, formers, best);
  if (best !== null) return null;
  const isBare = currents.length === 0;
  return {
    ...instance,
    formers: formers.filter(({ placement }) => !board.withdrawn.has(placement.guid)),
    isBare,
    avoid: failed[0]?.placement.cellId ?? null,
    reason: reasonOf({ board, instance, isBare, hasFormers: formers.length > 0, hasFailed: failed.length > 0 }),
  };
}

/** Takes back what its agent does not take up. */
function hasFailed(board: Board, standing: Standing): boolean {
  const { placement, copy, isLost } = standing;
  if (isLost || copy !== null || !board.state.fresh) return false;
  const dueMs = (board.seen.untakenSinceMs.get(placement.guid) ?? board.clockMs) + CELL_LIMITS.takeUpMs;
  board.dueAt(dueMs);
  if (board.clockMs < dueMs) return false;
  withdraw(board, standing, { cause: 'failed', reason: 'its agent did not take it up' });
  return true;
}

/** The copy of the current run that stays; null when a new one is needed. */
function settleCurrents(board: Board, currents: readonly Standing[]): Standing | null {
  let best: Standing | null = null;
  for (const standing of currents)
    if (!standing.isLeaving && (best === null || isBetter(standing, best))) best = standing;
  if (best === null) return null;
  const stands = best.isRunning && isProven(board, best);
  for (const other of currents) {
    if (other === best) continue;
    if (other.isRunning && other.copy?.routable ? best.isServing : stands)
      withdraw(board, other, { cause: 'superseded', reason: 'another copy of its index runs' });
    // Not one of a leaving cell: it may be the one that comes back first.
    else if (!other.isRunning && !other.isLeaving)
      withdraw(board, other, { cause: 'useless', reason: 'another copy of its index starts already' });
  }
  return best;
}

function isProven(board: Board, { placement }: Standing): boolean {
  return board.seen.cells.get(placement.cellId)?.isProven === true;
}

/**
 * Of two that serve the newer one stays: its fence is the higher. Of two that do not yet, the one further on; then the older one, which was there
 * before its cell was lost and is taken back.
 */
function isBetter(a: Standing, b: Standing): boolean {
  const [rankA, rankB] = [rank(a), rank(b)];
  if (rankA !== rankB) return rankA < rankB;
  const isNewer = a.placement.generation > b.placement.generation;
  return rankA === 0 ? isNewer : !isNewer;
}

function rank({ isServing, isRunning, copy }: Standing): number {
  if (isServing) return 0;
  if (isRunning) return 1;
  if (copy === null) return 3;
  return copy.state === 'CRASHED' ? 4 : 2;
}

/** Copies of a former run serve until one of the current run does. What does not run is of no use to anybody. */
function settleFormers(board: Board, formers: readonly Standing[], current: Standing | null): void {
  for (const former of formers) {
    if (current?.isServing) withdraw(board, former, { cause: 'superseded', reason: 'the new run serves' });
    else if (!former.isRunning)
      withdraw(board, former, { cause: 'useless', reason: 'of a former run, and not running' });
  }
}

interface Story {
  board: Board;
  instance: Instance;
  isBare: boolean;
  hasFormers: boolean;
  hasFailed: boolean;
}

function reasonOf({ board, instance, isBare, hasFormers, hasFailed }: Story): string {
  if (hasFailed) return 'its last placement failed';
  if (!isBare) return 'its cell is lost, being emptied, or cannot start it';
  if (hasFormers) return 'it is started anew';
  const key = instanceKey({ processGuid: instance.process.guid, index: instance.index });
  return board.generations.has(key) ? 'it is wanted again' : 'it is wanted';
}
