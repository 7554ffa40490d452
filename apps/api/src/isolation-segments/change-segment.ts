/** Making, changing, entitling and deleting isolation segments inside a mutation (CF: isolation_segment_assign.rb and its neighbours). */
import { randomUUID } from 'node:crypto';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { deleteMetadata, type MetadataBody, writeMetadata } from '../metadata/metadata.ts';
import { among } from '../pages/filters.ts';
import { isEntitled, type SegmentRow, SHARED_SEGMENT } from './find-segment.ts';

export async function createSegment(
  mutation: Mutation,
  asked: { name: string; metadata?: MetadataBody },
): Promise<SegmentRow> {
  const { db, now } = mutation;
  await requireFreeName(mutation, asked.name);
  const segment: SegmentRow = { guid: randomUUID(), created_at: now, updated_at: now, name: asked.name };
  await db.insertInto('isolation_segments').values(segment).execute();
  await writeMetadata(mutation, 'isolation_segment', segment.guid, asked.metadata);
  return segment;
}

async function requireFreeName({ db }: Mutation, name: string, exceptGuid = ''): Promise<void> {
  const other = await db
    .selectFrom('isolation_segments')
    .select('guid')
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst();
  if (other !== undefined && other.guid !== exceptGuid)
    throw new UnprocessableError('Isolation Segment names are case insensitive and must be unique');
}

/** @throws UnprocessableError for the shared one, and for one that is in use. */
export async function updateSegment(
  mutation: Mutation,
  segment: SegmentRow,
  asked: { name?: string; metadata?: MetadataBody },
): Promise<SegmentRow> {
  const { db, now } = mutation;
  if (segment.guid === SHARED_SEGMENT.guid) throw new UnprocessableError('Cannot update the shared Isolation Segment');
  const organization = await db
    .selectFrom('organizations')
    .select('guid')
    .where('default_isolation_segment_guid', '=', segment.guid)
    .executeTakeFirst();
  const space = await db
    .selectFrom('spaces')
    .select('guid')
    .where('isolation_segment_guid', '=', segment.guid)
    .executeTakeFirst();
  if (organization !== undefined || space !== undefined)
    throw new UnprocessableError(
      'Cannot update Isolation Segments that are assigned as the default for an Organization or Space.',
    );
  if (asked.name !== undefined) await requireFreeName(mutation, asked.name, segment.guid);
  const row = { name: asked.name ?? segment.name, updated_at: now };
  await db.updateTable('isolation_segments').set(row).where('guid', '=', segment.guid).execute();
  await writeMetadata(mutation, 'isolation_segment', segment.guid, asked.metadata);
  return { ...segment, ...row };
}

/** @throws UnprocessableError for the shared one, and while an organization is entitled to it. */
export async function deleteSegment(mutation: Mutation, segment: SegmentRow): Promise<void> {
  const { db } = mutation;
  if (segment.guid === SHARED_SEGMENT.guid)
    throw new UnprocessableError(`Cannot delete the ${segment.name} Isolation Segment`);
  const entitled = await db
    .selectFrom('isolation_segment_organizations')
    .select('organization_guid')
    .where('isolation_segment_guid', '=', segment.guid)
    .executeTakeFirst();
  if (entitled !== undefined)
    throw new UnprocessableError('Revoke the Organization entitlements for your Isolation Segment.');
  await deleteMetadata(mutation, 'isolation_segment', [segment.guid]);
  await db.deleteFrom('isolation_segments').where('guid', '=', segment.guid).execute();
}

/** @throws UnprocessableError for an organization that is not there. */
export async function entitle(
  { db }: Mutation,
  segment: SegmentRow,
  organizationGuids: readonly string[],
): Promise<void> {
  const found = await db.selectFrom('organizations').select('guid').where(among('guid', organizationGuids)).execute();
  const missing = organizationGuids.filter(guid => !found.some(organization => organization.guid === guid));
  if (missing.length > 0)
    throw new UnprocessableError(
      `Unable to entitle organizations [${missing.map(guid => `'${guid}'`).join(', ')}] for the isolation segment. Ensure the organizations exist.`,
    );
  for (const { guid } of found)
    await db
      .insertInto('isolation_segment_organizations')
      .values({ isolation_segment_guid: segment.guid, organization_guid: guid })
      .onConflict(conflict => conflict.columns(['isolation_segment_guid', 'organization_guid']).doNothing())
      .execute();
}

/** @throws UnprocessableError while the organization or one of its spaces uses it. */
export async function revoke({ db }: Mutation, segment: SegmentRow, organizationGuid: string): Promise<void> {
  const organization = await db
    .selectFrom('organizations')
    .select('default_isolation_segment_guid')
    .where('guid', '=', organizationGuid)
    .executeTakeFirst();
  if (organization === undefined) throw new NotFoundError('Organization');
  if (organization.default_isolation_segment_guid === segment.guid)
    throw new UnprocessableError(
      'Cannot remove the entitlement while this Isolation Segment is assigned as the Default Isolation Segment for the Organization.',
    );
  const spaces = await db
    .selectFrom('spaces')
    .select('name')
    .where('organization_guid', '=', organizationGuid)
    .where('isolation_segment_guid', '=', segment.guid)
    .orderBy('name')
    .execute();
  if (spaces.length > 0)
    throw new UnprocessableError(
      `Cannot remove the entitlement while this Isolation Segment is assigned to any Spaces. Currently assigned to: ${spaces
        .map(({ name }) => `'${name}'`)
        .join(', ')}`,
    );
  await db
    .deleteFrom('isolation_segment_organizations')
    .where('isolation_segment_guid', '=', segment.guid)
    .where('organization_guid', '=', organizationGuid)
    .execute();
}

/** The default of an organization, or none. @throws UnprocessableError */
export async function assignToOrganization(
  { db, now, changed }: Mutation,
  organizationGuid: string,
  segmentGuid: string | null,
): Promise<void> {
  if (segmentGuid !== null && !(await isEntitled(db, segmentGuid, organizationGuid)))
    throw new UnprocessableError(
      `Unable to assign isolation segment with guid '${segmentGuid}'. Ensure it has been entitled to the organization.`,
    );
  const row = { default_isolation_segment_guid: segmentGuid, updated_at: now };
  await db.updateTable('organizations').set(row).where('guid', '=', organizationGuid).execute();
  changed('organization', organizationGuid, { organizationGuid });
}

/** Where apps of a space run, or none: the organization's default. @throws UnprocessableError */
export async function assignToSpace(
  { db, now, changed }: Mutation,
  space: { guid: string; organization_guid: string },
  segmentGuid: string | null,
): Promise<void> {
  if (segmentGuid !== null && !(await isEntitled(db, segmentGuid, space.organization_guid)))
    throw new UnprocessableError(
      `Unable to assign isolation segment with guid '${segmentGuid}'. Ensure it has been entitled to the organization that this space belongs to.`,
    );
  const row = { isolation_segment_guid: segmentGuid, updated_at: now };
  await db.updateTable('spaces').set(row).where('guid', '=', space.guid).execute();
  changed('space', space.guid, { organizationGuid: space.organization_guid, spaceGuid: space.guid });
}
