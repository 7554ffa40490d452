/** Isolation segments: bodies and answers (CF: isolation_segment_create_message.rb, isolation_segment_presenter.rb). */
import { z } from 'zod';
import { body, entityName, links, metadata, metadataBody, stamps, toMany } from './parts.ts';

export const createIsolationSegment = body({ name: entityName(), metadata: metadataBody.exactOptional() });
export const updateIsolationSegment = body({
  name: entityName().exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export const entitleOrganizations = body({ data: toMany.shape.data });
export const assignSegment = z.strictObject({
  data: z
    .object({ guid: z.string() }, { error: 'Data must be structured like this: {"guid": "valid-guid"}' })
    .nullable(),
});

export const isolationSegmentAnswer = z.object({ ...stamps, name: z.string(), metadata, links });
