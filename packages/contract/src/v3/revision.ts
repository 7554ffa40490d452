/** Revisions of an app (CF: revision_presenter.rb). Nobody makes one by a request: starts and deployments do. */
import { z } from 'zod';
import { links, metadata, stamps } from './parts.ts';

export const revisionAnswer = z.object({
  ...stamps,
  version: z.number().int(),
  droplet: z.object({ guid: z.string() }),
  /** By process type: the user's own command, null for the droplet's. */
  processes: z.record(z.string(), z.object({ command: z.string().nullable() })),
  sidecars: z.array(
    z.object({
      name: z.string(),
      command: z.string(),
      memory_in_mb: z.number().int().nullable(),
      process_types: z.array(z.string()),
    }),
  ),
  description: z.string(),
  deployable: z.boolean(),
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }) }) }),
  metadata,
  links,
});
export type RevisionAnswer = z.infer<typeof revisionAnswer>;

export const revisionVariables = z.object({ var: z.record(z.string(), z.string()), links });
