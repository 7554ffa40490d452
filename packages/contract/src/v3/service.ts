/** Service instances and their bindings: bodies and answers (CF: service_instance_create_user_provided_message.rb, service_instance_presenter.rb). */
import { z } from 'zod';
import { body, links, metadata, metadataBody, relationship, stamps, toOne } from './parts.ts';

/** Of all tags of one instance together (CF: ServiceInstanceTagsTooLong). */
const TAGS_CHARS_MAX = 2_048;
const URL_CHARS_MAX = 10_000;

const name = z
  .string({ error: issue => (issue.input === undefined ? "Name can't be blank" : 'Name must be a string') })
  .min(1, { error: "Name can't be blank", abort: true })
  .max(255, { error: 'Name is too long (maximum is 255 characters)' });

const tags = z
  .array(z.string({ error: 'Tags must be a list of strings' }), { error: 'Tags must be an array' })
  .refine(list => list.join('').length <= TAGS_CHARS_MAX, {
    error: `Combined length of tags must be ${TAGS_CHARS_MAX} characters or less.`,
  })
  .nullable();

/** Empty text takes it away. */
function url(label: string) {
  return z
    .string({ error: `${label} must be a valid URI` })
    .max(URL_CHARS_MAX, { error: `${label} is too long (maximum is ${URL_CHARS_MAX} characters)` })
    .refine(text => text === '' || /^[a-z][a-z0-9+.-]*:[^\s]+$/i.test(text), { error: `${label} must be a valid URI` })
    .nullable();
}

const credentials = z.record(z.string(), z.unknown(), { error: 'Credentials must be an object' }).nullable();
const secrets = {
  credentials: credentials.exactOptional(),
  syslog_drain_url: url('Syslog drain url').exactOptional(),
  route_service_url: url('Route service url')
    .refine(text => text === null || text === '' || text.startsWith('https:'), {
      error: 'Route service url must be https',
    })
    .exactOptional(),
};

export const createServiceInstance = body({
  type: z.enum(['managed', 'user-provided'], { error: "Type must be one of 'managed', 'user-provided'" }),
  name,
  relationships: body({ space: toOne('Space'), service_plan: toOne('Service plan').exactOptional() }, 'Relationships'),
  tags: tags.exactOptional(),
  ...secrets,
  parameters: z.record(z.string(), z.unknown(), { error: 'Parameters must be an object' }).nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
}).superRefine(({ type, parameters, relationships }, context) => {
  if (type !== 'user-provided') return;
  if (parameters !== undefined) context.addIssue({ code: 'custom', message: "Unknown field(s): 'parameters'" });
  if (relationships.service_plan !== undefined)
    context.addIssue({ code: 'custom', message: "Relationships Unknown field(s): 'service_plan'" });
});
export type CreateServiceInstance = z.infer<typeof createServiceInstance>;

export const updateServiceInstance = body({
  name: name.exactOptional(),
  tags: tags.exactOptional(),
  ...secrets,
  metadata: metadataBody.exactOptional(),
});
export type UpdateServiceInstance = z.infer<typeof updateServiceInstance>;

const operation = z.object({
  type: z.string(),
  state: z.string(),
  description: z.string(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});
export const serviceInstanceAnswer = z.object({
  ...stamps,
  name: z.string(),
  tags: z.array(z.string()),
  last_operation: operation,
  type: z.literal('user-provided'),
  syslog_drain_url: z.string().nullable(),
  route_service_url: z.string().nullable(),
  relationships: z.object({ space: relationship }),
  metadata,
  links,
});
export type ServiceInstanceAnswer = z.infer<typeof serviceInstanceAnswer>;

export const createServiceBinding = body({
  type: z.enum(['app', 'key'], { error: "Type must be 'app' or 'key'" }),
  name: z
    .string({ error: 'Name must be a string' })
    .max(255, { error: 'Name is too long (maximum is 255 characters)' })
    .nullable()
    .exactOptional(),
  strategy: z.enum(['single', 'multiple'], { error: "Strategy must be 'single' or 'multiple'" }).exactOptional(),
  relationships: body(
    { service_instance: toOne('Service instance'), app: toOne('App').exactOptional() },
    'Relationships',
  ),
  parameters: z.record(z.string(), z.unknown(), { error: 'Parameters must be an object' }).nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type CreateServiceBinding = z.infer<typeof createServiceBinding>;
export const updateServiceBinding = body({ metadata: metadataBody.exactOptional() });

export const serviceBindingAnswer = z.object({
  ...stamps,
  name: z.string().nullable(),
  type: z.literal('app'),
  last_operation: operation,
  metadata,
  relationships: z.object({ service_instance: relationship, app: relationship }),
  links,
});
export type ServiceBindingAnswer = z.infer<typeof serviceBindingAnswer>;
export const serviceBindingDetails = z.object({
  credentials: z.record(z.string(), z.unknown()),
  syslog_drain_url: z.string().exactOptional(),
  volume_mounts: z.array(z.unknown()),
});
