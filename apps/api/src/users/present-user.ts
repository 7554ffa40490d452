import type { UserAnswer } from '@cupola/contract/v3/user';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';
import type { UserRow } from './find-user.ts';

/** An OAuth client with roles is a user without a name, as in CF. */
export function presentUser(user: UserRow, metadata: ShownMetadata, baseUrl: string): UserAnswer {
  const isClient = user.origin === '';
  return {
    guid: user.guid,
    created_at: isoTime(user.created_at),
    updated_at: isoTime(user.updated_at),
    username: isClient ? null : user.username,
    presentation_name: user.username,
    origin: isClient ? null : user.origin,
    metadata,
    links: { self: { href: `${baseUrl}/v3/users/${encodeURIComponent(user.guid)}` } },
  };
}
