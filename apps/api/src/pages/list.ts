/**
 * Rows of one table for a page: how many there are in all, and those of the page. Our own `next` links carry the last row's place, so that a page deep in
 * a list costs what the first one does; who jumps to a page pays for an OFFSET (foundations.md 23).
 */
import type { Database } from '@cupola/store/schema';
import { type Kysely, type Selectable, sql } from 'kysely';
import { all, type Condition, orderOf } from './filters.ts';
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

/**
 * @param options.columns what clients say to columns, where they differ.
 * @param options.order what a list is ordered by when its reader does not say.
 */
export async function listRows<Table extends keyof Database>(
  db: Kysely<Database>,
  table: Table,
  query: ListQuery,
  options: { conditions: readonly Condition[]; order?: string; columns?: Record<string, string> },
): Promise<Listed<Selectable<Database[Table]>>> {
  const ask = pageAsk(query);
  const order = query.order_by ?? options.order ?? 'created_at';
  const where = all(options.conditions);
  const { rows: counts } = await sql<{ count: number }>`
    select count(*) as count from ${sql.table(table)} where ${where}`.execute(db);
  const place = readPlace(query.after, order);
  const name = order.replace(/^[+-]/, '');
  const column = options.columns?.[name] ?? name;
  const from =
    place === null
      ? sql``
      : sql` and (${sql.ref(`${table}.${column}`)}, ${sql.ref(`${table}.guid`)}) ${sql.raw(order.startsWith('-') ? '<' : '>')} (${place.value}, ${place.guid})`;
  const { rows } = await sql<Selectable<Database[Table]>>`
    select ${sql.table(table)}.* from ${sql.table(table)} where ${where}${from}
    order by ${orderOf(table, order, options.columns)}
    limit ${ask.perPage} offset ${place === null ? ask.offset : 0}`.execute(db);
  const last = rows.at(-1) as Record<string, unknown> | undefined;
  const after = last === undefined ? null : writePlace(order, last[column], String(last.guid));
  return { ask, total: counts[0]?.count ?? 0, rows, after };
}

/** Opaque to clients. The order is in it: with another one the place means nothing. */
function writePlace(order: string, value: unknown, guid: string): string {
  return Buffer.from(JSON.stringify([order, value, guid])).toString('base64url');
}

function readPlace(after: string | undefined, order: string): { value: string | number; guid: string } | null {
  if (after === undefined) return null;
  try {
    const [wrote, value, guid] = JSON.parse(Buffer.from(after, 'base64url').toString()) as unknown[];
    const isValue = typeof value === 'string' || typeof value === 'number';
    return wrote === order && isValue && typeof guid === 'string' ? { value, guid } : null;
  } catch {
    return null; // Not one of ours: the page's number counts.
  }
}
