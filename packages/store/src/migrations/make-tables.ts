/** Making tables on SQLite (STRICT) and PostgreSQL alike, for the migrations after the first one: a table is its columns, each of a kind. */
import { type Expression, type Kysely, SqliteAdapter, sql } from 'kysely';

export type Column = 'key' | 'text' | 'text?' | 'int' | 'int?';
export type Tables = Record<string, Record<string, Column>>;

/** The columns of everything with a guid and two times. */
export const STAMPED = { guid: 'key', created_at: 'int', updated_at: 'int' } as const;

/**
 * `bigint` is 64 bits on PostgreSQL; INTEGER, which STRICT wants, is on SQLite. Texts are compared by their bytes on both, whatever the database's own order
 * is: pages are read by key.
 */
export function typeOf(db: Kysely<unknown>, column: string): Expression<unknown> {
  const isSqlite = db.getExecutor().adapter instanceof SqliteAdapter;
  if (column.startsWith('int')) return isSqlite ? sql`integer` : sql`bigint`;
  return isSqlite ? sql`text` : sql`text collate "C"`;
}

export async function makeTables(db: Kysely<unknown>, tables: Tables): Promise<void> {
  for (const [table, columns] of Object.entries(tables)) {
    let builder = db.schema.createTable(table);
    for (const [name, column] of Object.entries(columns))
      builder = builder.addColumn(name, typeOf(db, column), definition => {
        if (column === 'key') return definition.primaryKey().notNull();
        return column.endsWith('?') ? definition : definition.notNull();
      });
    if (db.getExecutor().adapter instanceof SqliteAdapter) builder = builder.modifyEnd(sql`strict`);
    await builder.execute();
  }
}

/** To a table that may have rows already: of kinds that may be null. */
export async function addColumns(
  db: Kysely<unknown>,
  table: string,
  columns: Record<string, 'text?' | 'int?'>,
): Promise<void> {
  for (const [name, column] of Object.entries(columns))
    await db.schema.alterTable(table).addColumn(name, typeOf(db, column)).execute();
}

/** `table`, `columns`; named for both, since SQLite names the index of an expression in its unique violations. */
export async function makeIndexes(
  db: Kysely<unknown>,
  kind: 'index' | 'unique index',
  indexes: ReadonlyArray<readonly [table: string, columns: string]>,
): Promise<void> {
  for (const [table, columns] of indexes) {
    const words = columns.replace(/\blower\b/g, '').match(/[a-z_0-9]+/g) ?? [];
    await sql.raw(`create ${kind} ${table}_${words.join('_')} on ${table} (${columns})`).execute(db);
  }
}
