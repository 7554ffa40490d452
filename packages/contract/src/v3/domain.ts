/** Domains: bodies and answers (CF: domain_create_message.rb, domain_presenter.rb). */
import { z } from 'zod';
import { body, links, metadata, metadataBody, relationship, stamps, toMany } from './parts.ts';

const LABEL = '([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9])';
const RFC_1035 = new RegExp(`^(${LABEL}\\.)+${LABEL}$`, 'i');

const name = z
  .string({ error: "Name can't be blank" })
  .min(3, { error: 'Name is too short (minimum is 3 characters)' })
  .max(253, { error: 'Name is too long (maximum is 253 characters)' })
  .refine(text => RFC_1035.test(text), { error: 'Name does not comply with RFC 1035 standards' })
  .refine(text => text.includes('.'), { error: 'Name must contain at least one "."' })
  .refine(text => text.split('.').every(label => label.length <= 63), {
    error: 'Name subdomains must each be at most 63 characters',
  })
  .refine(text => !/[^a-z0-9\-.]/i.test(text), { error: 'Name must consist of alphanumeric characters and hyphens' });

const organization = z.object(
  { data: z.object({ guid: z.string().min(1).max(200) }) },
  {
    error: 'Relationships Organization must be structured like this: "organization: {"data": {"guid": "valid-guid"}}"',
  },
);

export const createDomain = body({
  name,
  internal: z.boolean({ error: 'Internal must be a boolean' }).nullable().exactOptional(),
  router_group: z
    .object(
      { guid: z.string({ error: 'Router group guid must be a string' }) },
      { error: 'Router group must be an object' },
    )
    .nullable()
    .exactOptional(),
  relationships: body(
    { organization: organization.exactOptional(), shared_organizations: toMany.exactOptional() },
    'Relationships',
  ).exactOptional(),
  metadata: metadataBody.exactOptional(),
}).superRefine(({ internal, relationships, router_group }, context) => {
  const say = (message: string): void => context.addIssue({ code: 'custom', message });
  if (relationships !== undefined && relationships.organization === undefined)
    say(
      relationships.shared_organizations === undefined
        ? 'Relationships must be an object with an organization'
        : 'Relationships cannot contain shared_organizations without an owning organization.',
    );
  if (internal === true && relationships !== undefined) say('Cannot associate an internal domain with an organization');
  if (relationships !== undefined && (router_group ?? null) !== null)
    say('Domains scoped to an organization cannot be associated to a router group.');
});
export type CreateDomain = z.infer<typeof createDomain>;

export const updateDomain = body({ metadata: metadataBody.exactOptional() });
export const shareDomain = body({ data: toMany.shape.data });

export const domainAnswer = z.object({
  ...stamps,
  name: z.string(),
  internal: z.boolean(),
  router_group: z.object({ guid: z.string() }).nullable(),
  supported_protocols: z.array(z.string()),
  relationships: z.object({
    organization: relationship,
    shared_organizations: z.object({ data: z.array(z.object({ guid: z.string() })) }),
  }),
  metadata,
  links,
});
export type DomainAnswer = z.infer<typeof domainAnswer>;
