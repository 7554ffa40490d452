/** What PostgreSQL and the way to it answer, as our own errors (codes: its manual, appendix A). */
import pg from 'pg';
import { StoreFullError, StoreUnavailableError, UniqueViolationError } from '../errors.ts';

const UNIQUE_VIOLATION = '23505';
const DISK_FULL = '53100';
/**
 * Connection exceptions, rolled back for others' sake (deadlock), out of connections, shut down or starting, and our own limits of time: for a transaction
 * that stands idle (25P03), a lock (55P03), a statement (57014). 25006: after a switch of the primary, this server only reads.
 */
const PASSING = /^(08...|40...|53300|57P..|25P03|55P03|57014|25006)$/;
/** With these the connection is gone or of no use. */
const ENDS_CONNECTION = /^(08...|57P..|25P03|25006)$/;

/** Node's errors have codes too; only the server's have a severity. */
function sqlState(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/** An error that no server answered: refused, reset, timed out. What was asked may have been done. */
export function isLost(error: unknown): boolean {
  const state = sqlState(error);
  return state === null ? isOfConnection(error) : ENDS_CONNECTION.test(state);
}

/** The answer did not come. In doubt, what a COMMIT did has to be asked. */
function isOfConnection(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  if (code !== undefined && /^E[A-Z_]+$/.test(code)) return true;
  return /^(Connection terminated|Query read timeout|timeout expired|timeout exceeded|Client (was closed|has encountered))/.test(
    message,
  );
}

export function isPassing(error: unknown): boolean {
  const state = sqlState(error);
  return state === null ? isLost(error) : PASSING.test(state);
}

/** Gives what callers tell apart a type; anything else comes back as it is. */
export function asStoreError(error: unknown): unknown {
  const state = sqlState(error);
  if (state === UNIQUE_VIOLATION) return uniqueViolation(error as pg.DatabaseError);
  if (state === DISK_FULL) return new StoreFullError({ cause: error });
  return isPassing(error) ? new StoreUnavailableError({ cause: error }) : error;
}

/** `Key (space_guid, lower(name))=(...) already exists.`: named for table and columns, as SQLite's are; names of constraints are cut at 63 characters. */
function uniqueViolation(error: pg.DatabaseError): UniqueViolationError {
  const columns = /^Key \((.*?)\)=\(/.exec(error.detail ?? '')?.[1] ?? '';
  const words = columns.replace(/\b(lower|coalesce)\b|''::text|''|::text/g, '').match(/[a-z_0-9]+/g) ?? [];
  const named = words.length === 0 ? (error.constraint ?? 'unknown') : [error.table, ...words].join('_');
  return new UniqueViolationError(named, { cause: error });
}
