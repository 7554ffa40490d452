/**
 * Rows of one table for a page: how many there are in all, and those of the page. Our own `next` links carry the last row's place, so that a page deep in
 * a list costs what the first one does; who jumps into the middle of a list pays for an OFFSET (foundations.md 23).
 */
import type { Database } from '@cupola/store/schema';
import { type Kysely, type RawBuilder, type Selectable, sql } from 'kysely';
import { all, type Condition, EVERY_ROW } from './filters.ts';
import { type PageAsk, pageAsk } from './page.ts';
import { inPlaces, keptCount, type PlacedList, type Run, runsOf, type Scope, type Way } from './scope.ts';

interface ListQuery {
  page?: number | undefined;
  per_page?: number | undefined;
  after?: string | undefined;
  order_by?: string | undefined;
}
export interface Listed<Row> {
  ask: PageAsk;
  total: number;
  rows: Row[];
  /** For `pageBody`: where the next page begins. Null when this one is the last row's. */
  after: string | null;
}

/** Longer lists are walked (`Way`): putting so many rows in order costs more than leaving out those between the rows of a page (ours, by measurement). */
const SOUGHT_MAX = 2_000;
/** Filters that find a few rows by an index of their own: whose they are is looked up for each of them. */
const NARROW = ['guids', 'names', 'app_guids', 'package_guids', 'hosts', 'target_guids', 'service_instance_guids'];

interface ListOptions<Column extends string = string> {
  conditions: readonly Condition[];
  /** For what is listed by place (`scope.ts`): of which places. Where nothing else is asked for, such a list costs the same however long it is. */
  scope?: Scope;
  /** The columns that are read, `guid` and what is ordered by among them; all, when not given. */
  only?: readonly Column[];
  /** With a scope: what rows fulfil that are in the list at all. */
  shown?: Condition;
  /** What a list is ordered by when its reader does not say. */
  order?: string;
  /** What clients say to columns, where they differ. */
  columns?: Record<string, string>;
}

/** Columns that lists are ordered by and that may be null: SQLite has those first, PostgreSQL last. As text without a character they are first on both. */
const NULLABLE = new Set(['service_bindings.name']);

/** A part of a list, in an order: `column` (as `key` has it) and guid, or both the other way. */
interface Part {
  column: string;
  key: RawBuilder<unknown>;
  isDescending: boolean;
  later: Condition;
  limit: number;
  offset: number;
}

export async function listRows<Table extends keyof Database, Column extends keyof Selectable<Database[Table]> & string>(
  db: Kysely<Database>,
  table: Table,
  query: ListQuery,
  options: ListOptions<Column>,
): Promise<Listed<Pick<Selectable<Database[Table]>, Column>>> {
  const ask = pageAsk(query);
  const order = query.order_by ?? options.order ?? 'created_at';
  const name = order.replace(/^[+-]/, '');
  const column = options.columns?.[name] ?? name;
  const key = NULLABLE.has(`${table}.${column}`) ? sql`coalesce(${sql.ref(column)}, '')` : sql.ref(column);
  const isDescending = order.startsWith('-');
  const place = readPlace(query.after, order);
  const total = await totalOf(db, table, query, options);
  const { limit, offset, fromEnd } =
    place === null ? partOf(ask, total) : { limit: ask.perPage, offset: 0, fromEnd: false };
  const later = place === null ? EVERY_ROW : laterThan(place, { key, isDescending });
  const part = { column, key, isDescending: isDescending !== fromEnd, later, limit, offset };
  const rows = await rowsOf<Pick<Selectable<Database[Table]>, Column>>(db, table, { part, total, query, options });
  if (fromEnd) rows.reverse();
  const last = rows.at(-1) as Record<string, unknown> | undefined;
  const after = last === undefined ? null : writePlace(order, last[column] ?? '', String(last.guid));
  return { ask, total, rows, after };
}

const isNarrow = (query: ListQuery): boolean => NARROW.some(name => name in query);

async function totalOf(
  db: Kysely<Database>,
  table: keyof Database,
  query: ListQuery,
  options: ListOptions,
): Promise<number> {
  const { conditions, scope } = options;
  if (scope !== undefined && conditions.length === 0) return keptCount(db, table as PlacedList, scope);
  return countRows(db, table, all(conditionsOf(table, options, isNarrow(query) ? 'picked' : 'sought')));
}

