/** The store on SQLite: one writer connection (group commit), one read-only connection, both in this process. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { backup, type DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { DamagedStoreError } from './errors.ts';
import { CHANGES_KEPT, compaction, createSubscribers } from './feed.ts';
import { type GroupCommit, groupCommit } from './group-commit.ts';
import { migrate } from './migrate.ts';
import type { Database } from './schema.ts';
import { asStoreError, nodeSqliteDialect, openConnection } from './sqlite-driver.ts';
import type { Store } from './store.ts';
import { storeOver } from './store-over.ts';
import type { Writer } from './writer.ts';

/** More than any store has: a backup in one step. */
const ALL_PAGES = 2 ** 31 - 1;
/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGE_CODES = [11, 26];

export interface SqliteOptions {
  /** File; its folder must exist. One process at a time opens it. */
  path: string;
  /** Epoch ms. */
  now?: () => number;
  changesKept?: number;
  /** False: what was committed survives the end of every process, but not that of the machine, and costs no fsync. For tests. */
  isSynced?: boolean;
}

/** Opens, checks (after an unclean stop), migrates. Throws NewerSchemaError or DamagedStoreError, and then has changed nothing. */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const { path, now = Date.now, changesKept = CHANGES_KEPT, isSynced = true } = options;
  const { connection, write } = await openChecked(path);
  if (!isSynced) connection.exec('pragma synchronous = off');
  const read = new Kysely<Database>({ dialect: nodeSqliteDialect(openConnection(path, { readOnly: true })) });
  const { subscribe, tell } = createSubscribers();
  const compact = compaction(changesKept, () => commits);
  const commits: GroupCommit = groupCommit({
    writer: sqliteWriter(connection, write),
    now,
    committed: changes => {
      tell(changes);
      compact(changes.at(-1)?.revision ?? 0);
    },
  });
  return storeOver({
    read,
    commits,
    subscribe,
    end: async () => {
      // The writer last: the last connection to close takes the -wal file away, by which the next start knows a clean stop.
      await read.destroy();
      await write.destroy();
    },
  });
}

/** BEGIN IMMEDIATE is the counter's lock here. */
function sqliteWriter(connection: DatabaseSync, db: Kysely<Database>): Writer {
  return {
    db,
    begin: async () => connection.exec('begin immediate'),
    revision: async () => (await db.selectFrom('counter').select('revision').executeTakeFirstOrThrow()).revision,
    savepoint: async () => connection.exec('savepoint mutation'),
    release: async () => connection.exec('release mutation'),
    rollbackToSavepoint: async () => connection.exec('rollback to mutation; release mutation'),
    isOpen: () => connection.isTransaction,
    commit: async revision => {
      if (revision !== null) await db.updateTable('counter').set({ revision }).execute();
      connection.exec('commit');
    },
    rollback: async () => {
      try {
        if (connection.isTransaction) connection.exec('rollback');
      } catch {
        // A connection that cannot even roll back refuses the next BEGIN and says why.
      }
    },
    asError: asStoreError,
    isPassing: () => false,
  };
}

async function openChecked(path: string): Promise<{ connection: DatabaseSync; write: Kysely<Database> }> {
  const stoppedCleanly = (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0;
  let connection: DatabaseSync | undefined;
  try {
    connection = openConnection(path, { readOnly: false });
    if (!stoppedCleanly) checkIntegrity(path, connection);
    const write = new Kysely<Database>({ dialect: nodeSqliteDialect(connection) });
    await migrate(write as unknown as Kysely<unknown>);
    return { connection, write };
  } catch (error) {
    connection?.close();
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
