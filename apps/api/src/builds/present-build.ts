import type { BuildAnswer } from '@cupola/contract/v3/build';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';
import type { BuildRow } from './create-build.ts';

export interface BuildFacts {
  metadata: ShownMetadata;
  /** Of an image. */
  isDocker: boolean;
  baseUrl: string;
}

export function presentBuild(build: BuildRow, { metadata, isDocker, baseUrl }: BuildFacts): BuildAnswer {
  const self = `${baseUrl}/v3/builds/${build.guid}`;
  const droplet = build.state === 'STAGED' ? build.droplet_guid : null;
  return {
    guid: build.guid,
    created_at: isoTime(build.created_at),
    updated_at: isoTime(build.updated_at),
    // As in our tokens: where nobody has given an address, the name stands for it. Clients cannot do without one.
    created_by: { guid: build.created_by_guid, name: build.created_by_name, email: build.created_by_name },
    state: build.state,
    staging_memory_in_mb: build.memory_mb,
    staging_disk_in_mb: build.disk_mb,
    staging_log_rate_limit_bytes_per_second: -1,
    error: build.error_title === null ? build.error : `${build.error_title} - ${build.error ?? ''}`,
    lifecycle: isDocker
      ? { type: 'docker', data: {} }
      : {
          type: 'buildpack',
          data: { buildpacks: JSON.parse(build.buildpacks_json) as string[], stack: build.stack },
        },
    package: { guid: build.package_guid },
    droplet: droplet === null ? null : { guid: droplet },
    relationships: { app: { data: { guid: build.app_guid } } },
    metadata,
    links: {
      self: { href: self },
      app: { href: `${baseUrl}/v3/apps/${build.app_guid}` },
      ...(droplet === null ? {} : { droplet: { href: `${baseUrl}/v3/droplets/${droplet}` } }),
    },
  };
}
