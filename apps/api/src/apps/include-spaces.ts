/** `include=space` and `include=space.organization` of what lies in spaces: apps, routes (CF: include_space_decorator.rb, include_organization_decorator.rb). */
import { maySeeSpace } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { presentOrganization } from '../organizations/present-organization.ts';
import { among } from '../pages/filters.ts';
import { presentSpace } from '../spaces/present-space.ts';

/**
 * The parts of `included` that were asked for: `space.organization` brings both, as in CF, `org`, which older clients say, the organizations alone. Of what
 * an auditor of the organization sees, the spaces stay hidden.
 */
export async function includedSpaces(
  { store, config }: Pick<ApiDeps, 'store' | 'config'>,
  rows: ReadonlyArray<{ space_guid: string }>,
  { actor, include = [] }: { actor: Actor; include?: readonly string[] | undefined },
): Promise<Record<string, unknown[]>> {
  const withSpaces = include.includes('space') || include.includes('space.organization');
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
    const seen = spaces.filter(({ guid, organization_guid }) =>
      maySeeSpace(actor, { spaceGuid: guid, organizationGuid: organization_guid }),
    );
    const metadata = await readMetadata(db, 'space', guids);
    included.spaces = seen.map(space => presentSpace(space, metadata.get(space.guid) ?? NO_METADATA, config.publicUrl));
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
      presentOrganization(row, metadata.get(row.guid) ?? NO_METADATA, config.publicUrl),
    );
  }
  return included;
}
