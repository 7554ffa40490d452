import type { PackageAnswer } from '@cupola/contract/v3/package';
import type { PackagesTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';

export function presentPackage(
  row: Selectable<PackagesTable>,
  metadata: ShownMetadata,
  baseUrl: string,
): PackageAnswer {
  const self = `${baseUrl}/v3/packages/${row.guid}`;
  return {
    guid: row.guid,
    created_at: isoTime(row.created_at),
    updated_at: isoTime(row.updated_at),
    type: row.type,
    state: row.state,
    data:
      row.type === 'docker' ? dockerData(row) : { error: row.error, checksum: { type: 'sha256', value: row.digest } },
    relationships: { app: { data: { guid: row.app_guid } } },
    metadata,
    links: {
      self: { href: self },
      ...(row.type === 'docker'
        ? {}
        : {
            upload: { href: `${self}/upload`, method: 'POST' },
            download: { href: `${self}/download`, method: 'GET' },
          }),
      app: { href: `${baseUrl}/v3/apps/${row.app_guid}` },
    },
  };
}

/** As CF: whether there is a password, never which. */
function dockerData({ docker_image, docker_username }: Selectable<PackagesTable>) {
  return { image: docker_image, username: docker_username, password: docker_username === null ? null : '***' };
}
