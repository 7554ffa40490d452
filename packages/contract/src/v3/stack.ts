/** Stacks: bodies (CF: stack_create_message.rb, stack_update_message.rb). Their answer is in platform.ts. */
import { z } from 'zod';
import { body, metadataBody } from './parts.ts';

const STATES = ['ACTIVE', 'RESTRICTED', 'DEPRECATED', 'DISABLED'] as const;
const state = z.enum(STATES, { error: `State must be one of ${STATES.join(', ')}` });
const reason = z.string().max(5000, 'State reason is too long (maximum is 5000 characters)').nullable();

export const createStack = body({
  name: z.string().min(1, "Name can't be blank").max(250, 'Name is too long (maximum is 250 characters)'),
  description: z.string().max(250, 'Description is too long (maximum is 250 characters)').nullable().exactOptional(),
  state: state.exactOptional(),
  state_reason: reason.exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export const updateStack = body({
  state: state.exactOptional(),
  state_reason: reason.exactOptional(),
  metadata: metadataBody.exactOptional(),
});
