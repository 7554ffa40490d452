/** Organizations: bodies and answers (CF: organization_create_message.rb, organization_presenter.rb). */
import { z } from 'zod';
import { body, entityName, links, metadata, metadataBody, relationship, stamps } from './parts.ts';

const suspended = z.boolean({ error: 'Suspended must be a boolean' }).nullable();

export const createOrganization = body({
  name: entityName(),
  suspended: suspended.exactOptional(),
  metadata: metadataBody.exactOptional(),
});
export type CreateOrganization = z.infer<typeof createOrganization>;

export const updateOrganization = body({
  name: entityName().nullable().exactOptional(),
  suspended: suspended.exactOptional(),
  metadata: metadataBody.exactOptional(),
});

export const organizationAnswer = z.object({
  ...stamps,
  name: z.string(),
  suspended: z.boolean(),
  relationships: z.object({ quota: relationship }),
  metadata,
  links,
});
export type OrganizationAnswer = z.infer<typeof organizationAnswer>;

const used = z.number().int();
export const usageSummaryAnswer = z.object({
  usage_summary: z.object({
    started_instances: used,
    memory_in_mb: used,
    routes: used,
    service_instances: used,
    reserved_ports: used,
    domains: used,
    per_app_tasks: used,
    service_keys: used,
  }),
  links,
});
