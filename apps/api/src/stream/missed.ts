/** What those who come back have missed: read once for all who come at the same moment, as after a restart. */
import type { Change, Cursor, Store } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { parseCursor } from './cursor.ts';
import type { Frame } from './frames.ts';

/** Who was away for longer lists again, which is then cheaper. */
const MISSED_MAX = 2_000;

export interface Missed {
  /** By the cursor that was brought: the revision, if all that came after it is known. */
  from: ReadonlyMap<string, number>;
  frames: readonly Frame[];
  /** Whether what this actor may see may have changed after a revision. */
  hasOtherRights(actor: Actor, revision: number): boolean;
}

interface Deps {
  store: Pick<Store, 'changesAfter' | 'read'>;
  framesFor(changes: readonly Change[], epoch: string): Promise<Frame[]>;
}

/** @param cursor up to where. */
export async function readMissed(
  { store, framesFor }: Deps,
  sinces: readonly string[],
  cursor: Cursor,
): Promise<Missed> {
  const from = new Map<string, number>();
  for (const since of sinces) {
    const place = parseCursor(since);
    if (place === null || place.epoch !== cursor.epoch) continue;
    const { revision } = place;
    if (revision <= cursor.revision && cursor.revision - revision <= MISSED_MAX) from.set(since, revision);
  }
  const oldest = Math.min(...from.values());
  const nothing: Missed = { from, frames: [], hasOtherRights: () => false };
  if (from.size === 0 || oldest === cursor.revision) return nothing;
  const changes = await store.changesAfter({ epoch: cursor.epoch, revision: oldest }, cursor.revision - oldest);
  // Let go of meanwhile, or another epoch: all of them list again.
  if (changes === null) return { ...nothing, from: new Map() };
  const rights = await readRights(store, changes);
  return {
    from,
    frames: await framesFor(changes, cursor.epoch),
    hasOtherRights: (actor, revision) =>
      rights.some(change => change.revision > revision && (change.of === undefined || change.of === actor.guid)),
  };
}

/** Whether what somebody may see may be another thing after it. */
export const concernsRights = ({ kind }: Change): boolean => kind === 'role' || kind === 'user';

/** Changes of rights, and whose; undefined of a role that is gone: it may have been anybody's. */
async function readRights({ read }: Deps['store'], changes: readonly Change[]) {
  const guids = changes.filter(({ kind }) => kind === 'role').map(({ guid }) => guid);
  const rows = await inChunks([...new Set(guids)], some =>
    read.selectFrom('roles').select(['guid', 'user_guid']).where('guid', 'in', some).execute(),
  );
  const owners = new Map(rows.map(({ guid, user_guid }) => [guid, user_guid]));
  return changes
    .filter(concernsRights)
    .map(({ kind, guid, revision }) => ({ revision, of: kind === 'user' ? guid : owners.get(guid) }));
}
