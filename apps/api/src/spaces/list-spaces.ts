/** Lists of spaces, and the `include` that they and single spaces share. */
import { spaceAnswer } from '@cupola/contract/v3/space';
import type { SpacesTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { endpoint } from '../http/endpoint.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { presentOrganization } from '../organizations/present-organization.ts';
import { among, commonConditions, inSeenSpace, listQuery, named, orderBy } from '../pages/filters.ts';
import { includeList } from '../pages/include.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { presentSpace } from './present-space.ts';

type Space = Selectable<SpacesTable>;
/** `org` is what older clients say. */
export const includeOrganization = includeList('organization', 'org').exactOptional();

export async function presentSpaces({ store, config }: ApiDeps, spaces: readonly Space[]) {
  const metadata = await readMetadata(
    store.read,
    'space',
    spaces.map(space => space.guid),
  );
  return spaces.map(space => presentSpace(space, metadata.get(space.guid) ?? NO_METADATA, config.publicUrl));
}

/** `included` when it was asked for. */
export async function includedOrganizations(
  { store, config }: ApiDeps,
  spaces: readonly Space[],
  include: readonly string[] | undefined,
): Promise<{ included?: Record<string, unknown[]> }> {
  if (include === undefined || include.length === 0) return {};
  const guids = [...new Set(spaces.map(space => space.organization_guid))];
  const rows = await store.read.selectFrom('organizations').selectAll().where(among('guid', guids)).execute();
  const metadata = await readMetadata(store.read, 'organization', guids);
  const organizations = rows.map(row =>
    presentOrganization(row, metadata.get(row.guid) ?? NO_METADATA, config.publicUrl),
  );
  return { included: { organizations } };
}

export const listSpaces = endpoint({
  method: 'GET',
  path: '/v3/spaces',
  summary: 'Spaces that the asker may see',
  query: z.strictObject({
    ...listQuery,
    names: commaList.exactOptional(),
    organization_guids: commaList.exactOptional(),
    include: includeOrganization,
    order_by: orderBy('name'),
  }),
  responseSchema: spaceAnswer,
  handle: async (deps, request) => {
    const { query, actor } = request;
    const conditions = [
      inSeenSpace(actor, 'spaces.guid'),
      ...commonConditions('spaces', query),
      ...(query.names === undefined ? [] : [named('spaces.name', query.names)]),
      ...(query.organization_guids === undefined ? [] : [among('spaces.organization_guid', query.organization_guids)]),
      ...(query.label_selector === undefined
        ? []
        : [labelSelectorCondition('space', 'spaces.guid', query.label_selector)]),
    ];
    const { ask, total, rows, after } = await listRows(deps.store.read, 'spaces', query, { conditions });
    const included = await includedOrganizations(deps, rows, query.include);
    const resources = await presentSpaces(deps, rows);
    return { status: 200, body: pageBody(request, ask, { total, resources, after, ...included }) };
  },
});
