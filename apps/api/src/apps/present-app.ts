import type { AppAnswer } from '@cupola/contract/v3/app';
import type { AppsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { isoTime } from '../http/iso-time.ts';

export interface ShownMetadata {
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** What of an app's row is shown. Whoever keeps what was shown compares these: no other column may be used below. */
export const SHOWN_COLUMNS = [
  'guid',
  'created_at',
  'updated_at',
  'name',
  'state',
  'lifecycle_type',
  'buildpacks_json',
  'stack',
  'space_guid',
  'current_droplet_guid',
] as const satisfies ReadonlyArray<keyof AppsTable>;
export type ShownApp = Pick<Selectable<AppsTable>, (typeof SHOWN_COLUMNS)[number]>;

export function presentApp(app: ShownApp, metadata: ShownMetadata, baseUrl: string): AppAnswer {
  const self = `${baseUrl}/v3/apps/${app.guid}`;
  const href = (path: string): { href: string } => ({ href: `${self}/${path}` });
  const action = (name: string): { href: string; method: string } => ({ ...href(`actions/${name}`), method: 'POST' });
  return {
    guid: app.guid,
    created_at: isoTime(app.created_at),
    updated_at: isoTime(app.updated_at),
    name: app.name,
    state: app.state,
    lifecycle: {
      type: app.lifecycle_type,
      data:
        app.lifecycle_type === 'docker'
          ? {}
          : { buildpacks: JSON.parse(app.buildpacks_json) as string[], stack: app.stack },
    },
    relationships: {
      space: { data: { guid: app.space_guid } },
      current_droplet: { data: { guid: app.current_droplet_guid } },
    },
    metadata,
    links: {
      self: { href: self },
      environment_variables: href('environment_variables'),
      space: { href: `${baseUrl}/v3/spaces/${app.space_guid}` },
      processes: href('processes'),
      packages: href('packages'),
      current_droplet: href('droplets/current'),
      droplets: href('droplets'),
      tasks: href('tasks'),
      start: action('start'),
      stop: action('stop'),
      clear_buildpack_cache: action('clear_buildpack_cache'),
      revisions: href('revisions'),
      deployed_revisions: href('revisions/deployed'),
      features: href('features'),
    },
  };
}
