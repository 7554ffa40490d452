/** What this page reads of the API's answers: as little as it shows, beside what the CLI reads too (`@cupola/contract/v3/client-reads`). */
import {
  readApp,
  readAuditEvent,
  readBuild,
  readDeployment,
  readDomain,
  readOrganization,
  readProcess,
  readRevision,
  readRoute,
  readServiceBinding,
  readServiceInstance,
  readSpace,
  readStats,
  readTask,
} from '@cupola/contract/v3/client-reads';
import { z } from 'zod';

export const session = z.object({
  user: z.object({ guid: z.string(), name: z.string(), is_admin: z.boolean() }),
  csrf_token: z.string(),
  platform: z.object({
    api: z.string(),
    apps_domain: z.string(),
    apps_port: z.number().nullable(),
    apps_scheme: z.enum(['http', 'https']),
    https: z.object({ port: z.number().nullable(), certificates: z.enum(['own', 'given', 'acme']) }).nullable(),
    version: z.string(),
  }),
  roles: z.array(
    z.object({ type: z.string(), organization_guid: z.string().nullable(), space_guid: z.string().nullable() }),
  ),
});
export type Session = z.infer<typeof session>;

/** One page of a list; lists longer than CF's longest page say so by `next`. */
export function listOf<T extends z.ZodType>(resource: T) {
  return z.object({
    pagination: z.object({ total_results: z.number(), next: z.object({ href: z.string() }).nullish() }),
    resources: z.array(resource),
    included: z
      .object({ spaces: z.array(readSpace).nullish(), organizations: z.array(readOrganization).nullish() })
      .nullish(),
  });
}

const stamps = { created_at: z.string(), updated_at: z.string().nullish() };
export const app = readApp.extend({
  ...stamps,
  included: z
    .object({ spaces: z.array(readSpace).nullish(), organizations: z.array(readOrganization).nullish() })
    .nullish(),
});
export type App = z.infer<typeof app>;

const instance = z.object({ index: z.number(), state: z.string(), since: z.number().nullish() });
export const process = readProcess.extend({
  process_instances: z.array(instance).nullish(),
  health_check: z
    .object({
      type: z.string().nullish(),
      data: z.object({ timeout: z.number().nullish(), endpoint: z.string().nullish() }).nullish(),
    })
    .nullish(),
});
export type Process = z.infer<typeof process>;

export const stats = readStats.extend({
  resources: z.array(
    readStats.shape.resources.element.extend({
      host: z.string().nullish(),
      instance_guid: z.string().nullish(),
      routable: z.boolean().nullish(),
    }),
  ),
});
export type Stats = z.infer<typeof stats>['resources'];

export const build = readBuild.extend(stamps);
export type Build = z.infer<typeof build>;
export const deployment = readDeployment.extend({
  ...stamps,
  status: readDeployment.shape.status.extend({
    details: z.object({ last_status_change: z.string().nullish() }).nullish(),
  }),
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }).nullish() }).nullish() }).nullish(),
});
export type Deployment = z.infer<typeof deployment>;
export const buildInList = build.extend({
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }).nullish() }).nullish() }).nullish(),
});
export const route = readRoute.extend({ protocol: z.string().nullish() });
export type Route = z.infer<typeof route>;
export const revision = readRevision.extend({
  droplet: z.object({ guid: z.string() }).nullish(),
  processes: z.record(z.string(), z.object({ command: z.string().nullish() })).nullish(),
  sidecars: z.array(z.object({ name: z.string(), command: z.string() })).nullish(),
});
export type Revision = z.infer<typeof revision>;
export const event = readAuditEvent.extend({
  guid: z.string(),
  actor: z.object({ guid: z.string().nullish(), name: z.string().nullish() }).nullish(),
});
export type AuditEvent = z.infer<typeof event>;
export const droplet = z.object({
  guid: z.string(),
  created_at: z.string(),
  stack: z.string().nullish(),
  image: z.string().nullish(),
  buildpacks: z.array(z.object({ name: z.string(), detect_output: z.string().nullish() })).nullish(),
});
export const task = readTask.extend({ sequence_id: z.number() });
export type Task = z.infer<typeof task>;
export const serviceInstance = readServiceInstance;
export const serviceBinding = readServiceBinding;
export const domain = readDomain;
export type Domain = z.infer<typeof domain>;
const quotaOf = z.object({ data: z.object({ guid: z.string() }).nullish() }).nullish();
/** A space or an organization, as far as its quota goes. */
export const withQuota = z.object({ name: z.string(), relationships: z.object({ quota: quotaOf }).nullish() });
const limit = z.number().nullish();
export const quota = z.object({
  name: z.string(),
  apps: z.object({ total_memory_in_mb: limit, total_instances: limit }),
});
export const usage = z.object({
  usage_summary: z.object({ started_instances: z.number(), memory_in_mb: z.number() }),
});
export const variables = z.object({ var: z.record(z.string(), z.string()) });
const anything = z.record(z.string(), z.unknown());
export const environment = z.object({
  environment_variables: z.record(z.string(), z.string()),
  running_env_json: anything,
  application_env_json: anything,
  system_env_json: anything,
});
export { readSpace };
