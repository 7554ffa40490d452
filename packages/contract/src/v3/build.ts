/** Builds and droplets (CF: build_create_message.rb, build_presenter.rb, droplet_presenter.rb). */
import { BUILD_STATES, DROPLET_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { lifecycle } from './app.ts';
import { body, INT_MAX, links, metadata, metadataBody, stamps, toOne, wholeNumber } from './parts.ts';

const guid = z.string({ error: 'Package guid must be a string' }).min(1, { error: 'Package guid must be a string' });
const ANY_MB = { above: 0, to: INT_MAX };

export const createBuild = body({
  package: z.object({ guid }, { error: 'Package must be an object' }),
  lifecycle: lifecycle.exactOptional(),
  staging_memory_in_mb: wholeNumber('Staging memory in mb', ANY_MB).nullable().exactOptional(),
  staging_disk_in_mb: wholeNumber('Staging disk in mb', ANY_MB).nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
});

const buildpackLifecycle = z.object({ type: z.string(), data: z.record(z.string(), z.unknown()) });
const owner = z.object({ app: z.object({ data: z.object({ guid: z.string() }) }) });

export const buildAnswer = z.object({
  ...stamps,
  created_by: z.object({ guid: z.string().nullable(), name: z.string().nullable(), email: z.string().nullable() }),
  state: z.enum(BUILD_STATES),
  staging_memory_in_mb: z.number(),
  staging_disk_in_mb: z.number(),
  staging_log_rate_limit_bytes_per_second: z.number(),
  error: z.string().nullable(),
  lifecycle: buildpackLifecycle,
  package: z.object({ guid: z.string() }),
  droplet: z.object({ guid: z.string() }).nullable(),
  relationships: owner,
  metadata,
  links,
});
export type BuildAnswer = z.infer<typeof buildAnswer>;

export const createDroplet = body({
  relationships: body({ app: toOne('App') }, 'Relationships'),
  process_types: z.record(z.string(), z.string()).nullable().exactOptional(),
});

export const dropletAnswer = z.object({
  ...stamps,
  state: z.enum(DROPLET_STATES),
  error: z.string().nullable(),
  lifecycle: buildpackLifecycle,
  checksum: z.object({ type: z.literal('sha256'), value: z.string() }).nullable(),
  /** Null: it is an image. */
  buildpacks: z
    .array(
      z.object({
        name: z.string(),
        buildpack_name: z.string(),
        detect_output: z.string().nullable(),
        version: z.string().nullable(),
      }),
    )
    .nullable(),
  stack: z.string().nullable(),
  image: z.string().nullable(),
  execution_metadata: z.string(),
  process_types: z.record(z.string(), z.string()),
  relationships: owner,
  metadata,
  links,
});
export type DropletAnswer = z.infer<typeof dropletAnswer>;
