/** Sidecars: bodies and answers (CF: sidecar_create_message.rb, sidecar_update_message.rb, sidecar_presenter.rb). */
import { z } from 'zod';
import { body, INT_MAX, stamps, wholeNumber } from './parts.ts';

const name = z
  .string({ error: issue => (issue.input === undefined ? "Name can't be blank" : 'Name must be a string') })
  .min(1, { error: "Name can't be blank" })
  .max(255, { error: 'Name is too long (maximum is 255 characters)' });
const command = z
  .string({ error: issue => (issue.input === undefined ? "Command can't be blank" : 'Command must be a string') })
  .min(1, { error: "Command can't be blank" })
  .max(4_096, { error: 'Command is too long (maximum is 4096 characters)' });
const types = z
  .array(z.string({ error: 'Process types must be strings' }), { error: 'Process types must be an array' })
  .min(1, { error: 'Process types must have at least 1 process_type' });
const memory = wholeNumber('Memory in mb', { above: 0, to: INT_MAX }).nullable().exactOptional();

export const createSidecar = body({ name, command, process_types: types, memory_in_mb: memory });
export type CreateSidecar = z.infer<typeof createSidecar>;

export const updateSidecar = body({
  name: name.exactOptional(),
  command: command.exactOptional(),
  process_types: types.exactOptional(),
  memory_in_mb: memory,
});
export type UpdateSidecar = z.infer<typeof updateSidecar>;

export const sidecarAnswer = z.object({
  ...stamps,
  name: z.string(),
  command: z.string(),
  process_types: z.array(z.string()),
  memory_in_mb: z.number().int().nullable(),
  origin: z.enum(['user', 'buildpack']),
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }) }) }),
});
export type SidecarAnswer = z.infer<typeof sidecarAnswer>;
