/** Tasks: bodies and answers (CF: task_create_message.rb, task_presenter.rb). */
import { TASK_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { body, INT_MAX, links, metadata, metadataBody, stamps, wholeNumber } from './parts.ts';

const COMMAND_MAX = 4_096;
const guid = (label: string) =>
  z
    .string({ error: `${label} guid must be a string` })
    .min(1, { error: `${label} guid must be between 1 and 200 characters` })
    .max(200, { error: `${label} guid must be between 1 and 200 characters` });

export const createTask = body({
  name: z
    .string({ error: 'Name must be a string' })
    .min(1, { error: "Name can't be blank" })
    .max(255, { error: 'Name is too long (maximum is 255 characters)' })
    .regex(/^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]+$/u, { error: 'Name format is invalid' })
    .exactOptional(),
  command: z
    .string({ error: 'Command must be a string' })
    .min(1, { error: "Command can't be blank" })
    .max(COMMAND_MAX, { error: `Command must be shorter than ${COMMAND_MAX + 1} characters` })
    .nullable()
    .exactOptional(),
  disk_in_mb: wholeNumber('Disk in mb', { above: 0, to: INT_MAX }).nullable().exactOptional(),
  memory_in_mb: wholeNumber('Memory in mb', { above: 0, to: INT_MAX }).nullable().exactOptional(),
  log_rate_limit_in_bytes_per_second: wholeNumber('Log rate limit in bytes per second', { above: -2 })
    .nullable()
    .exactOptional(),
  droplet_guid: guid('Droplet').nullable().exactOptional(),
  template: z
    .object({
      process: z.object({ guid: guid('Template process') }, { error: 'Template process guid must be a string' }),
    })
    .nullable()
    .exactOptional(),
  user: z
    .string({ error: 'User must be a string' })
    .refine(text => text === 'vcap', { error: "User invalid, must be one of: 'vcap'" })
    .nullable()
    .exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type CreateTask = z.infer<typeof createTask>;

export const taskAnswer = z.object({
  ...stamps,
  sequence_id: z.number().int(),
  name: z.string(),
  /** Only for those who may read secrets. */
  command: z.string().exactOptional(),
  user: z.string().nullable(),
  state: z.enum(TASK_STATES),
  memory_in_mb: z.number().int(),
  disk_in_mb: z.number().int(),
  log_rate_limit_in_bytes_per_second: z.number().int(),
  result: z.object({ failure_reason: z.string().nullable() }),
  droplet_guid: z.string(),
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }) }) }),
  metadata,
  links,
});
export type TaskAnswer = z.infer<typeof taskAnswer>;
