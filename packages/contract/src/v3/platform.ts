/** What the platform as a whole has: feature flags, environment groups, buildpacks, stacks, events, jobs (CF: their messages and presenters). */
import { JOB_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { body, links, metadata, stamps } from './parts.ts';

export const updateFeatureFlag = body({
  enabled: z.boolean({ error: 'Enabled must be a boolean' }).exactOptional(),
  custom_error_message: z
    .string({ error: 'Custom error message must be a string' })
    .min(1, { error: 'Custom error message is too short (minimum is 1 character)' })
    .max(250, { error: 'Custom error message is too long (maximum is 250 characters)' })
    .nullable()
    .exactOptional(),
});
export const featureFlagAnswer = z.object({
  name: z.string(),
  enabled: z.boolean(),
  updated_at: z.iso.datetime().nullable(),
  custom_error_message: z.string().nullable(),
  links,
});
export type FeatureFlagAnswer = z.infer<typeof featureFlagAnswer>;

export const environmentGroupAnswer = z.object({
  updated_at: z.iso.datetime().nullable(),
  name: z.enum(['running', 'staging']),
  var: z.record(z.string(), z.string()),
  links,
});

export const buildpackAnswer = z.object({
  ...stamps,
  name: z.string(),
  stack: z.string().nullable(),
  state: z.enum(['AWAITING_UPLOAD', 'READY']),
  lifecycle: z.enum(['buildpack', 'cnb']),
  filename: z.string().nullable(),
  position: z.number().int(),
  enabled: z.boolean(),
  locked: z.boolean(),
  metadata,
  links,
});
export const stackAnswer = z.object({
  ...stamps,
  name: z.string(),
  description: z.string(),
  state: z.enum(['ACTIVE', 'RESTRICTED', 'DEPRECATED', 'DISABLED']),
  state_reason: z.string().nullable(),
  run_rootfs_image: z.string(),
  build_rootfs_image: z.string(),
  default: z.boolean(),
  metadata,
  links,
});

const named = z.object({ guid: z.string(), type: z.string(), name: z.string() });
const place = z.object({ guid: z.string() }).nullable();
export const auditEventAnswer = z.object({
  ...stamps,
  type: z.string(),
  actor: named,
  target: named,
  data: z.record(z.string(), z.unknown()),
  space: place,
  organization: place,
  links,
});

export const jobAnswer = z.object({
  ...stamps,
  operation: z.string(),
  state: z.enum(JOB_STATES),
  errors: z.array(z.object({ code: z.number().int(), title: z.string(), detail: z.string() })),
  warnings: z.array(z.object({ detail: z.string() })),
  links,
});
