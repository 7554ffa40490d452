/**
 * Kysely's own SQLite dialect over `node:sqlite`: the little that differs from better-sqlite3, for which Kysely's driver was written. Statements are
 * cached by their text; unique violations become typed errors.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type Dialect, SqliteDialect } from 'kysely';
import { UniqueViolationError } from './errors.ts';

/** SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE (sqlite.org/rescode.html). */
const UNIQUE_CODES = [1555, 2067];
const STATEMENTS_MAX = 500;

interface Prepared {
  reader: boolean;
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

/** Opens a connection as this store needs it: WAL, FULL (an acknowledged write survives power loss), 5 s of patience. */
export function openConnection(path: string, { readOnly }: { readOnly: boolean }): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly, timeout: 5_000 });
  db.exec(
    readOnly
      ? 'pragma query_only = on'
      : 'pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma wal_autocheckpoint = 2000',
  );
  return db;
}

/** A Kysely dialect over an open connection. Closing Kysely closes it. */
export function nodeSqliteDialect(db: DatabaseSync): Dialect {
  const statements = new Map<string, Prepared>();
  const prepare = (sql: string): Prepared => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    // Lists of changing length make ever new texts: the oldest goes.
    if (statements.size >= STATEMENTS_MAX) statements.delete(statements.keys().next().value ?? '');
    const made = wrap(db.prepare(sql));
    statements.set(sql, made);
    return made;
  };
  return new SqliteDialect({ database: { prepare, close: () => db.close() } });
}

function wrap(statement: StatementSync): Prepared {
  const reader = statement.columns().length > 0;
  const typed = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      throw asUniqueViolation(error);
    }
  };
  // Kysely hands over what our own code bound: integers, text, null (schema.ts has no other types).
  const values = (parameters: readonly unknown[]): SQLInputValue[] => parameters as SQLInputValue[];
  return {
    reader,
    all: parameters => typed(() => statement.all(...values(parameters))),
    run: parameters => typed(() => statement.run(...values(parameters))),
    iterate: parameters => statement.iterate(...values(parameters)) as IterableIterator<unknown>,
  };
}

/** `UNIQUE constraint failed: index 'apps_space_guid_name'`, or `UNIQUE constraint failed: apps.guid`. */
function asUniqueViolation(error: unknown): unknown {
  const { errcode, message } = error as { errcode?: number; message?: string };
  if (errcode === undefined || !UNIQUE_CODES.includes(errcode)) return error;
  const named = /index '([^']+)'/.exec(message ?? '')?.[1];
  const columns = (message ?? '').replace(/^.*failed: /, '').split(', ');
  const table = columns[0]?.split('.')[0] ?? '';
  return new UniqueViolationError(named ?? `${table}_${columns.map(column => column.split('.')[1]).join('_')}`, {
    cause: error,
  });
}
