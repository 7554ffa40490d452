/** Apps: bodies and answers (CF: app_create_message.rb, app_update_message.rb, app_presenter.rb). */
import { APP_STATES } from '@cupola/model/states';
import { z } from 'zod';
import { body, links, metadata, metadataBody, relationship, stamps, toOne } from './parts.ts';

const name = z
  .string({ error: 'Name must be a string' })
  .min(1, { error: 'Name must not be blank' })
  .max(255, { error: 'Name is too long (maximum is 255 characters)' })
  .regex(/^[\p{L}\p{N}\p{P}\p{S} ]+$/u, { error: 'Name must consist of printable characters' });

const stackName = z
  .string({ error: 'Lifecycle Stack must be a string' })
  .min(1, { error: 'Lifecycle Stack must be between 1 and 4096 characters' })
  .max(4_096, { error: 'Lifecycle Stack must be between 1 and 4096 characters' });
const buildpack = z
  .string({ error: 'Lifecycle Buildpacks can only contain strings' })
  .trim()
  .min(1, { error: 'Lifecycle Buildpacks entries must be between 1 and 4096 characters' })
  .max(4_096, { error: 'Lifecycle Buildpacks entries must be between 1 and 4096 characters' });
const lifecycleData = z.strictObject(
  {
    buildpacks: z.array(buildpack, { error: 'Lifecycle Buildpacks must be an array' }).nullable().exactOptional(),
    stack: stackName.nullable().exactOptional(),
    credentials: z.record(z.string(), z.unknown()).nullable().exactOptional(),
  },
  {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? `Lifecycle Unknown field(s): '${issue.keys.join("', '")}'`
        : 'Lifecycle data must be an object',
  },
);
export const lifecycle = z.object(
  {
    type: z
      .enum(['buildpack', 'docker', 'cnb'], {
        error: 'Lifecycle type is not included in the list: buildpack, docker, cnb',
      })
      .exactOptional(),
    data: lifecycleData,
  },
  { error: 'Lifecycle must be an object' },
);
export type LifecycleBody = z.infer<typeof lifecycle>;

/** Names and values are judged with CF's rules by the API: `VCAP_` and PORT are not the user's. */
const variables = z.record(z.string(), z.unknown(), { error: 'Environment variables must be an object' });

export const createApp = body({
  name,
  relationships: body({ space: toOne('Space') }),
  lifecycle: lifecycle.exactOptional(),
  environment_variables: variables.nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type CreateApp = z.infer<typeof createApp>;

export const updateApp = body({
  name: name.nullable().exactOptional(),
  lifecycle: lifecycle.exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type UpdateApp = z.infer<typeof updateApp>;

export const updateVariables = body({ var: z.record(z.string(), z.unknown(), { error: 'Var must be an object' }) });

export const assignDroplet = z.object({
  data: z.object({ guid: z.string().max(200) }).nullable(),
});

export const updateFeature = body({ enabled: z.boolean({ error: 'Enabled must be a boolean' }) });

export const app = z.object({
  ...stamps,
  name: z.string(),
  state: z.enum(APP_STATES),
  lifecycle: z.object({
    type: z.string(),
    data: z.object({ buildpacks: z.array(z.string()).exactOptional(), stack: z.string().exactOptional() }),
  }),
  relationships: z.object({
    space: relationship,
    current_droplet: z.object({ data: z.object({ guid: z.string().nullable() }) }),
  }),
  metadata,
  links,
});
export type AppAnswer = z.infer<typeof app>;

export const appEnvironment = z.object({
  environment_variables: z.record(z.string(), z.string()),
  staging_env_json: z.record(z.string(), z.string()),
  running_env_json: z.record(z.string(), z.string()),
  system_env_json: z.record(z.string(), z.unknown()),
  application_env_json: z.record(z.string(), z.unknown()),
});
export const appVariables = z.object({ var: z.record(z.string(), z.string()), links });
export const appFeature = z.object({ name: z.string(), description: z.string(), enabled: z.boolean() });
export const sshStatus = z.object({ enabled: z.boolean(), reason: z.string() });
export const appPermissions = z.object({ read_basic_data: z.boolean(), read_sensitive_data: z.boolean() });
export const appDropletRelationship = z.object({ data: z.object({ guid: z.string() }), links });
