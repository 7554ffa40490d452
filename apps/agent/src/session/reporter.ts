/**
 * Tells the API what is so about the copies. A report carries a copy whole, as it is when the report is made, so a lost answer, a repeat or a delay does no
 * harm; what is said of a copy that is gone is kept until it has been heard. One report at a time, the next as soon as something has changed.
 *
 * That a start has begun is no news to anybody: the placement says as much to users and scheduler. So a copy that is only STARTING is told of a little later,
 * and a quick start takes one report, whose commit, scheduler's pass and views do not compete with the app's own boot.
 *
 * A crash is told even when its copy has been started again before the report is made: the user's events come from it. It stands before the copy's present.
 */
import type { CellReport, CopyReport } from '@cupola/contract/internal';
import { FencedError } from '@cupola/model/errors';
import type { Logger } from 'pino';
import { backoff, pause } from '../pause.ts';
import type { InternalApi } from './internal-api.ts';

interface Deps {
  api: InternalApi;
  cellId: string;
  session: string;
  /** What is so now; null when nothing is left of the copy. */
  reportOf(guid: string): CopyReport | null;
  all(): string[];
  log: Logger;
}

export interface Reporter {
  /** Something about this copy has changed. */
  touch(guid: string): void;
  /** What must be heard of, even if the copy is something else by then. */
  crashed(report: CopyReport): void;
  /** The last word on a copy that is being forgotten. */
  gone(report: CopyReport): void;
  /** Says everything again: the API may have lost it, or be another one. */
  touchAll(): void;
  /** Sends until `signal` is aborted. @throws FencedError when a newer session took over. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once all that has been touched so far was acknowledged, or after `ms`. */
  settled(ms: number): Promise<void>;
}

/** Copies in one report: 250 with long last lines are some 500 kB. */
const BATCH_MAX = 250;
/** A start that takes longer is worth a report of its own (ours: a small app is healthy before it). */
const FIRST_WORD_MS = 250;
/** Crashes that wait while the API is away; beyond it the oldest are left out (ours: by the table 250 copies need hours for so many). */
const CRASHES_MAX = 1_000;

export function createReporter({ api, cellId, session, reportOf, all, log }: Deps): Reporter {
  const changed = new Set<string>();
  const farewells = new Map<string, CopyReport>();
  let crashes: CopyReport[] = [];
  let sequence = 0;
  const bell = createBell();
  let quiet = Promise.withResolvers<void>();

  const touch = (guid: string): void => {
    changed.add(guid);
    if (isOnlyStarting(reportOf(guid))) bell.soon();
    else bell.now();
  };
  const send = async (): Promise<void> => {
    const guids = [...new Set([...farewells.keys(), ...changed])].slice(0, BATCH_MAX);
    const said = new Map(farewells);
    for (const guid of guids) changed.delete(guid);
    // A copy that came back under its guid says more than its farewell.
    const present = guids.flatMap(guid => reportOf(guid) ?? said.get(guid) ?? []);
    const told = crashes.slice(0, BATCH_MAX);
    const past = told.filter(crash => !present.some(copy => isSame(copy, crash)));
    const copies = [...past, ...present];
    const report: CellReport = { session, sequence: ++sequence, copies };
    try {
      if (copies.length > 0) await api.post(`/internal/cells/${cellId}/reports`, report);
    } catch (error) {
      for (const guid of guids) changed.add(guid);
      throw error;
    }
    crashes = crashes.filter(crash => !told.includes(crash));
    for (const guid of guids) if (farewells.get(guid) === said.get(guid)) farewells.delete(guid);
  };

  return {
    touch,
    crashed: report => {
      crashes = [...crashes, report].slice(-CRASHES_MAX);
      changed.add(report.guid);
      bell.now();
    },
    gone: report => {
      farewells.set(report.guid, report);
      bell.now();
    },
    touchAll: () => {
      for (const guid of all()) changed.add(guid);
      bell.now();
    },
    run: async signal => {
      signal.addEventListener('abort', bell.now);
      for (let failures = 0; !signal.aborted; ) {
        if (changed.size + farewells.size === 0) {
          quiet.resolve();
          await bell.rung();
          quiet = Promise.withResolvers();
          await bell.gathered(signal);
          continue;
        }
        try {
          await send();
          failures = 0;
        } catch (error) {
          if (error instanceof FencedError) throw error;
          if (failures === 0 && !signal.aborted) log.warn({ err: error }, 'a report waits: the API does not take it');
          await pause(backoff(failures++), signal);
        }
      }
    },
    settled: async ms => {
      const enough = new AbortController();
      await new Promise(resolve => setImmediate(resolve));
      await Promise.race([quiet.promise, pause(ms, enough.signal)]);
      enough.abort();
    },
  };
}

interface Bell {
  /** There is something to tell. */
  now(): void;
  /** The same, of what can wait a little for more. */
  soon(): void;
  /** Resolves when there is something. */
  rung(): Promise<void>;
  /** Whatever changes in the same moment goes into the same report; what can wait alone waits its time. */
  gathered(signal: AbortSignal): Promise<void>;
}

function createBell(): Bell {
  let wake = Promise.withResolvers<void>();
  let isUrgent = false;
  const rung = async (): Promise<void> => {
    await wake.promise;
    wake = Promise.withResolvers();
  };
  const now = (): void => {
    isUrgent = true;
    wake.resolve();
  };
  return {
    now,
    soon: () => wake.resolve(),
    rung,
    gathered: async signal => {
      await new Promise(resolve => setImmediate(resolve));
      const enough = new AbortController();
      void pause(FIRST_WORD_MS, AbortSignal.any([signal, enough.signal])).then(() => {
        if (!enough.signal.aborted) now();
      });
      while (!isUrgent) await rung();
      enough.abort();
      isUrgent = false;
    },
  };
}

function isOnlyStarting(report: CopyReport | null): boolean {
  return report?.state === 'STARTING' && report.placementError === null;
}

function isSame(a: CopyReport, b: CopyReport): boolean {
  return a.guid === b.guid && a.generation === b.generation && a.attempt === b.attempt && a.sinceMs === b.sinceMs;
}
