import type { Kysely, Transaction } from 'kysely';
import type { ChangeKind, Database } from './schema.ts';

/** Where a change belongs, for watchers that may see some organizations or spaces only. */
export interface ChangeScope {
  organizationGuid?: string | null;
  spaceGuid?: string | null;
}

/** What a mutation works with. It may run more than once (its group was rolled back): it awaits nothing but `db`, and keeps no effects elsewhere. */
export interface Mutation {
  db: Transaction<Database>;
  /** One time for all that the mutation writes, epoch ms. */
  now: number;
  /** Puts a change on the feed, committed with the mutation's rows; each change has a revision of its own. */
  changed(kind: ChangeKind, guid: string, scope?: ChangeScope): void;
}

export interface Change {
  revision: number;
  kind: ChangeKind;
  guid: string;
  organizationGuid: string | null;
  spaceGuid: string | null;
}

/** Position in the feed. The epoch is new after a restore, a migration or a failover; a cursor of another epoch lists again. */
export interface Cursor {
  epoch: string;
  revision: number;
}

/** Null: what has changed is not known any more (the feed was compacted while this process was cut off, or the epoch is new); look at everything. */
export type Listener = (changes: readonly Change[] | null) => void;

/** The truth. One adapter for each engine; one contract test. */
export interface Store {
  /** Reads, on a connection of their own: they see what is committed. */
  readonly read: Kysely<Database>;
  /**
   * Runs `work` in a group with the other mutations of the moment, a savepoint each; resolves after the commit is on disk. What `work` throws undoes
   * this mutation alone and is thrown here. Order: the revision a later call gets is greater.
   */
  mutate<T>(work: (mutation: Mutation) => Promise<T>): Promise<T>;
  /** Like `mutate`, without a revision and without the feed: heartbeats, usage, login counters. */
  note<T>(work: (mutation: Pick<Mutation, 'db' | 'now'>) => Promise<T>): Promise<T>;
  /** The newest committed position. */
  cursor(): Promise<Cursor>;
  /** Changes after `after`, in order, at most `limit`; null when the cursor is unknown or compacted away: list again. */
  changesAfter(after: Cursor, limit: number): Promise<Change[] | null>;
  /** Called after each commit that moved the revision, by whichever process, with the changes in order. A wake-up only; returns how to stop. */
  subscribe(listener: Listener): () => void;
  /** Ends every cursor: after a restore, whose revisions are given again. */
  newEpoch(): Promise<void>;
  close(): Promise<void>;
}
