import type { RoleAnswer } from '@cupola/contract/v3/user';
import { isoTime } from '../http/iso-time.ts';
import type { RoleRow } from './change-role.ts';

export function presentRole(role: RoleRow, baseUrl: string): RoleAnswer {
  const to = (guid: string | null): { data: { guid: string } | null } => ({ data: guid === null ? null : { guid } });
  return {
    guid: role.guid,
    created_at: isoTime(role.created_at),
    updated_at: isoTime(role.updated_at),
    type: role.type,
    relationships: {
      user: { data: { guid: role.user_guid } },
      organization: to(role.organization_guid),
      space: to(role.space_guid),
    },
    links: {
      self: { href: `${baseUrl}/v3/roles/${role.guid}` },
      user: { href: `${baseUrl}/v3/users/${encodeURIComponent(role.user_guid)}` },
      ...(role.space_guid === null
        ? { organization: { href: `${baseUrl}/v3/organizations/${role.organization_guid}` } }
        : { space: { href: `${baseUrl}/v3/spaces/${role.space_guid}` } }),
    },
  };
}
