/**
 * The fields that our own clients read of a Cloud Foundry v3 API, of any vendor: as little as they need, unknown fields ignored, so that an API that is
 * older, newer or fuller than ours does no harm. What our API sends is described by the schemas of the resources themselves.
 */
import { APP_STATES, BUILD_STATES, INSTANCE_STATES, JOB_STATES, PACKAGE_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { causeReport } from '../causes.ts';

const link = z.object({ href: z.string(), meta: z.object({ version: z.string().exactOptional() }).nullish() });
const optionalLink = link.nullish();
const toOne = z.object({ data: z.object({ guid: z.string() }).nullish() }).nullish();

/** `GET /`: where the other parts of the platform are. */
export const readRoot = z.object({
  links: z.object({
    cloud_controller_v3: optionalLink,
    login: optionalLink,
    uaa: optionalLink,
    log_cache: optionalLink,
  }),
});
/** `GET /v3/info`; `custom` is the vendor's own: Cupola says there how apps are reached. */
export const readInfo = z.object({
  name: z.string().nullish(),
  custom: z
    .object({
      apps_scheme: z.enum(['http', 'https']).nullish(),
      apps_port: z.number().int().nullish(),
      git_ssh_port: z.number().int().nullish(),
    })
    .nullish(),
});

export const readToken = z.object({
  access_token: z.string(),
  refresh_token: z.string().nullish(),
  token_type: z.string().nullish(),
});
/** Payload of an access token, as far as a client looks: it is the server that checks. */
export const readTokenClaims = z.object({
  exp: z.number().nullish(),
  user_name: z.string().nullish(),
  user_id: z.string().nullish(),
});
export const readUaaError = z.object({ error: z.string(), error_description: z.string().nullish() });

/** An error body of the v3 API. */
export const readErrors = z.object({
  errors: z.array(z.object({ code: z.number(), title: z.string(), detail: z.string() })).min(1),
});

/** Any list: `next` is followed as it is. */
export const readPage = z.object({
  pagination: z.object({
    total_results: z.number().nullish(),
    next: z.object({ href: z.string() }).nullish(),
  }),
  resources: z.array(z.unknown()),
});

export const readOrganization = z.object({ guid: z.string(), name: z.string() });
export const readDomain = z.object({ guid: z.string(), name: z.string(), internal: z.boolean().nullish() });
export type ReadDomain = z.infer<typeof readDomain>;
export const readSpace = z.object({
  guid: z.string(),
  name: z.string(),
  relationships: z.object({ organization: toOne }).nullish(),
});

export const readApp = z.object({
  guid: z.string(),
  name: z.string(),
  state: z.enum(APP_STATES),
  lifecycle: z
    .object({
      type: z.string(),
      data: z.object({ buildpacks: z.array(z.string()).nullish(), stack: z.string().nullish() }).nullish(),
    })
    .nullish(),
  relationships: z.object({ space: toOne }).nullish(),
});
export type ReadApp = z.infer<typeof readApp>;

export const readProcess = z.object({
  guid: z.string(),
  type: z.string(),
  command: z.string().nullish(),
  instances: z.number().int(),
  memory_in_mb: z.number().int(),
  disk_in_mb: z.number().int(),
  health_check: z
    .object({ type: z.string().nullish(), data: z.object({ timeout: z.number().nullish() }).nullish() })
    .nullish(),
  relationships: z.object({ app: toOne }).nullish(),
});
export type ReadProcess = z.infer<typeof readProcess>;

export const readStats = z.object({
  resources: z.array(
    z.object({
      index: z.number().int(),
      state: z.string().pipe(z.enum(INSTANCE_STATES).or(z.string())),
      uptime: z.number().nullish(),
      details: z.string().nullish(),
      /** Of its cell, or of the instance on it. */
      host: z.string().nullish(),
      mem_quota: z.number().nullish(),
      disk_quota: z.number().nullish(),
      usage: z.object({ cpu: z.number().nullish(), mem: z.number().nullish(), disk: z.number().nullish() }).nullish(),
    }),
  ),
});
export type ReadStats = z.infer<typeof readStats>;

export const readRoute = z.object({
  guid: z.string(),
  host: z.string().nullish(),
  path: z.string().nullish(),
  url: z.string(),
  destinations: z
    .array(z.object({ guid: z.string().nullish(), app: z.object({ guid: z.string().nullish() }).nullish() }))
    .nullish(),
  relationships: z.object({ domain: toOne }).nullish(),
});
export type ReadRoute = z.infer<typeof readRoute>;

export const readPackage = z.object({
  guid: z.string(),
  state: z.enum(PACKAGE_STATES),
  created_at: z.string(),
  data: z
    .object({
      error: z.string().nullish(),
      checksum: z.object({ value: z.string().nullish() }).nullish(),
      /** In the answer to an upload, of Cupola only: which content came, and that the next upload may start from this package. */
      sent: z.object({ value: z.string() }).nullish(),
    })
    .nullish(),
});
export type ReadPackage = z.infer<typeof readPackage>;

export const readBuild = z.object({
  guid: z.string(),
  state: z.enum(BUILD_STATES),
  error: z.string().nullish(),
  droplet: z.object({ guid: z.string() }).nullish(),
});

export const readDroplet = z.object({
  guid: z.string(),
  stack: z.string().nullish(),
  buildpacks: z.array(z.object({ name: z.string(), detect_output: z.string().nullish() })).nullish(),
  /** Of an app that runs one. */
  image: z.string().nullish(),
  links: z.object({ package: z.object({ href: z.string() }).nullish() }).nullish(),
});

export const readDeployment = z.object({
  guid: z.string(),
  status: z.object({
    value: z.string(),
    reason: z.string().nullish(),
    /** Of a canary deployment: which step it is at. */
    canary: z.object({ steps: z.object({ current: z.number().int(), total: z.number().int() }) }).nullish(),
  }),
  strategy: z.string().nullish(),
  revision: z.object({ guid: z.string() }).nullish(),
  /** The processes that the deployment has made, and scales up. */
  new_processes: z.array(z.object({ guid: z.string(), type: z.string() })).nullish(),
});
export type ReadDeployment = z.infer<typeof readDeployment>;

export const readRevision = z.object({
  guid: z.string(),
  version: z.number().int(),
  description: z.string().nullish(),
  deployable: z.boolean().nullish(),
  created_at: z.string(),
});
export type ReadRevision = z.infer<typeof readRevision>;

export const readTask = z.object({
  guid: z.string(),
  sequence_id: z.number().int().nullish(),
  name: z.string(),
  command: z.string().nullish(),
  state: z.string(),
  created_at: z.string(),
  result: z.object({ failure_reason: z.string().nullish() }).nullish(),
});

export const readServiceInstance = z.object({
  guid: z.string(),
  name: z.string(),
  type: z.string().nullish(),
  tags: z.array(z.string()).nullish(),
  syslog_drain_url: z.string().nullish(),
});
export type ReadServiceInstance = z.infer<typeof readServiceInstance>;
const spaces = z.object({ data: z.array(z.object({ guid: z.string() })) });
export const readSecurityGroup = z.object({
  guid: z.string(),
  name: z.string(),
  rules: z.array(z.object({ protocol: z.string(), destination: z.string(), ports: z.string().nullish() })),
  globally_enabled: z.object({ running: z.boolean(), staging: z.boolean() }),
  relationships: z.object({ running_spaces: spaces, staging_spaces: spaces }),
});
export type ReadSecurityGroup = z.infer<typeof readSecurityGroup>;
export const readServiceBinding = z.object({
  guid: z.string(),
  name: z.string().nullish(),
  relationships: z.object({ app: toOne, service_instance: toOne }).nullish(),
});

export const readBuildpack = z.object({
  guid: z.string(),
  name: z.string(),
  stack: z.string().nullish(),
  position: z.number().nullish(),
  enabled: z.boolean().nullish(),
  locked: z.boolean().nullish(),
  filename: z.string().nullish(),
});

export const readUser = z.object({
  guid: z.string(),
  username: z.string().nullish(),
  origin: z.string().nullish(),
});
/** The login server's answer to a new account. */
export const readCreatedUser = z.object({ id: z.string() });
export const readRole = z.object({ guid: z.string(), type: z.string() });

export const readJob = z.object({
  guid: z.string(),
  operation: z.string().nullish(),
  state: z.enum(JOB_STATES),
  errors: z.array(z.object({ code: z.number().nullish(), title: z.string().nullish(), detail: z.string() })).nullish(),
  warnings: z.array(z.object({ detail: z.string() })).nullish(),
});

const variables = z.record(z.string(), z.unknown());
export const readAppEnvironment = z.object({
  environment_variables: variables.nullish(),
  staging_env_json: variables.nullish(),
  running_env_json: variables.nullish(),
  system_env_json: variables.nullish(),
  application_env_json: variables.nullish(),
});

export const readAuditEvent = z.object({
  type: z.string(),
  created_at: z.string(),
  actor: z.object({ name: z.string().nullish() }).nullish(),
  data: z
    .object({
      reason: z.string().nullish(),
      exit_description: z.string().nullish(),
      index: z.number().nullish(),
      /** Cupola's own, both. `client`: what the actor acted with. */
      cause: causeReport.nullish().catch(null),
      client: z.string().nullish().catch(null),
    })
    .nullish(),
});

/** One file that is offered for matching, and its form in the answer and in the upload. */
export const resourceMatch = z.object({
  path: z.string(),
  mode: z.string(),
  checksum: z.object({ value: z.string() }),
  size_in_bytes: z.number(),
});
export type ResourceMatch = z.infer<typeof resourceMatch>;
export const readResourceMatches = z.object({ resources: z.array(resourceMatch).nullish() });

/** log-cache's `GET /api/v1/read/GUID`. */
export const readLogEnvelopes = z.object({
  envelopes: z
    .object({
      batch: z
        .array(
          z.object({
            timestamp: z.union([z.string(), z.number()]).transform(String),
            instance_id: z.string().nullish(),
            tags: z.record(z.string(), z.string()).nullish(),
            log: z.object({ payload: z.string().nullish(), type: z.string().nullish() }).nullish(),
          }),
        )
        .nullish(),
    })
    .nullish(),
});
