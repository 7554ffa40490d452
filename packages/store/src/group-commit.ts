/**
 * One fsync for many writes: the mutations of a moment run one after another in one transaction, a savepoint each, and are answered after its COMMIT.
 * A mutation that fails is undone alone. When the whole group dies (disk full, an error at COMMIT), each mutation is run again in a transaction of its
 * own: so it must be repeatable, and await nothing but the transaction.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Kysely, Transaction } from 'kysely';
import type { ChangeKind, Database } from './schema.ts';
import type { Change, ChangeScope, Mutation } from './store.ts';

/** Larger groups save no more fsyncs worth having and hold the event loop longer (measured: 16 to 32). */
const GROUP_MAX = 32;

interface Job {
  work(mutation: Mutation): Promise<unknown>;
  feeds: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}
interface Outcome {
  job: Job;
  value?: unknown;
  error?: unknown;
  failed: boolean;
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
  /** After each COMMIT that moved the revision. */
  committed(changes: readonly Change[]): void;
}

export function groupCommit({ connection, db, now, committed }: Deps): GroupCommit {
  const waiting: Job[] = [];
  let busy: Promise<void> | null = null;
  let closed = false;
  // Only `work` sees it, and only while the writer's transaction is open.
  const transaction = db as unknown as Transaction<Database>;

  async function runOne(job: Job, at: number, changes: Change[]): Promise<Outcome> {
    connection.exec('savepoint mutation');
    const mine: Omit<Change, 'revision'>[] = [];
    const changed = (kind: ChangeKind, guid: string, scope: ChangeScope = {}): void => {
      mine.push({ kind, guid, organizationGuid: scope.organizationGuid ?? null, spaceGuid: scope.spaceGuid ?? null });
    };
    try {
      const value = await job.work({ db: transaction, now: at, changed });
      connection.exec('release mutation');
      if (job.feeds) for (const change of mine) changes.push({ revision: 0, ...change });
      return { job, value, failed: false };
    } catch (error) {
      if (!connection.isTransaction) throw error; // SQLite has ended the transaction itself: the whole group is undone.
      connection.exec('rollback to mutation; release mutation');
      return { job, error, failed: true };
    }
  }

  async function writeChanges(changes: Change[]): Promise<void> {
    if (changes.length === 0) return;
    const { revision } = await db.selectFrom('counter').select('revision').executeTakeFirstOrThrow();
    let next = revision;
    for (const change of changes) change.revision = ++next;
    for (let from = 0; from < changes.length; from += 500)
      await db
        .insertInto('changes')
        .values(
          changes.slice(from, from + 500).map(change => ({
            revision: change.revision,
            kind: change.kind,
            guid: change.guid,
            organization_guid: change.organizationGuid,
            space_guid: change.spaceGuid,
          })),
        )
        .execute();
    await db.updateTable('counter').set({ revision: next }).execute();
  }

  /** True when committed; false when all of it was undone (the error is in `lastError`). */
  let lastError: unknown;
  async function runGroup(group: Job[]): Promise<boolean> {
    const changes: Change[] = [];
    const outcomes: Outcome[] = [];
    try {
      connection.exec('begin immediate');
      const at = now();
      for (const job of group) outcomes.push(await runOne(job, at, changes));
      await writeChanges(changes);
      connection.exec('commit');
    } catch (error) {
      lastError = error;
      if (connection.isTransaction) connection.exec('rollback');
      return false;
    }
    if (changes.length > 0) committed(changes);
    for (const { job, value, error, failed } of outcomes) failed ? job.reject(error) : job.resolve(value);
    return true;
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, GROUP_MAX);
      if (!(await runGroup(group))) {
        if (group.length === 1) group[0]?.reject(lastError);
        else for (const job of group) if (!(await runGroup([job]))) job.reject(lastError);
      }
      // The driver is synchronous: without a turn of the loop, timers and requests would starve.
      await new Promise(resolve => setImmediate(resolve));
    }
  }

  return {
    run: (work, { feeds }) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('the store is closed'));
        waiting.push({ work, feeds, resolve: resolve as (value: unknown) => void, reject });
        // A turn of the loop gathers what this moment brings.
        busy ??= new Promise<void>(done => setImmediate(done)).then(drain).finally(() => {
          busy = null;
        });
      }),
    close: async () => {
      closed = true;
      while (busy !== null) await busy;
    },
  };
}
