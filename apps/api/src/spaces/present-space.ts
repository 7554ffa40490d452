import type { SpaceAnswer } from '@cupola/contract/v3/space';
import type { SpacesTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';

export function presentSpace(space: Selectable<SpacesTable>, metadata: ShownMetadata, baseUrl: string): SpaceAnswer {
  const self = `${baseUrl}/v3/spaces/${space.guid}`;
  return {
    guid: space.guid,
    created_at: isoTime(space.created_at),
    updated_at: isoTime(space.updated_at),
    name: space.name,
    relationships: {
      organization: { data: { guid: space.organization_guid } },
      quota: { data: space.quota_guid === null ? null : { guid: space.quota_guid } },
    },
    metadata,
    links: {
      self: { href: self },
      organization: { href: `${baseUrl}/v3/organizations/${space.organization_guid}` },
      features: { href: `${self}/features` },
      ...(space.quota_guid === null ? {} : { quota: { href: `${baseUrl}/v3/space_quotas/${space.quota_guid}` } }),
      apply_manifest: { href: `${self}/actions/apply_manifest`, method: 'POST' },
    },
  };
}
