/**
 * Kysely's dialect over `node:sqlite`. Kysely's own SQLite driver was written for better-sqlite3; here is the little that differs: statements cached by
 * their text, booleans bound as 0 and 1, DDL in transactions (a start killed half-way through a migration leaves nothing), errors with a type.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type Dialect, SqliteAdapter, SqliteDriver, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import { StoreFullError, UniqueViolationError } from './errors.ts';

/** SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE (sqlite.org/rescode.html). */
const UNIQUE_CODES = [1555, 2067];
/** SQLITE_FULL, the low byte of the code. */
const FULL_CODE = 13;
/** Lists of changing length make ever new texts; our own queries are some 300. */
const STATEMENTS_MAX = 500;
/** A second process that holds the file (a former part that still ends, a backup) gets this long (failure-rules.md section 8). */
const BUSY_TIMEOUT_MS = 5_000;

interface Prepared {
  reader: boolean;
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

/** Opens a connection as this store needs it: WAL, FULL (an acknowledged write survives power loss; `fullfsync` is macOS' real fsync). */
export function openConnection(path: string, { readOnly }: { readOnly: boolean }): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly, timeout: BUSY_TIMEOUT_MS });
  try {
    db.exec(
      readOnly
        ? 'pragma query_only = on'
        : `pragma journal_mode = wal; pragma synchronous = full; pragma fullfsync = on; pragma foreign_keys = on;
           pragma wal_autocheckpoint = 2000`,
    );
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** SQLite runs DDL in transactions; Kysely's adapter leaves it out. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** A Kysely dialect over an open connection. Destroying the Kysely closes it. */
export function nodeSqliteDialect(db: DatabaseSync): Dialect {
  const statements = new Map<string, Prepared>();
  const prepare = (sql: string): Prepared => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    if (statements.size >= STATEMENTS_MAX) statements.delete(statements.keys().next().value ?? '');
    const made = prepareTyped(db, sql);
    statements.set(sql, made);
    return made;
  };
  return {
    createAdapter: () => new TransactionalSqliteAdapter(),
    createDriver: () => new SqliteDriver({ database: { prepare, close: () => db.close() } }),
    createIntrospector: kysely => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function prepareTyped(db: DatabaseSync, sql: string): Prepared {
  const typed = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      throw asStoreError(error);
    }
  };
  const statement: StatementSync = typed(() => db.prepare(sql));
  return {
    reader: statement.columns().length > 0,
    all: parameters => typed(() => statement.all(...bound(parameters))),
    run: parameters => typed(() => statement.run(...bound(parameters))),
    // A statement of its own: the cached one may be used again while this iterator is open.
    iterate: parameters => db.prepare(sql).iterate(...bound(parameters)) as IterableIterator<unknown>,
  };
}

/** Kysely hands over what our own code bound; booleans are the one type of it that SQLite does not take. */
function bound(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map(value => (typeof value === 'boolean' ? Number(value) : (value as SQLInputValue)));
}

/** Gives what callers tell apart a type; anything else comes back as it is. */
export function asStoreError(error: unknown): unknown {
  const { errcode, message = '' } = error as { errcode?: number; message?: string };
  if (errcode === undefined) return error;
  if ((errcode & 0xff) === FULL_CODE) return new StoreFullError({ cause: error });
  if (!UNIQUE_CODES.includes(errcode)) return error;
  // `UNIQUE constraint failed: index 'apps_space_guid_name'`, or `UNIQUE constraint failed: apps.guid`.
  const named = /index '([^']+)'/.exec(message)?.[1];
  const columns = message.replace(/^.*failed: /, '').split(', ');
  const table = columns[0]?.split('.')[0] ?? '';
  return new UniqueViolationError(named ?? `${table}_${columns.map(column => column.split('.')[1]).join('_')}`, {
    cause: error,
  });
}
