/** One copy on this cell: its durable record, and what only this process knows of it. All changes go through `change`, so that disk and API hear of them. */
import type { CopyReport, PlacementItem } from '@cupola/contract/internal';
import type { KnownCopy } from '@cupola/model/cell-plan';
import type { RunSpec } from '@cupola/model/run-spec';
import type { RunningSandbox } from '@cupola/sandbox/sandbox';
import type { LogSource } from '../logs/log-sender.ts';
import type { Output } from '../logs/output.ts';
import type { CopyRecord } from './record.ts';

export interface StopOrder {
  /** Between leaving the routes and SIGTERM. */
  routePauseMs: number;
}

export interface Copy {
  record: CopyRecord;
  sandbox: RunningSandbox | null;
  output: Output | null;
  /** The three are monotonic; null where its phase has no such time. */
  startAtMs: number | null;
  startingSinceMs: number | null;
  runningSinceMs: number | null;
  /** Aborted, with a {@link StopOrder} as the reason, when what runs shall end. A new one for each start. */
  stopping: AbortController;
  /** Resolves when nothing is done with it any more. */
  life: Promise<void>;
}

/** A copy that is to be started as soon as there is room. */
export function newCopy(placement: PlacementItem, times: { nowMs: number; monotonicMs: number }): Copy {
  return aroundRecord(
    {
      placement,
      phase: 'waiting',
      state: 'STARTING',
      sinceMs: times.nowMs,
      attempt: 0,
      crashCount: 0,
      errors: 0,
      placementError: null,
      startAtMs: times.nowMs,
      exit: null,
      routable: false,
      launch: null,
    },
    times.monotonicMs,
  );
}

export function aroundRecord(record: CopyRecord, startAtMs: number | null): Copy {
  return {
    record,
    sandbox: null,
    output: null,
    startAtMs,
    startingSinceMs: null,
    runningSinceMs: null,
    stopping: new AbortController(),
    life: Promise.resolve(),
  };
}

/** As the decision sees it. */
export function knownCopy({ record, startAtMs, startingSinceMs }: Copy): KnownCopy {
  const { guid, generation, startSequence } = record.placement;
  return { guid, generation, startSequence, phase: record.phase, startAtMs, startingSinceMs };
}

/** As the API hears of it. */
export function reportOf({ record }: Copy): CopyReport {
  const { placement, state, launch } = record;
  const { runSpec } = placement;
  const listens = (state === 'RUNNING' || state === 'STOPPING') && launch !== null;
  return {
    guid: placement.guid,
    generation: placement.generation,
    processGuid: runSpec.processGuid,
    appGuid: runSpec.appGuid,
    index: placement.index,
    runSpecGuid: runSpec.guid,
    state,
    attempt: record.attempt,
    address: listens ? { host: launch.address.host, port: launch.address.port } : null,
    routable: listens && record.routable,
    crashCount: record.crashCount,
    restartAtMs: state === 'CRASHED' && record.startAtMs !== null ? Math.floor(record.startAtMs) : null,
    sinceMs: Math.floor(record.sinceMs),
    exit: record.exit,
    placementError: record.placementError,
    ...(record.appliedChange === undefined ? {} : { appliedChange: record.appliedChange }),
  };
}

/** Where a copy's own lines come from, as CF names it. */
export function appSource({ taskName, processType }: RunSpec): string {
  return taskName === undefined ? `APP/PROC/${processType.toUpperCase()}` : `APP/TASK/${taskName}`;
}

/** `APP/PROC/WEB` of its index, or another source of the platform's own about it. */
export function logSource({ record }: Copy, sourceType: 'APP' | 'CELL' | 'HEALTH'): LogSource {
  const { runSpec, index } = record.placement;
  return {
    appGuid: runSpec.appGuid,
    sourceType: sourceType === 'APP' ? appSource(runSpec) : sourceType,
    instanceId: String(index),
  };
}
