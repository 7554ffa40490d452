/** `VCAP_APPLICATION` as Cloud Controller makes it (CF: vars_builder.rb): keys, and their order, as an app on any CF finds them. */
import { INSTANCE_LIMITS } from '@cupola/model/limits';

export interface AppPlace {
  guid: string;
  name: string;
  space_guid: string;
  space_name: string;
  organization_guid: string;
  organization_name: string;
}

/** The part that is one for all processes of an app: what staging and `cf env` show. `uris`: host, domain and path, never a port (docs/decisions/0003). */
export function appFacts(app: AppPlace, { apiUrl, uris }: { apiUrl: string; uris: string[] }): Record<string, unknown> {
  return {
    cf_api: apiUrl,
    limits: { fds: INSTANCE_LIMITS.openFilesMax },
    application_name: app.name,
    application_uris: uris,
    name: app.name,
    space_name: app.space_name,
    space_id: app.space_guid,
    organization_id: app.organization_guid,
    organization_name: app.organization_name,
    uris,
    users: null,
    application_id: app.guid,
  };
}

export interface ProcessPlace {
  guid: string;
  type: string;
  memory_mb: number;
  disk_mb: number;
}

/** What a copy of this process finds. `version` changes with each start, as in CF. */
export function processFacts(
  app: AppPlace,
  process: ProcessPlace,
  { apiUrl, uris, version }: { apiUrl: string; uris: string[]; version: string },
): Record<string, unknown> {
  const { application_id, ...facts } = appFacts(app, { apiUrl, uris });
  return {
    ...facts,
    limits: { fds: INSTANCE_LIMITS.openFilesMax, mem: process.memory_mb, disk: process.disk_mb },
    process_id: process.guid,
    process_type: process.type,
    application_id,
    version,
    application_version: version,
  };
}

/** What a task finds: an app's facts, with the task's own limits (CF: task_environment.rb). */
export function taskFacts(
  app: AppPlace,
  { memory_mb, disk_mb }: { memory_mb: number; disk_mb: number },
  { apiUrl, uris, version }: { apiUrl: string; uris: string[]; version: string },
): Record<string, unknown> {
  const { application_id, ...facts } = appFacts(app, { apiUrl, uris });
  return {
    ...facts,
    limits: { fds: INSTANCE_LIMITS.openFilesMax, mem: memory_mb, disk: disk_mb },
    application_id,
    version,
    application_version: version,
  };
}
