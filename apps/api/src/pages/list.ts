/**
 * Rows of one table for a page: how many there are in all, and those of the page. Our own `next` links carry the last row's place, so that a page deep in
 * a list costs what the first one does; who jumps into the middle of a list pays for an OFFSET (foundations.md 23).
 */
import type { Database } from '@cupola/store/schema';
import { type Kysely, type Selectable, sql } from 'kysely';
import { all, type Condition, EVERY_ROW, orderOf, type Way } from './filters.ts';
import { type PageAsk, pageAsk } from './page.ts';

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

type Conditions = readonly Condition[] | ((way: Way) => readonly Condition[]);

/**
 * @param options.conditions a function where it matters how rows are found: for lists that may be long for somebody who does not see all of them.
 * @param options.columns what clients say to columns, where they differ.
 * @param options.order what a list is ordered by when its reader does not say.
 */
export async function listRows<Table extends keyof Database>(
  db: Kysely<Database>,
  table: Table,
  query: ListQuery,
  options: { conditions: Conditions; order?: string; columns?: Record<string, string> },
): Promise<Listed<Selectable<Database[Table]>>> {
  const ask = pageAsk(query);
  const order = query.order_by ?? options.order ?? 'created_at';
  const conditions = (way: Way) =>
    typeof options.conditions === 'function' ? options.conditions(way) : options.conditions;
  const total = await countRows(db, table, all(conditions('sought')));
  const place = readPlace(query.after, order);
  const name = order.replace(/^[+-]/, '');
  const column = options.columns?.[name] ?? name;
  const later = (from: Place): Condition =>
    sql`(${sql.ref(`${table}.${column}`)}, ${sql.ref(`${table}.guid`)}) ${sql.raw(order.startsWith('-') ? '<' : '>')} (${from.value}, ${from.guid})`;
  const wanted = conditions(total > SOUGHT_MAX ? 'walked' : 'sought');
  const part = place === null ? partOf(ask, total) : { limit: ask.perPage, offset: 0, fromEnd: false };
  const { rows } = await sql<Selectable<Database[Table]>>`
    select ${sql.table(table)}.* from ${sql.table(table)} ${whereOf(place === null ? wanted : [...wanted, later(place)])}
    order by ${orderOf(table, part.fromEnd ? opposite(order) : order, options.columns)}
    limit ${part.limit} offset ${part.offset}`.execute(db);
  if (part.fromEnd) rows.reverse();
  const last = rows.at(-1) as Record<string, unknown> | undefined;
  const after = last === undefined ? null : writePlace(order, last[column], String(last.guid));
  return { ask, total, rows, after };
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

const opposite = (order: string): string => (order.startsWith('-') ? order.slice(1) : `-${order.replace(/^\+/, '')}`);

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
