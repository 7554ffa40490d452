/** The filters that every list of Cloud Foundry has, as conditions on one table: guids, times, what the actor may see, order. */
import { UnprocessableError } from '@cupola/model/errors';
import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { visible } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { commaList, pageQuery } from './page.ts';

const OPERATORS = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const time = z.string().regex(TIME, {
  error: "has an invalid timestamp format. Timestamps should be formatted as 'YYYY-MM-DDThh:mm:ssZ'",
});

function timeFilters<Name extends 'created_ats' | 'updated_ats'>(name: Name) {
  return {
    [name]: z.string().exactOptional(),
    [`${name}[lt]`]: time.exactOptional(),
    [`${name}[lte]`]: time.exactOptional(),
    [`${name}[gt]`]: time.exactOptional(),
    [`${name}[gte]`]: time.exactOptional(),
  } as Record<Name, z.ZodExactOptional<z.ZodString>> &
    Record<`${Name}[${keyof typeof OPERATORS}]`, z.ZodExactOptional<z.ZodString>>;
}

/** The part of every list's query. Spread it into the list's own schema. */
export const listQuery = {
  ...pageQuery,
  guids: commaList.exactOptional(),
  ...timeFilters('created_ats'),
  ...timeFilters('updated_ats'),
  label_selector: z.string().exactOptional(),
};

/** `name`, `-created_at` ... of `fields` and the two times. */
export function orderBy(...fields: string[]) {
  const names = [...fields, 'created_at', 'updated_at'];
  const error = `Order by can only be: ${names.map(name => `'${name}'`).join(', ')}`;
  return z
    .string()
    .refine(text => names.includes(text.replace(/^[+-]/, '')), { error })
    .exactOptional();
}

export type Condition = RawBuilder<SqlBool>;

/** Holds for every row. Told from the others, so that a list of all there is has no condition, and is counted without looking at rows. */
export const EVERY_ROW: Condition = sql<SqlBool>`1 = 1`;

/** `column in (...)`; an empty list matches nothing. Where `column` is an expression no index of its column will do. */
export function among(column: string | RawBuilder<unknown>, values: readonly string[]): Condition {
  const asked = typeof column === 'string' ? sql.ref(column) : column;
  return values.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`${asked} in (${sql.join([...values])})`;
}

/** `column` is the guid of a space that the actor may see. */
export function inSeenSpace(actor: Actor, column: string): Condition {
  const seen = visible(actor);
  if (seen.all) return EVERY_ROW;
  const own = among('guid', seen.spaceGuids);
  const managed = among('organization_guid', seen.wholeOrganizationGuids);
  return sql<SqlBool>`${sql.ref(column)} in (select guid from spaces where ${own} or ${managed})`;
}

/** `column` is the guid of an organization that the actor may see. */
export function inSeenOrganization(actor: Actor, column: string): Condition {
  const seen = visible(actor);
  return seen.all ? EVERY_ROW : among(column, seen.organizationGuids);
}

/** `column` is one of these names, whatever their case, as unique names are. */
export function named(column: string, names: readonly string[]): Condition {
  return sql<SqlBool>`lower(${sql.ref(column)}) in (${sql.join(names.map(name => name.toLowerCase()))})`;
}

type TimeQuery = { guids?: string[] } & Partial<
  Record<`${'created' | 'updated'}_ats${'' | `[${keyof typeof OPERATORS}]`}`, string>
>;

/** Guids and times of `table`. Times are kept in ms and asked for in seconds: a second is all its ms. */
export function commonConditions(table: string, query: TimeQuery): Condition[] {
  const conditions: Condition[] = query.guids === undefined ? [] : [among(`${table}.guid`, query.guids)];
  for (const field of ['created_at', 'updated_at'] as const) {
    const seconds = sql`(${sql.ref(`${table}.${field}`)} / 1000)`;
    const exact = query[`${field}s`];
    if (exact !== undefined)
      conditions.push(sql<SqlBool>`${seconds} in (${sql.join(exact.split(',').map(toSeconds))})`);
    for (const [name, operator] of Object.entries(OPERATORS)) {
      const bound = query[`${field}s[${name as keyof typeof OPERATORS}]`];
      if (bound !== undefined) conditions.push(sql<SqlBool>`${seconds} ${sql.raw(operator)} ${toSeconds(bound)}`);
    }
  }
  return conditions;
}

function toSeconds(text: string): number {
  const at = Date.parse(text);
  if (!TIME.test(text) || Number.isNaN(at))
    throw new UnprocessableError(
      "has an invalid timestamp format. Timestamps should be formatted as 'YYYY-MM-DDThh:mm:ssZ'",
    );
  return at / 1_000;
}

/** All of them. */
export function all(conditions: readonly Condition[]): Condition {
  const some = conditions.filter(condition => condition !== EVERY_ROW);
  return some.length === 0 ? EVERY_ROW : sql<SqlBool>`${sql.join(some, sql` and `)}`;
}