function conditionsOf(table: keyof Database, options: ListOptions, way: Way): Condition[] {
  const { conditions, scope = 'all', shown = EVERY_ROW } = options;
  return [...(scope === 'all' ? [] : [inPlaces(table as PlacedList, scope, way)]), shown, ...conditions];
}

async function rowsOf<Row>(
  db: Kysely<Database>,
  table: keyof Database,
  asked: { part: Part; total: number; query: ListQuery; options: ListOptions },
): Promise<Row[]> {
  const { part, total, query, options } = asked;
  const { scope, conditions } = options;
  if (total === 0) return [];
  const runs =
    scope === undefined || scope === 'all' || conditions.length > 0
      ? null
      : await runsOf(db, { list: table as PlacedList, places: scope, ...part });
  const read = columnsOf(table, options);
  if (runs !== null) return mergedRows(db, table, { read, part, runs });
  const way = isNarrow(query) ? 'picked' : total > SOUGHT_MAX ? 'walked' : 'sought';
  const { rows } = await sql<Row>`
    select ${read} from ${sql.table(table)} ${whereOf([...conditionsOf(table, options, way), part.later])}
    ${orderOf(part)} limit ${part.limit} offset ${part.offset}`.execute(db);
  return rows;
}

/** The runs are read no further than the page goes. */
async function mergedRows<Row>(
  db: Kysely<Database>,
  table: keyof Database,
  { read, part, runs }: { read: RawBuilder<unknown>; part: Part; runs: readonly Run[] },
): Promise<Row[]> {
  const direction = sql.raw(part.isDescending ? 'desc' : 'asc');
  const { rows } = await sql<Row>`
    select ${read} from (
      ${sql.join([...runs], sql` union all `)}
      order by key ${direction}, guid ${direction} limit ${part.limit} offset ${part.offset}
    ) as page
    inner join ${sql.table(table)} on ${sql.ref(`${table}.guid`)} = page.guid
    order by page.key ${direction}, page.guid ${direction}`.execute(db);
  return rows;
}

function columnsOf(table: keyof Database, { only }: ListOptions): RawBuilder<unknown> {
  return only === undefined ? sql`${sql.table(table)}.*` : sql.join(only.map(column => sql.ref(`${table}.${column}`)));
}

function orderOf({ key, isDescending }: Part) {
  const direction = sql.raw(isDescending ? 'desc' : 'asc');
  return sql`order by ${key} ${direction}, guid ${direction}`;
}

function laterThan(from: Place, { key, isDescending }: Pick<Part, 'key' | 'isDescending'>): Condition {
  return sql`(${key}, guid) ${sql.raw(isDescending ? '<' : '>')} (${from.value}, ${from.guid})`;
}

function whereOf(conditions: readonly Condition[]) {
  const where = all(conditions);
  return where === EVERY_ROW ? sql`` : sql`where ${where}`;
}

async function countRows(db: Kysely<Database>, table: keyof Database, where: Condition): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from ${sql.table(table)} ${whereOf([where])}`.execute(db);
  return rows[0]?.count ?? 0;
}

/** A page of the second half is counted from the end: the last one costs what the first does. */
function partOf({ offset, perPage }: PageAsk, total: number): { limit: number; offset: number; fromEnd: boolean } {
  if (offset <= total / 2 || offset >= total) return { limit: perPage, offset, fromEnd: false };
  const limit = Math.min(perPage, total - offset);
  return { limit, offset: total - offset - limit, fromEnd: true };
}

interface Place {
  value: string | number;
  guid: string;
}

/** Opaque to clients. The order is in it: with another one the place means nothing. */
function writePlace(order: string, value: unknown, guid: string): string {
  return Buffer.from(JSON.stringify([order, value, guid])).toString('base64url');
}

function readPlace(after: string | undefined, order: string): Place | null {
  if (after === undefined) return null;
  try {
    const [wrote, value, guid] = JSON.parse(Buffer.from(after, 'base64url').toString()) as unknown[];
    const isValue = typeof value === 'string' || typeof value === 'number';
    return wrote === order && isValue && typeof guid === 'string' ? { value, guid } : null;
  } catch {
    return null; // Not one of ours: the page's number counts.
  }
}
