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
      quota: { data: null },
    },
    metadata,
    links: {
      self: { href: self },
      organization: { href: `${baseUrl}/v3/organizations/${space.organization_guid}` },
      features: { href: `${self}/features` },
      apply_manifest: { href: `${self}/actions/apply_manifest`, method: 'POST' },
    },
  };
}
