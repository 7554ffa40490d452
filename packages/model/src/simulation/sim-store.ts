/** The store of the simulated cluster: the same facts as the tables, each change atomic. Rows are replaced, never changed, so a snapshot is a list of them. */
import {
  type CellFacts,
  type ClusterState,
  type CopyFacts,
  type DesiredProcess,
  instanceKey,
  type Placement,
  type PlacementError,
} from '../cluster-state.ts';
import type { Action, Place } from '../plan.ts';

export interface SimCell extends CellFacts {
  /** Sequence of the last report that was applied in this session. */
  reportSequence: number;
}

export interface SimReport {
  cellId: string;
  session: string;
  sequence: number;
  copies: readonly CopyFacts[];
}

export interface SimStore {
  readonly revision: number;
  readonly leaderFence: number;
  readonly processes: ReadonlyMap<string, DesiredProcess>;
  readonly placements: ReadonlyMap<string, Placement>;
  readonly copies: ReadonlyMap<string, CopyFacts>;
  readonly cells: ReadonlyMap<string, SimCell>;
  readonly errors: ReadonlyMap<string, PlacementError>;
  snapshot(): ClusterState;
  takeLead(): number;
  writeProcess(process: DesiredProcess): void;
  deleteProcess(guid: string): void;
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

export function openSimStore(listeners: Listeners): SimStore {
  const processes = new Map<string, DesiredProcess>();
  const placements = new Map<string, Placement>();
  const copies = new Map<string, CopyFacts>();
  const cells = new Map<string, SimCell>();
  const errors = new Map<string, PlacementError>();
  let revision = 0;
  let leaderFence = 0;

  function changed(): void {
    revision++;
    listeners.changed();
  }

  function writePlacement(place: Place): void {
    const { do: _do, reason: _reason, ...facts } = place;
    revision++;
    const guid = `copy-${revision}`;
    placements.set(guid, { guid, ...facts });
    listeners.placed(place.cellId);
  }

  function removePlacement(guid: string): void {
    const placement = placements.get(guid);
    if (placement === undefined) throw new Error(`${guid} is not placed`);
    revision++;
    placements.delete(guid);
    listeners.placed(placement.cellId);
  }

  return {
    get revision() {
      return revision;
    },
    get leaderFence() {
      return leaderFence;
    },
    processes,
    placements,
    copies,
    cells,
    errors,
    snapshot: () => ({
      processes: [...processes.values()],
      placements: [...placements.values()],
      copies: [...copies.values()],
      cells: [...cells.values()],
      errors: [...errors.values()],
      generationFloor: revision,
      fresh: true,
    }),
    takeLead: () => ++leaderFence,
    writeProcess: process => {
      processes.set(process.guid, process);
      changed();
    },
    deleteProcess: guid => {
      processes.delete(guid);
      changed();
    },
    register: cell => {
      cells.set(cell.id, { ...cell, state: cells.get(cell.id)?.state ?? 'ACTIVE', reportSequence: 0 });
      changed();
    },
    heartbeat: (cellId, { session, counter }) => {
      const cell = cells.get(cellId);
      if (cell?.session === session && counter > (cell.counter ?? 0)) cells.set(cellId, { ...cell, counter });
    },
    report: ({ cellId, session, sequence, copies: reported }) => {
      const cell = cells.get(cellId);
      if (cell?.session !== session || sequence <= cell.reportSequence) return;
      cells.set(cellId, { ...cell, reportSequence: sequence });
      for (const copy of reported)
        if (copy.state === 'GONE') copies.delete(copy.guid);
        else copies.set(copy.guid, copy);
      changed();
    },
    write: action => {
      switch (action.do) {
        case 'place':
          return writePlacement(action);
        case 'withdraw':
          return removePlacement(action.placementGuid);
        case 'explain':
          return void errors.set(instanceKey(action), action);
        case 'clear':
          return void errors.delete(instanceKey(action));
        case 'mark': {
          const cell = cells.get(action.cellId);
          if (cell?.session === action.session) cells.set(action.cellId, { ...cell, state: action.cellState });
        }
      }
    },
  };
}
