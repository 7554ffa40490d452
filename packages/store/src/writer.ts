import type { Kysely } from 'kysely';
import type { Database } from './schema.ts';

/** What the group commit needs of an engine: one connection that writes, one transaction at a time. */
export interface Writer {
  /** Its queries run in the open transaction. */
  readonly db: Kysely<Database>;
  /** Opens a transaction in which nobody else, of whichever process, writes: so the order of commits is the order of revisions. */
  begin(): Promise<void>;
  /** The newest revision, as the open transaction sees it. */
  revision(): Promise<number>;
  savepoint(): Promise<void>;
  release(): Promise<void>;
  rollbackToSavepoint(): Promise<void>;
  /** False once the engine itself has ended the transaction. */
  isOpen(): boolean;
  /** `revision`: the new value of the counter; null leaves it. Resolves when it is on disk. */
  commit(revision: number | null): Promise<void>;
  /** Throws never: the error that led here is the one to answer, and what cannot be rolled back ends with its connection. */
  rollback(): Promise<void>;
  /** Gives what callers tell apart a type. */
  asError(error: unknown): unknown;
  /** Nothing was written, and the same may do well in a moment: a connection that was lost, a deadlock. */
  isPassing(error: unknown): boolean;
}
