/**
 * What became of each instance that is wanted, for `stats` and `process_instances`. Pure: snapshot in, list out. Only copies of the run spec that the last
 * start fixed count: a CRASHED of the former run would make the cf CLI give up a restart at once, and a RUNNING of it would be a lie. RUNNING only when
 * the copy's own cell says so.
 */
import { describeExit } from '@cupola/contract/causes';
import type { ExitReport } from '@cupola/contract/internal';
import type { CopyState, InstanceState } from '@cupola/model/states';

export interface ProcessFacts {
  guid: string;
  instances: number;
  /** The app's desired state. */
  isStarted: boolean;
  run_spec_guid: string | null;
  planned_at: number | null;
}
export interface PlacementFacts {
  guid: string;
  process_guid: string;
  index_number: number;
  run_spec_guid: string;
  placed_at: number;
}
export interface CopyFacts {
  guid: string;
  process_guid: string;
  state: CopyState;
  host: string | null;
  port: number | null;
  routable: 0 | 1;
  restart_at: number | null;
  since: number;
  exit_json: string | null;
  placement_error: string | null;
  cell_id: string;
}
export interface ErrorFacts {
  process_guid: string;
  index_number: number;
  reason: string;
  since: number;
}

export interface Instance<Copy extends CopyFacts = CopyFacts> {
  index: number;
  state: InstanceState;
  /** Epoch ms; null when unknown. */
  since: number | null;
  /** Of a copy that runs; else null. */
  routable: boolean | null;
  /** For its user: why it is not placed, why it cannot be started, or why it crashed. */
  details: string | null;
  copy: Copy | null;
}

export interface Snapshot<Copy extends CopyFacts = CopyFacts> {
  placements: readonly PlacementFacts[];
  copies: readonly Copy[];
  errors: readonly ErrorFacts[];
}

/** Of two copies for one index (a move under way) the one that serves best is shown. */
const BEST_FIRST: readonly InstanceState[] = ['RUNNING', 'STARTING', 'CRASHED', 'DOWN'];

/** One entry for each wanted index, in order. A stopped app's are all DOWN, as in CF. */
export function readInstances<Copy extends CopyFacts>(
  process: ProcessFacts,
  snapshot: Snapshot<Copy>,
  now: number,
): Instance<Copy>[] {
  const copies = new Map(snapshot.copies.map(copy => [copy.guid, copy]));
  const placed = new Map<number, Instance<Copy>>();
  const errors = new Map<number, ErrorFacts>();
  if (process.isStarted) {
    for (const placement of snapshot.placements) {
      if (placement.process_guid !== process.guid || placement.run_spec_guid !== process.run_spec_guid) continue;
      const instance = readPlaced(placement, copies.get(placement.guid) ?? null, now);
      const other = placed.get(placement.index_number);
      if (other === undefined || rank(instance) < rank(other)) placed.set(placement.index_number, instance);
    }
    for (const error of snapshot.errors) if (error.process_guid === process.guid) errors.set(error.index_number, error);
  }
  return Array.from({ length: process.instances }, (_, index) => {
    const error = errors.get(index);
    const since = error?.since ?? (process.isStarted ? process.planned_at : null);
    return placed.get(index) ?? down(index, { since, details: error?.reason ?? null });
  });
}

const rank = ({ state }: Instance): number => BEST_FIRST.indexOf(state);

function down(index: number, { since, details }: { since: number | null; details: string | null }): Instance<never> {
  return { index, state: 'DOWN', since, routable: null, details, copy: null };
}

function readPlaced<Copy extends CopyFacts>(placement: PlacementFacts, copy: Copy | null, now: number): Instance<Copy> {
  const index = placement.index_number;
  if (copy === null)
    return { index, state: 'STARTING', since: placement.placed_at, routable: null, details: null, copy: null };
  switch (copy.state) {
    case 'RUNNING':
      return { index, state: 'RUNNING', since: copy.since, routable: copy.routable === 1, details: null, copy };
    case 'STARTING':
      return {
        index,
        state: 'STARTING',
        since: copy.since,
        routable: null,
        details: copy.placement_error ?? exitText(copy),
        copy,
      };
    case 'CRASHED':
      return readCrashed(index, copy, now);
    case 'STOPPING':
    case 'GONE':
      return down(index, { since: copy.since, details: copy.placement_error });
  }
}

/** The first two crashes are restarted at once: CF shows those as starting, and CRASHED only while the crash table waits, or has given up. */
function readCrashed<Copy extends CopyFacts>(index: number, copy: Copy, now: number): Instance<Copy> {
  const isDue = copy.restart_at !== null && copy.restart_at <= now;
  return {
    index,
    state: isDue ? 'STARTING' : 'CRASHED',
    since: copy.since,
    routable: null,
    details: copy.placement_error ?? exitText(copy),
    copy,
  };
}

/** Of its last end: why it is started again, or is not. Null when it has never ended. */
function exitText({ exit_json }: CopyFacts): string | null {
  if (exit_json === null) return null;
  const { reason = '', cause } = JSON.parse(exit_json) as Partial<ExitReport>;
  return reason === '' ? null : describeExit(cause === undefined ? { reason } : { reason, cause });
}
