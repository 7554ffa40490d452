/** Labels and annotations of any resource: written inside a mutation, read for a page at a time, selected by. Rules and words are CF's (metadata_validator.rb). */
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { type Kysely, sql } from 'kysely';
import type { ShownMetadata } from '../apps/present-app.ts';
import { metadataErrors } from './rules.ts';

/** As it came: null removes a key, what is not named stays. */
export interface MetadataBody {
  labels?: unknown;
  annotations?: unknown;
}
/** What nobody has labelled or annotated shows. */
export const NO_METADATA: ShownMetadata = Object.freeze({ labels: Object.freeze({}), annotations: Object.freeze({}) });

/** CF's `max_labels_per_resource`, `max_annotations_per_resource`. */
const MAX = { labels: 50, annotations: 200 } as const;
const TITLES = { labels: 'LabelLimitExceeded', annotations: 'AnnotationLimitExceeded' } as const;

/** `kind` as in the feed: `app`, `organization`. @throws UnprocessableError with every sentence that is wrong with it. */
export async function writeMetadata(
  { db }: Pick<Mutation, 'db'>,
  kind: string,
  guid: string,
  body: MetadataBody | null | undefined,
): Promise<void> {
  if (body === undefined || body === null) return;
  const errors = metadataErrors(body);
  if (errors.length > 0) throw new UnprocessableError(errors.join(', '));
  for (const table of ['labels', 'annotations'] as const) {
    const entries = Object.entries((body[table] ?? {}) as Record<string, unknown>);
    // So many can only be meant to keep the store busy: what is there and what may be there is less.
    if (entries.length > 2 * MAX[table]) throw tooMany(table, entries.length);
    for (const [key, value] of entries) await writeOne(db, { table, kind, guid, key, value });
    if (entries.length > 0) await checkCount(db, { table, kind, guid, asked: entries.length });
  }
}

async function writeOne(
  db: Kysely<Database>,
  {
    table,
    kind,
    guid,
    key,
    value,
  }: { table: 'labels' | 'annotations'; kind: string; guid: string; key: string; value: unknown },
): Promise<void> {
  if (value === null) {
    await db
      .deleteFrom(table)
      .where('kind', '=', kind)
      .where('resource_guid', '=', guid)
      .where('key', '=', key)
      .execute();
    return;
  }
  await db
    .insertInto(table)
    .values({ kind, resource_guid: guid, key, value: String(value) })
    .onConflict(conflict => conflict.columns(['kind', 'resource_guid', 'key']).doUpdateSet({ value: String(value) }))
    .execute();
}

async function checkCount(
  db: Kysely<Database>,
  { table, kind, guid, asked }: { table: 'labels' | 'annotations'; kind: string; guid: string; asked: number },
): Promise<void> {
  const { count } = await db
    .selectFrom(table)
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('kind', '=', kind)
    .where('resource_guid', '=', guid)
    .executeTakeFirstOrThrow();
  if (count > MAX[table]) throw tooMany(table, asked);
}

function tooMany(table: keyof typeof MAX, asked: number): UnprocessableError {
  return new UnprocessableError(
    `Failed to add ${asked} ${table} because it would exceed maximum of ${MAX[table]}`,
    TITLES[table],
  );
}

/** Of those that have any. */
export async function readMetadata(
  db: Kysely<Database>,
  kind: string,
  guids: readonly string[],
): Promise<Map<string, ShownMetadata>> {
  const found = new Map<string, ShownMetadata>();
  // Parameters of one statement are bounded; pages are not (5,000).
  for (let from = 0; from < guids.length; from += GUIDS_PER_QUERY) {
    const some = guids.slice(from, from + GUIDS_PER_QUERY);
    const wanted = sql`kind = ${kind} and resource_guid in (${sql.join(some)})`;
    const { rows } = await sql<{ part: keyof ShownMetadata; guid: string; key: string; value: string }>`
      select 'labels' as part, resource_guid as guid, key, value from labels where ${wanted}
      union all select 'annotations' as part, resource_guid as guid, key, value from annotations where ${wanted}
      order by key`.execute(db);
    for (const { part, guid, key, value } of rows) {
      const shown = found.get(guid) ?? { labels: {}, annotations: {} };
      shown[part][key] = value;
      found.set(guid, shown);
    }
  }
  return found;
}
const GUIDS_PER_QUERY = 1_000;

export async function metadataOf(db: Kysely<Database>, kind: string, guid: string): Promise<ShownMetadata> {
  return (await readMetadata(db, kind, [guid])).get(guid) ?? NO_METADATA;
}

/** A resource that is made from another one of its kind begins with what was said of that. */
export async function copyMetadata(
  { db }: Pick<Mutation, 'db'>,
  kind: string,
  { from, to }: { from: string; to: string },
): Promise<void> {
  for (const table of ['labels', 'annotations'] as const) {
    const rows = await db
      .selectFrom(table)
      .select(['key', 'value'])
      .where('kind', '=', kind)
      .where('resource_guid', '=', from)
      .execute();
    if (rows.length > 0)
      await db
        .insertInto(table)
        .values(rows.map(row => ({ ...row, kind, resource_guid: to })))
        .execute();
  }
}

/** With the resource goes what was said of it. */
export async function deleteMetadata(
  { db }: Pick<Mutation, 'db'>,
  kind: string,
  guids: readonly string[],
): Promise<void> {
  for (const table of ['labels', 'annotations'] as const)
    for (let from = 0; from < guids.length; from += GUIDS_PER_QUERY)
      await db
        .deleteFrom(table)
        .where('kind', '=', kind)
        .where('resource_guid', 'in', guids.slice(from, from + GUIDS_PER_QUERY))
        .execute();
}
