/**
 * What the scheduler decides from, as plain data: desired state, placements, what agents report, cells. Read whole, in one snapshot. `apps/scheduler`
 * fills it from the store, the simulated cluster from its own; nobody else decides what runs where.
 */
import type { CellState, CopyState } from './states.ts';

/** What a placement needs to know of the run spec that a start fixed. */
export interface SpecFacts {
  guid: string;
  memoryMb: number;
  diskMb: number;
  stack: string;
  /** Of the toolchains that staging took from the stack's machine; null: none, any machine with the stack will do. */
  abiKey: string | null;
  /** Isolation segment of its space, or of its organization; null: none. Compared with the cells' own. */
  segment: string | null;
}

export interface DesiredProcess {
  guid: string;
  appGuid: string;
  isStarted: boolean;
  /** When the app was stopped, epoch ms. Compared for equality only: the wait is measured by the scheduler's own clock. */
  stoppedAt: number | null;
  instances: number;
  /** Null before the first start. */
  spec: SpecFacts | null;
  /** Grows with each start or restart of the whole process. */
  startSequence: number;
  /** By index, how often it was restarted alone. */
  indexStarts: Readonly<Record<string, number>>;
  /** Run once, as its only instance: a task that waits for a cell, or that has been on one. Absent: a process. */
  task?: 'PENDING' | 'RUNNING';
}

/** The scheduler's word that a copy shall run on a cell. */
export interface Placement {
  /** The copy's guid. */
  guid: string;
  generation: number;
  processGuid: string;
  appGuid: string;
  index: number;
  runSpecGuid: string;
  /** See {@link sequenceOf}. */
  startSequence: number;
  cellId: string;
  memoryMb: number;
  diskMb: number;
}

/** What its agent says of a copy. */
export interface CopyFacts {
  guid: string;
  processGuid: string;
  index: number;
  generation: number;
  cellId: string;
  state: CopyState;
  attempt: number;
  /** RUNNING and ready: routers send requests to it. */
  routable: boolean;
  placementError: string | null;
  memoryMb: number;
  diskMb: number;
}

export interface CellFacts {
  id: string;
  zone: string;
  /** The isolation segment that it is in; null: it is everybody's. */
  segment: string | null;
  /** As the store says; whether its lease stands is the observer's to know (`observe.ts`). */
  state: CellState;
  /** The operator wants it empty. */
  isDrained: boolean;
  /** New at each start of the agent's process. */
  session: string;
  /** Of the newest heartbeat of this session; null before its first. */
  counter: number | null;
  stacks: ReadonlyArray<{ name: string; abiKey: string }>;
  memoryMb: number;
  diskMb: number;
  copiesMax: number;
}

/** Why a wanted index has no placement, as its user reads it. */
export interface PlacementError {
  processGuid: string;
  index: number;
  reason: string;
}

export interface ClusterState {
  processes: readonly DesiredProcess[];
  placements: readonly Placement[];
  copies: readonly CopyFacts[];
  cells: readonly CellFacts[];
  errors: readonly PlacementError[];
  /** Generations up to this one may have been given away: the store's revision, since each placement moves it. */
  generationFloor: number;
  /** False when the snapshot may be old or not whole: it may start things and stops nothing. */
  fresh: boolean;
}

/** What a placement's `startSequence` must be: grows when the process or this index alone is started anew, and then the crash count begins anew. */
export function sequenceOf(process: DesiredProcess, index: number): number {
  return process.startSequence + (process.indexStarts[String(index)] ?? 0);
}

/** Whether the placement runs what its process wants now; if not it is of a former run. */
export function isCurrent(placement: Placement, process: DesiredProcess): boolean {
  return (
    placement.runSpecGuid === process.spec?.guid && placement.startSequence === sequenceOf(process, placement.index)
  );
}

/** Map key of one instance. */
export function instanceKey({ processGuid, index }: { processGuid: string; index: number }): string {
  return `${processGuid}/${index}`;
}
