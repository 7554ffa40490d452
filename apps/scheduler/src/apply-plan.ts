/** Writes a plan: in one transaction under the leader's fence, and of it only what still holds there. The scheduler alone writes these tables. */
import { randomUUID } from 'node:crypto';
import type { ClusterState } from '@cupola/model/cluster-state';
import type { Action, Explain, Mark, Place } from '@cupola/model/plan';
import { stillHolding } from '@cupola/model/still-holds';
import type { Mutation, Store } from '@cupola/store/store';
import type { Leadership } from './leadership.ts';
import { readState } from './read-state.ts';

/** Longer plans are written in parts, so that no transaction keeps requests waiting. */
const PART_MAX = 200;
/** Guids of instances are shorter than others, as Diego makes them and CF's API shows them (`instance_guid`): programs know them by that form. */
const INSTANCE_GUID_LENGTH = 28;

interface Decision {
  decidedFrom: ClusterState;
  /** What `decidedFrom` left out of what was read is left out again. */
  view(read: ClusterState): ClusterState;
  actions: readonly Action[];
  /** Since `decidedFrom` was read, by a monotonic clock. */
  ageMs(): number;
}

/** Those that were written; the others are for the next pass to decide anew. @throws FencedError under another leader. */
export async function applyPlan(
  { store, leadership }: { store: Store; leadership: Leadership },
  decision: Decision,
): Promise<Action[]> {
  const { actions } = decision;
  const written: Action[] = [];
  for (let from = 0; from < actions.length; from += PART_MAX) {
    const part = { ...decision, actions: actions.slice(from, from + PART_MAX) };
    written.push(...(await store.mutate(mutation => writePart(mutation, leadership, part))));
  }
  return written;
}

async function writePart(
  mutation: Mutation,
  leadership: Leadership,
  { decidedFrom, view, actions, ageMs }: Decision,
): Promise<Action[]> {
  await leadership.check(mutation.db);
  const holding = stillHolding(
    { before: decidedFrom, now: view(await readState(mutation.db)), ageMs: ageMs() },
    actions,
  );
  for (const action of holding) await write(mutation, action);
  return holding;
}

async function write(mutation: Mutation, action: Action): Promise<void> {
  switch (action.do) {
    case 'place':
      return writePlacement(mutation, action);
    case 'withdraw':
      return removePlacement(mutation, action.placementGuid);
    case 'explain':
      return writeError(mutation, action);
    case 'clear': {
      const { processGuid, index } = action;
      await mutation.db
        .deleteFrom('placement_errors')
        .where('process_guid', '=', processGuid)
        .where('index_number', '=', index)
        .execute();
      return mutation.changed('placement_error', processGuid);
    }
    case 'mark':
      return markCell(mutation, action);
  }
}

async function writePlacement({ db, now, changed }: Mutation, place: Place): Promise<void> {
  const home = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.space_guid', 'spaces.organization_guid'])
    .where('apps.guid', '=', place.appGuid)
    .executeTakeFirstOrThrow();
  const guid = randomUUID().slice(0, INSTANCE_GUID_LENGTH);
  await db
    .insertInto('placements')
    .values({
      guid,
      generation: place.generation,
      process_guid: place.processGuid,
      app_guid: place.appGuid,
      ...home,
      index_number: place.index,
      run_spec_guid: place.runSpecGuid,
      start_sequence: place.startSequence,
      cell_id: place.cellId,
      memory_mb: place.memoryMb,
      disk_mb: place.diskMb,
      placed_at: now,
    })
    .execute();
  changed('placement', guid, { organizationGuid: home.organization_guid, spaceGuid: home.space_guid });
}

/** Its agent's watch says so, and the copy stops gracefully. */
async function removePlacement({ db, changed }: Mutation, guid: string): Promise<void> {
  const removed = await db
    .deleteFrom('placements')
    .where('guid', '=', guid)
    .returning(['space_guid', 'organization_guid'])
    .executeTakeFirstOrThrow();
  changed('placement', guid, { organizationGuid: removed.organization_guid, spaceGuid: removed.space_guid });
}

async function writeError({ db, now, changed }: Mutation, { processGuid, index, reason }: Explain): Promise<void> {
  await db
    .insertInto('placement_errors')
    .values({ process_guid: processGuid, index_number: index, reason, since: now })
    .onConflict(conflict => conflict.columns(['process_guid', 'index_number']).doUpdateSet({ reason }))
    .execute();
  changed('placement_error', processGuid);
}

async function markCell({ db, now, changed }: Mutation, { cellId, session, cellState }: Mark): Promise<void> {
  await db
    .updateTable('cells')
    .set({ state: cellState, lost_at: cellState === 'LOST' ? now : null })
    .where('cell_id', '=', cellId)
    .where('session', '=', session)
    .execute();
  changed('cell', cellId);
}
