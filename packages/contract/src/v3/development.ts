/** Development apps, whose files are changed where they run (`cupola dev`). An addition to Cloud Foundry. */
import { DEVELOPMENT_LIMITS } from '@cupola/model/development';
import { z } from 'zod';
import { body, entityName, toOne, wholeNumber } from './parts.ts';

/** Makes one, with its route; or lets one's own live on. */
export const postDevelopmentApp = body({
  name: entityName(),
  relationships: body({ space: toOne('space') }, 'Relationships'),
  hours: wholeNumber('Hours', { from: 1, to: DEVELOPMENT_LIMITS.hoursMax }).exactOptional(),
});

/** Held, with `Prefer: wait=SECONDS`, until every running instance has taken this change. */
export const developmentQuery = z.strictObject({
  sequence: z
    .string()
    .regex(/^\d{1,9}$/, { error: 'Sequence must be the number of a change' })
    .transform(Number)
    .exactOptional(),
});
/** What the change is made to: the app's droplet, as its sender knows it. Without it the change is for nothing. */
export const developmentChangeQuery = z.strictObject({
  droplet_guid: z.string().exactOptional(),
});

const developmentInstance = z.object({
  process_type: z.string(),
  index: z.number().int(),
  state: z.string(),
  /** The newest change that it has taken; 0: none. */
  applied: z.number().int(),
});

export const developmentApp = z.object({
  /** Of the app that it is. */
  guid: z.string(),
  name: z.string(),
  /** Who made it; null: somebody who is gone. */
  user: z.string().nullable(),
  /** Without a change until then it is deleted. */
  expires_at: z.string(),
  created_at: z.string(),
  /** What the next start runs, and what changes are made to; null: nothing was staged yet. */
  droplet_guid: z.string().nullable(),
  /** The newest change of that droplet; 0: none. */
  sequence: z.number().int(),
  instances: z.array(developmentInstance),
});
export type DevelopmentApp = z.infer<typeof developmentApp>;

/** Answer to a change: its number, and what it brings. */
export const developmentChange = z.object({
  sequence: z.number().int(),
  droplet_guid: z.string(),
  files: z.number().int(),
  removed: z.number().int(),
  restart: z.boolean(),
});
