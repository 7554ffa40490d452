/** Deployments: bodies and answers (CF: deployment_create_message.rb, deployment_presenter.rb). The cf CLI sends options with nulls. */
import { DEPLOYMENT_STATUS_REASONS, DEPLOYMENT_STATUS_VALUES, DEPLOYMENT_STRATEGIES } from '@cupola/model/states';
import { z } from 'zod';
import { body, INT_MAX, links, metadata, metadataBody, stamps, toOne, wholeNumber } from './parts.ts';

const MAX_IN_FLIGHT = 'Max in flight must be an integer greater than 0';
const named = (label: string) => z.object({ guid: z.string({ error: `${label} guid must be a string` }) });

const STEPS = 'Options.canary.steps';
const WEIGHT = `${STEPS}.instance weight must be an Integer between 1-100 (inclusive)`;
const canaryStep = z.strictObject(
  {
    instance_weight: z
      .number({ error: issue => (issue.input === undefined ? `${STEPS} missing key: "instance_weight"` : WEIGHT) })
      .int({ error: WEIGHT })
      .min(1, { error: WEIGHT })
      .max(100, { error: WEIGHT }),
  },
  {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? `${STEPS} has unsupported key(s): ${issue.keys.join(', ')}`
        : `${STEPS} must be an array of objects`,
  },
);
const canary = z.object(
  {
    steps: z
      .array(canaryStep, { error: `${STEPS} must be an array of objects` })
      .refine(
        steps => steps.every(({ instance_weight }, at) => instance_weight >= (steps[at - 1]?.instance_weight ?? 0)),
        {
          error: `${STEPS}.instance weight must be sorted in ascending order`,
        },
      )
      .nullable()
      .exactOptional(),
  },
  { error: 'Options.canary must be an object' },
);

const options = z.strictObject(
  {
    max_in_flight: z
      .number({ error: MAX_IN_FLIGHT })
      .int({ error: MAX_IN_FLIGHT })
      .min(1, { error: MAX_IN_FLIGHT })
      .nullable()
      .exactOptional(),
    web_instances: wholeNumber('Web instances', { from: 0, to: INT_MAX }).nullable().exactOptional(),
    memory_in_mb: wholeNumber('Memory in mb', { above: 0, to: INT_MAX }).nullable().exactOptional(),
    disk_in_mb: wholeNumber('Disk in mb', { above: 0, to: INT_MAX }).nullable().exactOptional(),
    log_rate_limit_in_bytes_per_second: wholeNumber('Log rate limit in bytes per second', { from: -1 })
      .nullable()
      .exactOptional(),
    canary: canary.nullable().exactOptional(),
  },
  {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? `Options has unsupported key(s): ${issue.keys.join(', ')}`
        : 'Options must be an object',
  },
);

export const createDeployment = body({
  relationships: body({ app: toOne('App') }, 'Relationships'),
  droplet: named('Droplet').nullable().exactOptional(),
  revision: named('Revision').nullable().exactOptional(),
  strategy: z
    .string({ error: 'Strategy must be a string' })
    .pipe(
      z.enum(DEPLOYMENT_STRATEGIES, {
        error: issue => `Strategy '${String(issue.input)}' is not a supported deployment strategy`,
      }),
    )
    .nullable()
    .exactOptional(),
  options: options.nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type CreateDeployment = z.infer<typeof createDeployment>;

const guid = z.object({ guid: z.string().nullable() });
export const deploymentAnswer = z.object({
  ...stamps,
  status: z.object({
    value: z.enum(DEPLOYMENT_STATUS_VALUES),
    reason: z.enum(DEPLOYMENT_STATUS_REASONS),
    details: z.object({
      last_successful_healthcheck: z.iso.datetime().nullable(),
      last_status_change: z.iso.datetime(),
      error: z.string().exactOptional(),
    }),
    canary: z.object({ steps: z.object({ current: z.number().int(), total: z.number().int() }) }).exactOptional(),
  }),
  strategy: z.enum(DEPLOYMENT_STRATEGIES),
  options: z.object({
    max_in_flight: z.number().int(),
    web_instances: z.number().int().exactOptional(),
    memory_in_mb: z.number().int().exactOptional(),
    disk_in_mb: z.number().int().exactOptional(),
    log_rate_limit_in_bytes_per_second: z.number().int().exactOptional(),
    canary: z.object({ steps: z.array(z.object({ instance_weight: z.number().int() })) }).exactOptional(),
  }),
  droplet: guid,
  previous_droplet: guid,
  new_processes: z.array(z.object({ guid: z.string(), type: z.string() })),
  revision: z.object({ guid: z.string(), version: z.number().int() }).nullable(),
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }) }) }),
  metadata,
  links,
});
export type DeploymentAnswer = z.infer<typeof deploymentAnswer>;
