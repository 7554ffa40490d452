import type { DomainAnswer } from '@cupola/contract/v3/domain';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';
import type { DomainRow } from './find-domain.ts';

/** @param shares guids of the organizations that it is shared with. */
export function presentDomain(
  domain: DomainRow,
  metadata: ShownMetadata,
  { shares, baseUrl }: { shares: readonly string[]; baseUrl: string },
): DomainAnswer {
  const self = `${baseUrl}/v3/domains/${domain.guid}`;
  const owner = domain.organization_guid;
  return {
    guid: domain.guid,
    created_at: isoTime(domain.created_at),
    updated_at: isoTime(domain.updated_at),
    name: domain.name,
    internal: domain.internal === 1,
    router_group: null,
    supported_protocols: ['http'],
    relationships: {
      organization: { data: owner === null ? null : { guid: owner } },
      shared_organizations: { data: shares.map(guid => ({ guid })) },
    },
    metadata,
    links: {
      self: { href: self },
      route_reservations: { href: `${self}/route_reservations` },
      ...(owner === null
        ? {}
        : {
            organization: { href: `${baseUrl}/v3/organizations/${owner}` },
            shared_organizations: { href: `${self}/relationships/shared_organizations` },
          }),
    },
  };
}
