/** Spaces: bodies and answers (CF: space_create_message.rb, space_presenter.rb). */
import { z } from 'zod';
import { body, entityName, links, metadata, metadataBody, relationship, stamps, toOne } from './parts.ts';

export const createSpace = body({
  name: entityName(),
  relationships: body({ organization: toOne('Organization') }, 'Relationships'),
  metadata: metadataBody.exactOptional(),
});

export const updateSpace = body({
  name: entityName().nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
});

export const updateSpaceFeature = body({ enabled: z.boolean({ error: 'Enabled must be a boolean' }) });

export const spaceAnswer = z.object({
  ...stamps,
  name: z.string(),
  relationships: z.object({ organization: relationship, quota: relationship }),
  metadata,
  links,
});
export type SpaceAnswer = z.infer<typeof spaceAnswer>;

export const spaceFeatureAnswer = z.object({ name: z.string(), description: z.string(), enabled: z.boolean() });
