import type { DropletAnswer } from '@cupola/contract/v3/build';
import type { Layer } from '@cupola/model/run-spec';
import type { DropletsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';

interface KeptBuildpack {
  name: string;
  buildpackName: string;
  detectOutput: string | null;
  version: string | null;
}

export function presentDroplet(
  droplet: Selectable<DropletsTable>,
  metadata: ShownMetadata,
  baseUrl: string,
): DropletAnswer {
  const self = `${baseUrl}/v3/droplets/${droplet.guid}`;
  const app = `${baseUrl}/v3/apps/${droplet.app_guid}`;
  const layers = JSON.parse(droplet.layers_json) as Layer[];
  const own = layers.findLast(({ kind }) => kind === 'app');
  const isStaged = droplet.state === 'STAGED';
  const isImage = droplet.docker_image !== null;
  return {
    guid: droplet.guid,
    created_at: isoTime(droplet.created_at),
    updated_at: isoTime(droplet.updated_at),
    state: droplet.state,
    error: droplet.error,
    lifecycle: { type: isImage ? 'docker' : 'buildpack', data: {} },
    checksum: own === undefined ? null : { type: 'sha256', value: own.digest },
    buildpacks: isImage
      ? null
      : (JSON.parse(droplet.buildpacks_json) as KeptBuildpack[]).map(one => ({
          name: one.name,
          buildpack_name: one.buildpackName,
          detect_output: one.detectOutput,
          version: one.version,
        })),
    stack: isImage ? null : droplet.stack,
    image: droplet.docker_image,
    execution_metadata: droplet.execution_metadata,
    process_types: JSON.parse(droplet.process_types_json) as Record<string, string>,
    relationships: { app: { data: { guid: droplet.app_guid } } },
    metadata,
    links: {
      self: { href: self },
      app: { href: app },
      assign_current_droplet: { href: `${app}/relationships/current_droplet`, method: 'PATCH' },
      ...(droplet.package_guid === null ? {} : { package: { href: `${baseUrl}/v3/packages/${droplet.package_guid}` } }),
      ...(isStaged && !isImage ? { download: { href: `${self}/download` } } : {}),
    },
  };
}
