/**
 * One fsync for many writes: the mutations of a moment run one after another in one transaction, a savepoint each, and are answered after its COMMIT.
 * A mutation that fails is undone alone. When the whole group dies (disk full, an error at COMMIT), each mutation is run again in a transaction of its
 * own: so it must be repeatable, and await nothing but the transaction.
 *
 * Each change has a revision of its own, in the order of the mutations: a reader that takes `limit` changes can go on anywhere.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { DatabaseSync } from 'node:sqlite';
import type { Kysely, Transaction } from 'kysely';
import type { ChangeKind, Database } from './schema.ts';
import { asStoreError } from './sqlite-driver.ts';
import type { Change, ChangeScope, Mutation } from './store.ts';

/** Larger groups save no more fsyncs worth having and hold the event loop longer (16 to 32 measured, toolchain.md). */
const GROUP_MAX = 32;
/** Rows of one INSERT: five parameters each stay far below SQLite's 32,766. */
const CHANGES_PER_INSERT = 500;

interface Job {
  work(mutation: Mutation): Promise<unknown>;
  feeds: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}
type Outcome = { job: Job } & ({ value: unknown } | { error: unknown });
/** Why nothing of a group was written, and whether its mutations may do better one by one. */
interface Undone {
  error: unknown;
  retryAlone: boolean;
}

export interface GroupCommit {
  run<T>(work: (mutation: Mutation) => Promise<T>, options: { feeds: boolean }): Promise<T>;
  /** Resolves once nothing is under way. No new work is taken. */
  close(): Promise<void>;
}

interface Deps {
  connection: DatabaseSync;
  db: Kysely<Database>;
  now(): number;
  /** After each COMMIT that moved the revision. Must not throw. */
  committed(changes: readonly Change[]): void;
}

/** The writer of a store: all that writes goes through it, one group at a time. */
export function groupCommit({ connection, db, now, committed }: Deps): GroupCommit {
  const waiting: Job[] = [];
  let draining: Promise<void> | null = null;
  let closed = false;
  /** The newest group held several: more are about to come. */
  let isBusy = false;
  const inMutation = new AsyncLocalStorage<true>();

  async function runGroup(group: readonly Job[]): Promise<Undone | null> {
    try {
      connection.exec('begin immediate');
    } catch (error) {
      // Another process holds the file, or it is gone: each of the group would wait as long again.
      return { error: asStoreError(error), retryAlone: false };
    }
    const changes: Change[] = [];
    const outcomes: Outcome[] = [];
    try {
      const at = now();
      for (const job of group)
        outcomes.push(await inMutation.run(true, () => runOne({ connection, db, at, changes }, job)));
      await writeChanges(db, changes);
      connection.exec('commit');
    } catch (error) {
      rollBack(connection);
      return { error: asStoreError(error), retryAlone: group.length > 1 };
    }
    for (const outcome of outcomes)
      'error' in outcome ? outcome.job.reject(outcome.error) : outcome.job.resolve(outcome.value);
    if (changes.length > 0) committed(changes);
    return null;
  }

  async function settle(group: readonly Job[]): Promise<void> {
    const undone = await runGroup(group);
    // The driver is synchronous: without a turn of the loop, timers and requests would starve.
    await new Promise(resolve => setImmediate(resolve));
    if (undone === null) return;
    for (const job of group) undone.retryAlone ? await settle([job]) : job.reject(undone.error);
  }

  async function drain(): Promise<void> {
    // Where several came together, a turn of the loop gathers what this moment brings. Who comes alone waits for nobody: what comes meanwhile is the next group.
    await (isBusy ? new Promise(resolve => setImmediate(resolve)) : null);
    while (waiting.length > 0) {
      const group = waiting.splice(0, GROUP_MAX);
      isBusy = group.length > 1;
      await settle(group);
    }
    // In the same step as the last look at `waiting`: what comes later begins a new drain.
    draining = null;
  }

  return {
    run: (work, { feeds }) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('the store is closed'));
        if (inMutation.getStore())
          return reject(new Error('a mutation inside a mutation would wait for itself: use the `db` it was given'));
        waiting.push({ work, feeds, resolve: resolve as (value: unknown) => void, reject });
        draining ??= drain();
      }),
    close: async () => {
      closed = true;
      while (draining !== null) await draining;
    },
  };
}

function rollBack(connection: DatabaseSync): void {
  try {
    if (connection.isTransaction) connection.exec('rollback');
  } catch {
    // The error that led here is answered; a connection that cannot even roll back refuses the next BEGIN and says why.
  }
}

interface Group {
  connection: DatabaseSync;
  db: Kysely<Database>;
  at: number;
  changes: Change[];
}

/** Throws only when SQLite itself has ended the transaction. */
async function runOne({ connection, db, at, changes }: Group, job: Job): Promise<Outcome> {
  connection.exec('savepoint mutation');
  const mine: Change[] = [];
  const changed = (kind: ChangeKind, guid: string, scope: ChangeScope = {}): void => {
    const { organizationGuid = null, spaceGuid = null } = scope;
    mine.push({ revision: 0, kind, guid, organizationGuid, spaceGuid });
  };
  try {
    // To its user it is a transaction: it is open for as long as `work` runs.
    const value = await job.work({ db: db as unknown as Transaction<Database>, now: at, changed });
    connection.exec('release mutation');
    if (job.feeds) changes.push(...mine);
    return { job, value };
  } catch (error) {
    if (!connection.isTransaction) throw error;
    connection.exec('rollback to mutation; release mutation');
    return { job, error };
  }
}

/** Gives the changes their revisions. BEGIN IMMEDIATE is the counter's lock here; PostgreSQL's adapter locks the row first. */
async function writeChanges(db: Kysely<Database>, changes: Change[]): Promise<void> {
  if (changes.length === 0) return;
  const { revision } = await db.selectFrom('counter').select('revision').executeTakeFirstOrThrow();
  for (const [index, change] of changes.entries()) change.revision = revision + index + 1;
  for (let from = 0; from < changes.length; from += CHANGES_PER_INSERT)
    await db
      .insertInto('changes')
      .values(
        changes.slice(from, from + CHANGES_PER_INSERT).map(change => ({
          revision: change.revision,
          kind: change.kind,
          guid: change.guid,
          organization_guid: change.organizationGuid,
          space_guid: change.spaceGuid,
        })),
      )
      .execute();
  await db
    .updateTable('counter')
    .set({ revision: revision + changes.length })
    .execute();
}
