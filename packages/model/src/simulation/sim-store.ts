/** The store of the simulated cluster: the same facts as the tables, each change atomic. Rows are replaced, never changed, so a snapshot is a list of them. */
import {
  type CellFacts,
  type ClusterState,
  type CopyFacts,
  type DesiredProcess,
  instanceKey,
  type Placement,
  type PlacementError,
  type SpecFacts,
} from '../cluster-state.ts';
import type { DeploymentFacts } from '../deployments.ts';
import type { Action } from '../plan.ts';
import type { TaskState } from '../states.ts';

export interface SimCell extends CellFacts {
  /** Sequence of the last report that was applied in this session. */
  reportSequence: number;
}

/** A copy with the end of its task, if it was one's. */
export interface SimCopy extends CopyFacts {
  exitCode: number | null;
}

/** An app that is moved from process to process; the oldest comes first among those of its guid. */
export interface SimDeployment extends Omit<DeploymentFacts, 'deploying' | 'others'> {
  appGuid: string;
  deployingGuid: string;
  /** Of a canary one, from 1. */
  step: number;
}

export interface SimTask {
  guid: string;
  appGuid: string;
  spec: SpecFacts;
  state: TaskState;
  askedAtMs: number;
}

export interface SimReport {
  cellId: string;
  session: string;
  sequence: number;
  copies: readonly SimCopy[];
}

export interface SimStore {
  readonly revision: number;
  readonly leaderFence: number;
  readonly processes: ReadonlyMap<string, DesiredProcess>;
  readonly placements: ReadonlyMap<string, Placement>;
  readonly copies: ReadonlyMap<string, SimCopy>;
  readonly deployments: ReadonlyMap<string, SimDeployment>;
  readonly tasks: ReadonlyMap<string, SimTask>;
  readonly cells: ReadonlyMap<string, SimCell>;
  readonly errors: ReadonlyMap<string, PlacementError>;
  snapshot(): ClusterState;
  takeLead(): number;
  writeProcess(process: DesiredProcess): void;
  deleteProcess(guid: string): void;
  writeDeployment(deployment: SimDeployment): void;
  writeTask(task: SimTask): void;
  register(cell: CellFacts): void;
  heartbeat(cellId: string, beat: { session: string; counter: number }): void;
  /** Idempotent by (session, sequence); a former session's is refused. */
  report(report: SimReport): void;
  /** One action of a plan, as `apply-plan.ts` writes it. */
  write(action: Action): void;
}

export interface Listeners {
  /** Something that wakes the scheduler. */
  changed(): void;
  /** The placements of that cell. */
  placed(cellId: string): void;
}

interface Tables {
  revision: number;
  leaderFence: number;
  processes: Map<string, DesiredProcess>;
  placements: Map<string, Placement>;
  copies: Map<string, SimCopy>;
  deployments: Map<string, SimDeployment>;
  tasks: Map<string, SimTask>;
  cells: Map<string, SimCell>;
  errors: Map<string, PlacementError>;
}

export function openSimStore(listeners: Listeners): SimStore {
  const tables: Tables = {
    revision: 0,
    leaderFence: 0,
    processes: new Map(),
    placements: new Map(),
    copies: new Map(),
    deployments: new Map(),
    tasks: new Map(),
    cells: new Map(),
    errors: new Map(),
  };
  const { processes, cells, deployments } = tables;
  const changed = (): void => {
    tables.revision++;
    listeners.changed();
  };
  return Object.assign(tables, {
    snapshot: () => snapshot(tables),
    takeLead: () => ++tables.leaderFence,
    writeProcess: (process: DesiredProcess) => {
      processes.set(process.guid, process);
      changed();
    },
    deleteProcess: (guid: string) => {
      processes.delete(guid);
      changed();
    },
    writeDeployment: (deployment: SimDeployment) => {
      deployments.set(deployment.appGuid, deployment);
      changed();
    },
    writeTask: (task: SimTask) => {
      tables.tasks.set(task.guid, task);
      changed();
    },
    register: (cell: CellFacts) => {
      cells.set(cell.id, { ...cell, state: cells.get(cell.id)?.state ?? 'ACTIVE', reportSequence: 0 });
      changed();
    },
    heartbeat: (cellId: string, { session, counter }: { session: string; counter: number }) => {
      const cell = cells.get(cellId);
      if (cell?.session === session && counter > (cell.counter ?? 0)) cells.set(cellId, { ...cell, counter });
    },
    report: (report: SimReport) => {
      if (applyReport(tables, report)) changed();
    },
    write: (action: Action) => write(tables, listeners, action),
  });
}

function snapshot({ processes, placements, copies, cells, errors, tasks, revision }: Tables): ClusterState {
  return {
    processes: [...processes.values(), ...[...tasks.values()].flatMap(asProcess)],
    placements: [...placements.values()],
    copies: [...copies.values()],
    cells: [...cells.values()],
    errors: [...errors.values()],
    generationFloor: revision,
    fresh: true,
  };
}

/** As `read-state.ts` shows it to the scheduler; one that has ended wants nothing any more. */
function asProcess({ guid, appGuid, spec, state }: SimTask): DesiredProcess[] {
  if (state === 'SUCCEEDED' || state === 'FAILED') return [];
  const isStarted = state !== 'CANCELING';
  const task = state === 'PENDING' ? 'PENDING' : 'RUNNING';
  const once = { instances: 1, startSequence: 1, indexStarts: {}, stoppedAt: null };
  return [{ guid, appGuid, isStarted, spec, task, ...once }];
}

/** False for one that was applied before, or is of a former session. */
function applyReport({ cells, copies }: Tables, { cellId, session, sequence, copies: reported }: SimReport): boolean {
  const cell = cells.get(cellId);
  if (cell?.session !== session || sequence <= cell.reportSequence) return false;
  cells.set(cellId, { ...cell, reportSequence: sequence });
  for (const copy of reported)
    if (copy.state === 'GONE') copies.delete(copy.guid);
    else copies.set(copy.guid, copy);
  return true;
}

/** The scheduler's own writes do not wake it. */
function write(tables: Tables, listeners: Listeners, action: Action): void {
  const { placements, errors, cells } = tables;
  tables.revision++;
  if (action.do === 'place') {
    const { do: _do, reason: _reason, ...facts } = action;
    const guid = `copy-${tables.revision}`;
    placements.set(guid, { guid, ...facts });
    listeners.placed(action.cellId);
  } else if (action.do === 'withdraw') {
    const placement = placements.get(action.placementGuid);
    if (placement === undefined) throw new Error(`${action.placementGuid} is not placed`);
    placements.delete(placement.guid);
    listeners.placed(placement.cellId);
  } else if (action.do === 'explain') errors.set(instanceKey(action), action);
  else if (action.do === 'clear') errors.delete(instanceKey(action));
  else {
    const cell = cells.get(action.cellId);
    if (cell?.session === action.session) cells.set(action.cellId, { ...cell, state: action.cellState });
  }
}
