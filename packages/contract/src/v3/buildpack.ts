/** Buildpacks: bodies (CF: buildpack_create_message.rb, buildpack_update_message.rb). Their answer is in `platform.ts`. */
import { z } from 'zod';
import { body, metadataBody, wholeNumber } from './parts.ts';

const name = z
  .string({ error: issue => (issue.input === undefined ? "Name can't be blank" : 'Name must be a string') })
  .min(1, { error: "Name can't be blank", abort: true })
  .max(250, { error: 'Name is too long (maximum is 250 characters)' })
  .regex(/^[-\w]+$/, { error: 'Name is invalid' });
const settings = {
  stack: z
    .string({ error: 'Stack must be a string' })
    .max(250, { error: 'Stack is too long (maximum is 250 characters)' })
    .nullable()
    .exactOptional(),
  position: wholeNumber('Position', { from: 1 }).nullable().exactOptional(),
  enabled: z.boolean({ error: 'Enabled must be a boolean' }).nullable().exactOptional(),
  locked: z.boolean({ error: 'Locked must be a boolean' }).nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
};

export const createBuildpack = body({
  name,
  ...settings,
  lifecycle: z
    .enum(['buildpack', 'cnb'], { error: 'Lifecycle must be either "buildpack" or "cnb"' })
    .nullable()
    .exactOptional(),
});
export type CreateBuildpack = z.infer<typeof createBuildpack>;
export const updateBuildpack = body({ name: name.exactOptional(), ...settings });
export type UpdateBuildpack = z.infer<typeof updateBuildpack>;
