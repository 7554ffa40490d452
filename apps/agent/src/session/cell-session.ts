/**
 * Makes the cell known and keeps its lease (failure-rules.md section 3): registers, then bumps a counter every 5 s, every 1 s while the API does not answer.
 * A lease lost is no reason to stop anything. A 409 is the end: a newer agent holds this cell, and two must not work on the same copies.
 */
import { type CellRegistration, cellHeard, cellRegistered, type RungReport } from '@cupola/contract/internal';
import { FencedError } from '@cupola/model/errors';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { Logger } from 'pino';
import { backoff, pause } from '../pause.ts';
import type { Usage } from '../usage.ts';
import { type InternalApi, RefusedByApiError } from './internal-api.ts';

/** This machine, as the scheduler counts with it. */
export interface Cell {
  id: string;
  name: string;
  zone: string;
  capacityMemoryMb: number;
  capacityDiskMb: number;
  /** The isolation segment that it is in; absent: it is everybody's. */
  segment?: string;
  /** Where other machines reach what runs here; absent: they do not. */
  forward?: { host: string; port: number };
}

export type CellStack = CellRegistration['stacks'][number] & {
  /** Folder of its root filesystem; null: the machine itself. */
  root: string | null;
};

interface Deps {
  api: InternalApi;
  cell: Cell;
  /** New at each start of the agent. */
  session: string;
  stacks(): readonly CellStack[];
  rung: RungReport;
  usage: Pick<Usage, 'newest'>;
  /** After each registration: whatever the API knew before may be gone. */
  registered(): void;
  /** After each heartbeat that the API took. @param removed members that are not to be heard any more. */
  heard(removed: readonly string[]): void;
  log: Logger;
}

/** A store error is retried this often (CF). */
const HEARTBEAT_RETRY_MS = 1_000;
/**
 * An API that freezes right after a beat is found out by the next one, 5.5 s later at most; then this long and a second of the timer's own, the pause, and the
 * second that a dial gives it (`apiConnector`): another API has heard us before the lease of 15 s is over (ours).
 */
const HEARTBEAT_SILENCE_MS = 3_000;

/** Runs until `signal` is aborted. @throws FencedError when a newer session took over. */
export async function keepSession(deps: Deps, signal: AbortSignal): Promise<void> {
  const { api, cell, session, usage, log } = deps;
  let counter = 0;
  let failing = false;
  let offered = await register(deps, signal);
  while (!signal.aborted) {
    try {
      const beat = { session, counter: ++counter, usage: usage.newest() };
      const answer = await api.post(`/internal/cells/${cell.id}/heartbeat`, beat, { silenceMs: HEARTBEAT_SILENCE_MS });
      const { removed } = cellHeard.parse(answer);
      deps.heard(removed);
      if (failing) log.info('the API hears this cell again');
      failing = false;
      if (JSON.stringify(offeredBy(deps)) !== offered) offered = await register(deps, signal);
    } catch (error) {
      if (error instanceof FencedError) throw error;
      if (signal.aborted) return;
      if (!failing) log.warn({ err: error }, 'the API does not hear this cell; its instances go on');
      failing = true;
      // The store was restored to a time before us, or replaced.
      if (error instanceof RefusedByApiError && error.status === 404) offered = await register(deps, signal);
    }
    await pause(failing ? HEARTBEAT_RETRY_MS : CELL_LIMITS.heartbeatMs, signal);
  }
}

/** As it is told. */
function offeredBy({ stacks }: Deps): CellRegistration['stacks'] {
  return stacks().map(({ root: _, ...stack }) => stack);
}

/** Returns what it has registered with, as text. */
async function register(deps: Deps, signal: AbortSignal): Promise<string> {
  const { api, cell, session, rung, log } = deps;
  const stacks = offeredBy(deps);
  const registration: CellRegistration = {
    cellId: cell.id,
    session,
    name: cell.name,
    zone: cell.zone,
    stacks,
    rung,
    capacity: { memoryMb: cell.capacityMemoryMb, diskMb: cell.capacityDiskMb, copies: CELL_LIMITS.copiesMax },
    ...(cell.segment === undefined ? {} : { segment: cell.segment }),
    ...(cell.forward === undefined ? {} : { forward: cell.forward }),
  };
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const { fence } = cellRegistered.parse(await api.post('/internal/cells', registration));
      log.info({ cell: cell.id, fence, rung: rung.rung }, 'cell registered');
      deps.registered();
      return JSON.stringify(stacks);
    } catch (error) {
      if (error instanceof FencedError) throw error;
      if (failures === 0) log.warn({ err: error }, 'the API does not take this cell yet');
      await pause(backoff(failures), signal);
    }
  }
  return ''; // It ends.
}
