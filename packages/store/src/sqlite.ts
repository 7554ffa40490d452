/** The store on SQLite: one writer connection (group commit), one read-only connection, both in this process. */
import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { backup, type DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { DamagedStoreError } from './errors.ts';
import { type GroupCommit, groupCommit } from './group-commit.ts';
import { migrate } from './migrate.ts';
import type { ChangeKind, Database } from './schema.ts';
import { nodeSqliteDialect, openConnection } from './sqlite-driver.ts';
import type { Change, Cursor, Store } from './store.ts';

/** So many changes are kept for watchers that were away (an hour at 28 writes a second, ours); older cursors list again. */
const CHANGES_KEPT = 100_000;
/** More than any store has: a backup in one step. */
const ALL_PAGES = 2 ** 31 - 1;
/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGE_CODES = [11, 26];

export interface SqliteStore extends Store {
  /** A consistent copy of the store in the new file `path`, durable when it resolves; the store is in use meanwhile. */
  backupTo(path: string): Promise<void>;
  /** After a restore: every cursor lists again. */
  newEpoch(): Promise<void>;
}

export interface SqliteOptions {
  /** File; its folder must exist. One process at a time opens it. */
  path: string;
  /** Epoch ms. */
  now?: () => number;
  changesKept?: number;
}

/** Opens, checks (after an unclean stop), migrates. Throws NewerSchemaError or DamagedStoreError, and then has changed nothing. */
export async function openSqliteStore(options: SqliteOptions): Promise<SqliteStore> {
  const { path, now = Date.now, changesKept = CHANGES_KEPT } = options;
  const { writer, write } = await openChecked(path);
  const read = new Kysely<Database>({ dialect: nodeSqliteDialect(openConnection(path, { readOnly: true })) });
  const feed = changeFeed(changesKept);
  const commits = groupCommit({ connection: writer, db: write, now, committed: feed.tell });
  feed.compactWith(commits);
  const close = async (): Promise<void> => {
    await commits.close();
    // The writer last: the last connection to close takes the -wal file away, by which the next start knows a clean stop.
    await read.destroy();
    await write.destroy();
  };
  let closing: Promise<void> | undefined;
  return {
    read,
    mutate: work => commits.run(work, { feeds: true }),
    note: work => commits.run(work, { feeds: false }),
    cursor: () => read.selectFrom('counter').select(['epoch', 'revision']).executeTakeFirstOrThrow(),
    changesAfter: (after, limit) => changesAfter(read, after, limit),
    subscribe: feed.subscribe,
    backupTo: target => backupTo(path, target),
    newEpoch: () =>
      commits.run(async ({ db }) => void (await db.updateTable('counter').set({ epoch: randomUUID() }).execute()), {
        feeds: false,
      }),
    close: () => (closing ??= close()),
  };
}

async function openChecked(path: string): Promise<{ writer: DatabaseSync; write: Kysely<Database> }> {
  const stoppedCleanly = (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0;
  let writer: DatabaseSync | undefined;
  try {
    writer = openConnection(path, { readOnly: false });
    if (!stoppedCleanly) checkIntegrity(path, writer);
    const write = new Kysely<Database>({ dialect: nodeSqliteDialect(writer) });
    await migrate(write as unknown as Kysely<unknown>);
    return { writer, write };
  } catch (error) {
    writer?.close();
    const { errcode, message } = error as { errcode?: number; message: string };
    if (errcode !== undefined && DAMAGE_CODES.includes(errcode & 0xff))
      throw new DamagedStoreError(path, message, { cause: error });
    throw error;
  }
}

/** failure-rules.md section 8. Reads the whole file: some 10 ms a MB. */
function checkIntegrity(path: string, connection: DatabaseSync): void {
  const { integrity_check: found } = connection.prepare('pragma integrity_check(1)').get() as {
    integrity_check: string;
  };
  if (found !== 'ok') throw new DamagedStoreError(path, found);
}

/** Tells subscribers of commits, and now and then removes the oldest changes. */
function changeFeed(kept: number) {
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const compactEvery = Math.ceil(kept / 10);
  let compactedAt = 0;
  let commits: GroupCommit | undefined;

  function compact(newest: number): void {
    if (commits === undefined || newest - compactedAt < compactEvery) return;
    compactedAt = newest;
    const oldest = newest - kept;
    const work = commits.run(({ db }) => db.deleteFrom('changes').where('revision', '<=', oldest).execute(), {
      feeds: false,
    });
    work.catch(() => undefined); // A closed store or a full disk: the next one removes these too.
  }

  return {
    compactWith: (writer: GroupCommit) => {
      commits = writer;
    },
    subscribe: (listener: (changes: readonly Change[]) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell: (changes: readonly Change[]) => {
      for (const listener of listeners)
        try {
          listener(changes);
        } catch (error) {
          // A listener's bug is no reason to leave others, or the writers, without an answer. It ends the process as any uncaught error does.
          queueMicrotask(() => {
            throw error;
          });
        }
      compact(changes.at(-1)?.revision ?? 0);
    },
  };
}

/** One statement, so one snapshot: the cursor is judged by the counter that its rows were committed with. */
async function changesAfter(read: Kysely<Database>, after: Cursor, limit: number): Promise<Change[] | null> {
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

/**
 * A consistent copy of the store in the file `path`, durable when it resolves; it may be in use meanwhile, by this process or another. By a connection of its
 * own: the writer's would copy what is not committed. All pages in one step, since a commit between two steps begins it anew.
 */
export async function backupTo(path: string, target: string): Promise<void> {
  const source = openConnection(path, { readOnly: true });
  const part = `${target}.part`;
  try {
    await backup(source, part, { rate: ALL_PAGES });
    syncPath(part);
    renameSync(part, target);
    syncPath(dirname(target));
  } finally {
    source.close();
    rmSync(part, { force: true });
  }
}

function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
