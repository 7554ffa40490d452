/** The change feed, the part that all engines share: reading changes after a cursor, telling subscribers, letting the oldest go. */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { GroupCommit } from './group-commit.ts';
import type { ChangeKind, Database } from './schema.ts';
import type { Change, Cursor, Listener } from './store.ts';

/** So many changes are kept for watchers that were away (an hour at 28 writes a second, ours); older cursors list again. */
export const CHANGES_KEPT = 100_000;

export interface Subscribers {
  subscribe(listener: Listener): () => void;
  tell(changes: readonly Change[] | null): void;
}

export function createSubscribers(): Subscribers {
  const listeners = new Set<Listener>();
  return {
    subscribe: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell: changes => {
      for (const listener of listeners)
        try {
          listener(changes);
        } catch (error) {
          // A listener's bug is no reason to leave others, or the writers, without an answer. It ends the process as any uncaught error does.
          queueMicrotask(() => {
            throw error;
          });
        }
    },
  };
}

/** Now and then removes the oldest changes. To be called after each commit, with the newest revision. */
export function compaction(kept: number, commits: () => GroupCommit): (newest: number) => void {
  const every = Math.ceil(kept / 10);
  let compactedAt = 0;
  return newest => {
    if (newest - compactedAt < every) return;
    compactedAt = newest;
    const oldest = newest - kept;
    const work = commits().run(({ db }) => db.deleteFrom('changes').where('revision', '<=', oldest).execute(), {
      feeds: false,
    });
    work.catch(() => undefined); // A closed store or a full disk: the next one removes these too.
  };
}

export function readCursor(read: Kysely<Database>): Promise<Cursor> {
  return read.selectFrom('counter').select(['epoch', 'revision']).executeTakeFirstOrThrow();
}

/** One statement, so one snapshot: the cursor is judged by the counter that its rows were committed with. */
export async function changesAfter(read: Kysely<Database>, after: Cursor, limit: number): Promise<Change[] | null> {
  const rows = await read
    .selectFrom('counter')
    .leftJoin('changes', join => join.on('changes.revision', '>', after.revision))
    .select([
      'counter.epoch',
      'counter.revision as newest',
      'changes.revision',
      'changes.kind',
      'changes.guid',
      'changes.organization_guid',
      'changes.space_guid',
    ])
    .orderBy('changes.revision')
    .limit(limit)
    .execute();
  const first = rows[0];
  if (first === undefined || first.epoch !== after.epoch || after.revision > first.newest) return null;
  if (after.revision === first.newest) return [];
  // Revisions have no gaps: if the next one is not there, it was compacted away.
  if (first.revision !== after.revision + 1) return null;
  return rows.map(row => ({
    revision: Number(row.revision),
    kind: row.kind as ChangeKind,
    guid: String(row.guid),
    organizationGuid: row.organization_guid,
    spaceGuid: row.space_guid,
  }));
}

/** An engine may have its own mark behind an `@`. */
export function newEpoch(commits: GroupCommit): Promise<void> {
  return commits.run(
    async ({ db }) => {
      const { epoch } = await db.selectFrom('counter').select('epoch').executeTakeFirstOrThrow();
      const mark = /@.*$/.exec(epoch)?.[0] ?? '';
      await db
        .updateTable('counter')
        .set({ epoch: `${randomUUID()}${mark}` })
        .execute();
    },
    { feeds: false },
  );
}
