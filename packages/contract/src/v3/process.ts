/** Processes: bodies and answers (CF: process_update_message.rb, process_scale_message.rb, process_presenter.rb, process_stats_presenter.rb). */
import { HEALTH_CHECK_TYPES, INSTANCE_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { body, INT_MAX, links, metadata, metadataBody, relationship, stamps, wholeNumber } from './parts.ts';

const seconds = (label: string) => wholeNumber(label, { from: 1, to: INT_MAX }).nullable().exactOptional();
const endpointPath = (label: string) =>
  z
    .string({ error: `${label} must be a valid URI path` })
    .max(255, { error: `${label} is too long (maximum is 255 characters)` })
    .regex(/^\/(?:[^\s/]\S*)?$/, { error: `${label} must be a valid URI path` })
    .nullable()
    .exactOptional();

const checkType = (label: string) =>
  z.enum(HEALTH_CHECK_TYPES, { error: `${label} type must be "port", "process", or "http"` }).exactOptional();

export const updateProcess = body({
  command: z
    .string({ error: 'Command must be a string' })
    .min(1, { error: 'Command must be between 1 and 4096 characters' })
    .max(4_096, { error: 'Command must be between 1 and 4096 characters' })
    .nullable()
    .exactOptional(),
  health_check: z
    .object(
      {
        type: checkType('Health check'),
        data: z
          .object({
            timeout: seconds('Health check timeout'),
            invocation_timeout: seconds('Health check invocation timeout'),
            interval: seconds('Health check interval'),
            endpoint: endpointPath('Health check endpoint'),
          })
          .nullable()
          .exactOptional(),
      },
      { error: 'Health check must be an object' },
    )
    .exactOptional(),
  readiness_health_check: z
    .object(
      {
        type: checkType('Readiness health check'),
        data: z
          .object({
            invocation_timeout: seconds('Readiness health check invocation timeout'),
            interval: seconds('Readiness health check interval'),
            endpoint: endpointPath('Readiness health check endpoint'),
          })
          .nullable()
          .exactOptional(),
      },
      { error: 'Readiness health check must be an object' },
    )
    .exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type UpdateProcess = z.infer<typeof updateProcess>;

/** Scaling takes a number spelled as a string, as the Cloud Controller does (`process_scale_message.rb`, numericality): its acceptance tests send one. */
function orSpelled<T extends z.ZodType>(schema: T) {
  const read = (value: unknown): unknown =>
    typeof value === 'string' && /^[+-]?\d{1,15}$/.test(value) ? Number(value) : value;
  return z.preprocess(read, schema);
}

export const scaleProcess = body({
  instances: orSpelled(wholeNumber('Instances', { from: 0, to: INT_MAX }).nullable()).exactOptional(),
  memory_in_mb: orSpelled(wholeNumber('Memory in mb', { above: 0, to: INT_MAX }).nullable()).exactOptional(),
  disk_in_mb: orSpelled(wholeNumber('Disk in mb', { above: 0, to: INT_MAX }).nullable()).exactOptional(),
  log_rate_limit_in_bytes_per_second: orSpelled(
    wholeNumber('Log rate limit in bytes per second', { from: -1 }).nullable(),
  ).exactOptional(),
});
export type ScaleProcess = z.infer<typeof scaleProcess>;

const number = z.number().int().nullable();
const processInstance = z.object({
  index: z.number().int(),
  state: z.enum(INSTANCE_STATES),
  since: z.number().int().exactOptional(),
});
export const process = z.object({
  ...stamps,
  version: z.string(),
  type: z.string(),
  command: z.string().nullable(),
  user: z.string(),
  instances: z.number().int(),
  memory_in_mb: z.number().int(),
  disk_in_mb: z.number().int(),
  log_rate_limit_in_bytes_per_second: z.number().int(),
  health_check: z.object({
    type: z.enum(HEALTH_CHECK_TYPES),
    data: z.object({
      timeout: number,
      invocation_timeout: number,
      interval: number,
      endpoint: z.string().nullable().exactOptional(),
    }),
  }),
  readiness_health_check: z.object({
    type: z.enum(HEALTH_CHECK_TYPES),
    data: z.object({
      invocation_timeout: number,
      interval: number,
      endpoint: z.string().nullable().exactOptional(),
    }),
  }),
  process_instances: z.array(processInstance).exactOptional(),
  relationships: z.object({ app: relationship, revision: relationship.nullable() }),
  metadata,
  links,
});
export type ProcessAnswer = z.infer<typeof process>;

const base = {
  type: z.string(),
  index: z.number().int(),
  state: z.enum(INSTANCE_STATES),
  routable: z.boolean().nullable(),
  isolation_segment: z.string().nullable(),
  details: z.string().nullable(),
};
/** An index that nobody runs has the first form, all others the second. */
export const instanceStats = z.union([
  z.object({
    ...base,
    instance_guid: z.string(),
    host: z.string(),
    instance_internal_ip: z.string(),
    uptime: z.number().int(),
    mem_quota: number,
    disk_quota: number,
    log_rate_limit: number,
    fds_quota: z.number().int(),
    instance_ports: z.array(
      z.object({
        external: z.number().int(),
        internal: z.number().int(),
        external_tls_proxy_port: z.null(),
        internal_tls_proxy_port: z.null(),
      }),
    ),
    usage: z.object({
      time: z.string(),
      cpu: z.number(),
      cpu_entitlement: z.number().nullable(),
      mem: z.number().int(),
      disk: z.number().int(),
      log_rate: z.number().int(),
    }),
  }),
  z.object({ ...base, uptime: z.number().int().nullable() }),
]);
export type InstanceStats = z.infer<typeof instanceStats>;
export const processStats = z.object({ resources: z.array(instanceStats) });
export const processInstances = z.object({ resources: z.array(processInstance), links });
