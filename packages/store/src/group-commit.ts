/**
 * One fsync for many writes: the mutations of a moment run one after another in one transaction, and are answered after its COMMIT. A mutation that fails is
 * undone alone: the group is rolled back and run again with a savepoint each, which would cost all others two statements more for one of their own. When the
 * whole group dies (disk full, an error at COMMIT), each mutation is run again in a transaction of its own: so it must be repeatable, and await nothing but
 * the transaction.
 *
 * Each change has a revision of its own, in the order of the mutations: a reader that takes `limit` changes can go on anywhere.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Transaction } from 'kysely';
import { StoreUnavailableError, UnknownOutcomeError } from './errors.ts';
import type { ChangeKind, Database } from './schema.ts';
import type { Change, ChangeScope, Mutation } from './store.ts';
import type { Writer } from './writer.ts';

/** Larger groups save no more fsyncs worth having and hold the event loop longer (16 to 32 measured, toolchain.md). */
const GROUP_MAX = 32;
/** ms. Who has waited for the writes before his for so long is told to come again: they hang (a synchronous standby that is gone, a disk that does not answer). */
const WAIT_MAX_MS = 10_000;
/** ms. */
const LOOK_MS = 1_000;
/** Rows of one INSERT: five parameters each stay far below SQLite's 32,766 and PostgreSQL's 65,535. */
const CHANGES_PER_INSERT = 500;

interface Job {
  work(mutation: Mutation): Promise<unknown>;
  feeds: boolean;
  since: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}
type Outcome = { job: Job } & ({ value: unknown } | { error: unknown });
/** Why nothing of a group was written, and how it is tried again. */
interface Undone {
  error: unknown;
  retry: 'with savepoints' | 'one by one' | 'once more' | 'never';
}

/** How a group is run. */
interface Run {
  /** Its connection was lost before. */
  isAgain: boolean;
  /** One of it failed before. */
  hasSavepoints: boolean;
}

export interface GroupCommit {
  run<T>(work: (mutation: Mutation) => Promise<T>, options: { feeds: boolean }): Promise<T>;
  /** Resolves once nothing is under way. No new work is taken. */
  close(): Promise<void>;
}

interface Deps {
  writer: Writer;
  now(): number;
  /** After each COMMIT that moved the revision. Must not throw. */
  committed(changes: readonly Change[]): void;
}

/** All that writes to a store goes through it, one group at a time. */
export function groupCommit({ writer, now, committed }: Deps): GroupCommit {
  const waiting: Job[] = [];
  let draining: Promise<void> | null = null;
  let closed = false;
  /** The newest group held several: more are about to come. */
  let isBusy = false;
  let isLooking = false;
  const inMutation = new AsyncLocalStorage<true>();

  async function runGroup(group: readonly Job[], hasSavepoints: boolean): Promise<Undone | null> {
    try {
      await writer.begin();
    } catch (error) {
      // Another process holds the store, or it is gone: each of the group would wait as long again.
      return { error: writer.asError(error), retry: writer.isPassing(error) ? 'once more' : 'never' };
    }
    const isAlone = group.length === 1;
    const changes: Change[] = [];
    const outcomes: Outcome[] = [];
    try {
      const at = now();
      for (const job of group) {
        const outcome = await inMutation.run(true, () => runOne({ writer, at, changes, hasSavepoints }, job));
        outcomes.push(outcome);
        if (hasSavepoints || !('error' in outcome)) continue;
        await writer.rollback();
        if (!isAlone) return { error: outcome.error, retry: 'with savepoints' };
      }
      if (hasSavepoints || outcomes.every(outcome => 'value' in outcome)) await commit(writer, changes);
    } catch (error) {
      await writer.rollback();
      return { error: writer.asError(error), retry: retryOf(error, isAlone) };
    }
    for (const outcome of outcomes)
      'error' in outcome ? outcome.job.reject(outcome.error) : outcome.job.resolve(outcome.value);
    if (changes.length > 0) committed(changes);
    return null;
  }

  function retryOf(error: unknown, isAlone: boolean): Undone['retry'] {
    if (error instanceof UnknownOutcomeError) return 'never';
    if (writer.isPassing(error)) return 'once more';
    return isAlone ? 'never' : 'one by one';
  }

  async function settle(group: readonly Job[], run: Run = { isAgain: false, hasSavepoints: false }): Promise<void> {
    const undone = await runGroup(group, run.hasSavepoints);
    // An engine in this process is synchronous: without a turn of the loop, timers and requests would starve.
    await new Promise(resolve => setImmediate(resolve));
    if (undone === null) return;
    if (undone.retry === 'with savepoints') return await settle(group, { ...run, hasSavepoints: true });
    if (undone.retry === 'once more' && !run.isAgain) return await settle(group, { ...run, isAgain: true });
    for (const job of group) undone.retry === 'one by one' ? await settle([job]) : job.reject(undone.error);
  }

  /** While anybody waits, now and then: a timer for each would cost each write a microsecond. */
  function lookAtWaiting(): void {
    if (isLooking) return;
    isLooking = true;
    setTimeout(() => {
      isLooking = false;
      const latest = performance.now() - WAIT_MAX_MS;
      while (waiting[0] !== undefined && waiting[0].since < latest)
        waiting.shift()?.reject(new StoreUnavailableError({ cause: new Error('the writes before it hang') }));
      if (waiting.length > 0) lookAtWaiting();
    }, LOOK_MS).unref();
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
        waiting.push({ work, feeds, since: performance.now(), resolve: resolve as (value: unknown) => void, reject });
        draining ??= drain();
        lookAtWaiting();
      }),
    close: async () => {
      closed = true;
      while (draining !== null) await draining;
    },
  };
}

interface Group {
  writer: Writer;
  at: number;
  changes: Change[];
  hasSavepoints: boolean;
}

/** Throws only when the engine itself has ended the transaction. Without savepoints, what failed is undone with all before it. */
async function runOne({ writer, at, changes, hasSavepoints }: Group, job: Job): Promise<Outcome> {
  if (hasSavepoints) await writer.savepoint();
  const mine: Change[] = [];
  const changed = (kind: ChangeKind, guid: string, scope: ChangeScope = {}): void => {
    const { organizationGuid = null, spaceGuid = null } = scope;
    mine.push({ revision: 0, kind, guid, organizationGuid, spaceGuid });
  };
  try {
    // To its user it is a transaction: it is open for as long as `work` runs.
    const value = await job.work({ db: writer.db as unknown as Transaction<Database>, now: at, changed });
    if (hasSavepoints) await writer.release();
    if (job.feeds) changes.push(...mine);
    return { job, value };
  } catch (error) {
    if (!writer.isOpen()) throw error;
    if (hasSavepoints) await writer.rollbackToSavepoint();
    return { job, error };
  }
}

/** Gives the changes their revisions. */
async function commit(writer: Writer, changes: Change[]): Promise<void> {
  if (changes.length === 0) return await writer.commit(null);
  const revision = await writer.revision();
  for (const [index, change] of changes.entries()) change.revision = revision + index + 1;
  for (let from = 0; from < changes.length; from += CHANGES_PER_INSERT)
    await writer.db
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
  await writer.commit(revision + changes.length);
}
