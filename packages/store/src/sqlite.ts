/** The store on SQLite: one writer connection (group commit), one read-only connection, both in this process. */
import { randomUUID } from 'node:crypto';
import { backup } from 'node:sqlite';
import { Kysely } from 'kysely';
import { groupCommit } from './group-commit.ts';
import { migrate } from './migrate.ts';
import type { ChangeKind, Database } from './schema.ts';
import { nodeSqliteDialect, openConnection } from './sqlite-driver.ts';
import type { Change, Cursor, Store } from './store.ts';

/** So many changes are kept for watchers that were away; older cursors list again. */
const CHANGES_KEPT = 100_000;
/** Compaction runs once in so many revisions, not at each. */
const COMPACT_EVERY = 10_000;

export interface SqliteStore extends Store {
  /** A consistent copy of the store in a new file, while it is in use. */
  backupTo(path: string): Promise<void>;
  /** After a restore: every cursor lists again. */
  newEpoch(): Promise<void>;
}

export interface SqliteOptions {
  /** File; its folder must exist. */
  path: string;
  /** Epoch ms. */
  now?: () => number;
}

/** Opens, checks (after an unclean stop), migrates. Throws NewerSchemaError, or an error that names what the integrity check found. */
export async function openSqliteStore({ path, now = Date.now }: SqliteOptions): Promise<SqliteStore> {
  const writer = openConnection(path, { readOnly: false });
  const write = new Kysely<Database>({ dialect: nodeSqliteDialect(writer) });
  await migrate(write as unknown as Kysely<unknown>);
  const check = writer.prepare('pragma quick_check(1)').get() as { quick_check: string };
  if (check.quick_check !== 'ok') throw new Error(`${path} is damaged: ${check.quick_check}. Restore a backup.`);
  writer
    .prepare('insert into counter (id, epoch, revision) select 1, ?, 0 where not exists (select 1 from counter)')
    .run(randomUUID());
  const read = new Kysely<Database>({ dialect: nodeSqliteDialect(openConnection(path, { readOnly: true })) });

  const listeners = new Set<(changes: readonly Change[]) => void>();
  let compactedAt = 0;
  const commits = groupCommit({
    connection: writer,
    db: write,
    now,
    committed: changes => {
      for (const listener of listeners) listener(changes);
      const newest = changes.at(-1)?.revision ?? 0;
      if (newest - compactedAt < COMPACT_EVERY) return;
      compactedAt = newest;
      void commits
        .run(
          ({ db }) =>
            db
              .deleteFrom('changes')
              .where('revision', '<=', newest - CHANGES_KEPT)
              .execute(),
          { feeds: false },
        )
        .catch(() => undefined); // The next one compacts too.
    },
  });

  const cursor = (): Promise<Cursor> =>
    read.selectFrom('counter').select(['epoch', 'revision']).executeTakeFirstOrThrow();
  return {
    read,
    mutate: work => commits.run(work, { feeds: true }),
    note: work => commits.run(work, { feeds: false }),
    cursor,
    changesAfter: (after, limit) => changesAfter(read, after, limit),
    subscribe: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    backupTo: async target => {
      await backup(writer, target);
    },
    newEpoch: () =>
      commits.run(async ({ db }) => void (await db.updateTable('counter').set({ epoch: randomUUID() }).execute()), {
        feeds: false,
      }),
    close: async () => {
      await commits.close();
      await read.destroy();
      await write.destroy();
    },
  };
}

/** One read transaction is not needed: rows are never changed, only the oldest removed, and the oldest kept is looked at afterwards. */
async function changesAfter(read: Kysely<Database>, after: Cursor, limit: number): Promise<Change[] | null> {
  const counter = await read.selectFrom('counter').select(['epoch', 'revision']).executeTakeFirstOrThrow();
  if (counter.epoch !== after.epoch || after.revision > counter.revision) return null;
  const rows = await read
    .selectFrom('changes')
    .selectAll()
    .where('revision', '>', after.revision)
    .orderBy('revision')
    .limit(limit)
    .execute();
  const first = rows[0];
  // Revisions have no gaps: if the next one is not there, it was compacted away.
  if (first === undefined ? after.revision < counter.revision : first.revision !== after.revision + 1) return null;
  return rows.map(row => ({
    revision: row.revision,
    kind: row.kind as ChangeKind,
    guid: row.guid,
    organizationGuid: row.organization_guid,
    spaceGuid: row.space_guid,
  }));
}
