/** Packages and the matching of their files (CF: package_create_message.rb, resource_match_create_message.rb, package_presenter.rb). */
import { PACKAGE_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { body, links, metadata, metadataBody, stamps, toOne, wholeNumber } from './parts.ts';

export const createPackage = body({
  type: z.enum(['bits', 'docker'], { error: "Type must be one of 'bits, docker'" }).exactOptional(),
  relationships: body({ app: toOne('App') }, 'Relationships'),
  data: z.record(z.string(), z.unknown()).nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
});

/** `data` of a package that is an image. */
export const dockerData = body(
  {
    image: z.string({ error: 'Image required' }).min(1, { error: 'Image required' }),
    username: z.string({ error: 'Username must be a string' }).nullable().exactOptional(),
    password: z.string({ error: 'Password must be a string' }).nullable().exactOptional(),
  },
  'Data',
);

export const updatePackage = body({
  metadata: metadataBody.exactOptional(),
  username: z.string({ error: 'Username must be a string' }).exactOptional(),
  password: z.string({ error: 'Password must be a string' }).exactOptional(),
});

export const updateMetadata = body({ metadata: metadataBody.exactOptional() });

export const packageAnswer = z.object({
  ...stamps,
  type: z.enum(['bits', 'docker']),
  state: z.enum(PACKAGE_STATES),
  data: z.record(z.string(), z.unknown()),
  relationships: z.object({ app: z.object({ data: z.object({ guid: z.string() }) }) }),
  metadata,
  links,
});
export type PackageAnswer = z.infer<typeof packageAnswer>;

const sha1 = z
  .string({ error: 'checksum value is not a string' })
  .regex(/^[0-9a-f]{40}$/i, { error: 'checksum value is not a valid sha1' });
const mode = z.string().regex(/^[0-7]{1,7}$/, { error: 'mode is not an octal number' });
const path = z.string({ error: 'path must be a string' }).min(1, { error: 'path must not be empty' });

/** One file of an app, as v8 of the cf CLI offers it. */
export const resource = z.object({
  path: path.exactOptional(),
  mode: mode.exactOptional(),
  checksum: z.object({ value: sha1 }, { error: 'checksum must be an object' }),
  size_in_bytes: wholeNumber('size_in_bytes', { from: 0 }),
});
export type Resource = z.infer<typeof resource>;

export const matchResources = body({
  resources: z
    .array(resource, { error: 'Resources must be an array' })
    .min(1, { error: 'Resources must not be empty' }),
});
export const matchAnswer = z.object({ resources: z.array(resource) });

/** The package of the same app that an upload of changes starts from, and which of its files and empty folders do not stay. */
export const baseOfChanges = body({
  guid: z.string({ error: 'guid must be a string' }),
  checksum: z.string().regex(/^[0-9a-f]{64}$/, { error: 'checksum is not a sha256 in hex' }),
  without: z.array(path, { error: 'without must be an array of paths' }),
});
export type BaseOfChanges = z.infer<typeof baseOfChanges>;

/** What comes with the bits: files that were matched. Older clients write `fn`, `sha1` and `size`. */
export const uploadedResources = z.array(
  z.union([
    resource.extend({ path }),
    z.object({ fn: path, sha1, size: wholeNumber('size', { from: 0 }), mode: mode.exactOptional() }).transform(old => ({
      path: old.fn,
      checksum: { value: old.sha1 },
      size_in_bytes: old.size,
      ...(old.mode === undefined ? {} : { mode: old.mode }),
    })),
  ]),
  { error: 'resources must be a JSON array of files' },
);
