import type { OrganizationAnswer } from '@cupola/contract/v3/organization';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';
import type { OrganizationRow } from './find-organization.ts';

export function presentOrganization(
  organization: OrganizationRow,
  metadata: ShownMetadata,
  baseUrl: string,
): OrganizationAnswer {
  const self = `${baseUrl}/v3/organizations/${organization.guid}`;
  return {
    guid: organization.guid,
    created_at: isoTime(organization.created_at),
    updated_at: isoTime(organization.updated_at),
    name: organization.name,
    suspended: organization.suspended === 1,
    relationships: { quota: { data: { guid: organization.quota_guid } } },
    metadata,
    links: {
      self: { href: self },
      domains: { href: `${self}/domains` },
      default_domain: { href: `${self}/domains/default` },
      quota: { href: `${baseUrl}/v3/organization_quotas/${organization.quota_guid}` },
    },
  };
}
