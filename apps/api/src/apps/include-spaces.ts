/** `include=space` and `include=space.organization` of what lies in spaces: apps, routes (CF: include_space_decorator.rb, include_organization_decorator.rb). */
import type { ApiDeps } from '../deps.ts';
import { readMetadata } from '../metadata/metadata.ts';
import { presentOrganization } from '../organizations/present-organization.ts';
import { among } from '../pages/filters.ts';
import { presentSpace } from '../spaces/present-space.ts';

const NONE = { labels: {}, annotations: {} };

/** The parts of `included` that were asked for: an organization without its space too, as in CF. `org` is what older clients say. */
export async function includedSpaces(
  { store, config }: Pick<ApiDeps, 'store' | 'config'>,
  rows: ReadonlyArray<{ space_guid: string }>,
  include: readonly string[] = [],
): Promise<Record<string, unknown[]>> {
  const withSpaces = include.includes('space');
  const withOrganizations = include.includes('space.organization') || include.includes('org');
  if (!withSpaces && !withOrganizations) return {};
  const db = store.read;
  const guids = [...new Set(rows.map(row => row.space_guid))];
  const spaces = await db
    .selectFrom('spaces')
    .selectAll()
    .where(among('guid', guids))
    .orderBy('created_at')
    .orderBy('guid')
    .execute();
  const included: Record<string, unknown[]> = {};
  if (withSpaces) {
    const metadata = await readMetadata(db, 'space', guids);
    included.spaces = spaces.map(space => presentSpace(space, metadata.get(space.guid) ?? NONE, config.publicUrl));
  }
  if (withOrganizations) {
    const organizationGuids = [...new Set(spaces.map(space => space.organization_guid))];
    const organizations = await db
      .selectFrom('organizations')
      .selectAll()
      .where(among('guid', organizationGuids))
      .orderBy('created_at')
      .orderBy('guid')
      .execute();
    const metadata = await readMetadata(db, 'organization', organizationGuids);
    included.organizations = organizations.map(row =>
      presentOrganization(row, metadata.get(row.guid) ?? NONE, config.publicUrl),
    );
  }
  return included;
}
