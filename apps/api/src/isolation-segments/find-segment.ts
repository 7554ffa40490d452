/** Isolation segments that an actor may see: those that one of their organizations is entitled to (CF: isolation_segment_list_fetcher.rb). */
import { NotFoundError } from '@cupola/model/errors';
import type { Database, IsolationSegmentsTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { type Condition, inSeenOrganization } from '../pages/filters.ts';

export type SegmentRow = Selectable<IsolationSegmentsTable>;

/** Every installation has it, under the same guid (CF: isolation_segment_model.rb): where apps run that nobody has put elsewhere. */
export const SHARED_SEGMENT = { guid: '933b4c58-120b-499a-b85d-4b6fc9e2903b', name: 'shared' };

export function seenSegments(actor: Actor): Condition {
  if (actor.isAdmin) return sql<SqlBool>`1 = 1`;
  return sql<SqlBool>`isolation_segments.guid in (select isolation_segment_guid from isolation_segment_organizations
    where ${inSeenOrganization(actor, 'isolation_segment_organizations.organization_guid')})`;
}

/** @throws NotFoundError */
export async function seenSegment(db: Kysely<Database>, actor: Actor, guid: string): Promise<SegmentRow> {
  const segment = await db
    .selectFrom('isolation_segments')
    .selectAll()
    .where('guid', '=', guid)
    .where(seenSegments(actor))
    .executeTakeFirst();
  if (segment === undefined) throw new NotFoundError('Isolation segment');
  return segment;
}

/** The organization may put spaces into it. */
export async function isEntitled(
  db: Kysely<Database>,
  segmentGuid: string,
  organizationGuid: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('isolation_segment_organizations')
    .select('organization_guid')
    .where('isolation_segment_guid', '=', segmentGuid)
    .where('organization_guid', '=', organizationGuid)
    .executeTakeFirst();
  return row !== undefined;
}

/** Warnings for whoever puts something into a segment where nothing could run yet; the shared one is every other cell's. */
export async function warnOfNoCell(db: Kysely<Database>, chosen: { guid: string } | null): Promise<string[]> {
  if (chosen === null || chosen.guid === SHARED_SEGMENT.guid) return [];
  const segment = await db
    .selectFrom('isolation_segments')
    .leftJoin('cells', join =>
      join.on(({ eb, fn }) => eb(fn('lower', ['cells.segment']), '=', fn('lower', ['isolation_segments.name']))),
    )
    .select(['isolation_segments.name', 'cells.cell_id'])
    .where('isolation_segments.guid', '=', chosen.guid)
    .executeTakeFirst();
  if (segment === undefined || segment.cell_id !== null) return [];
  return [
    `No machine is in the isolation segment ${segment.name} yet, so apps in it wait. One gets into it by: ./cupola join ... --isolation-segment ${segment.name}`,
  ];
}
