/** Organization quotas: null is unlimited, 0 is none (CF: organization_quotas_create_message.rb, organization_quota_presenter.rb). */
import { z } from 'zod';
import { body, entityName, INT_MAX, links, relationship, stamps, toMany, toOne, wholeNumber } from './parts.ts';

/** CF's longest name of a quota. */
const name = entityName(250);
const limit = (label: string) => wholeNumber(label, { from: 0, to: INT_MAX }).nullable().exactOptional();
const bytes = (label: string) => wholeNumber(label, { from: 0 }).nullable().exactOptional();

const spaceLimits = {
  apps: body(
    {
      total_memory_in_mb: limit('Apps Total memory in mb'),
      per_process_memory_in_mb: limit('Apps Per process memory in mb'),
      total_instances: limit('Apps Total instances'),
      per_app_tasks: limit('Apps Per app tasks'),
      log_rate_limit_in_bytes_per_second: bytes('Apps Log rate limit in bytes per second'),
    },
    'Apps',
  )
    .nullable()
    .exactOptional(),
  services: body(
    {
      paid_services_allowed: z.boolean({ error: 'Services Paid services allowed must be a boolean' }).exactOptional(),
      total_service_instances: limit('Services Total service instances'),
      total_service_keys: limit('Services Total service keys'),
    },
    'Services',
  )
    .nullable()
    .exactOptional(),
  routes: body(
    {
      total_routes: limit('Routes Total routes'),
      total_reserved_ports: limit('Routes Total reserved ports'),
    },
    'Routes',
  )
    .nullable()
    .exactOptional(),
};
const limits = {
  ...spaceLimits,
  domains: body({ total_domains: limit('Domains Total domains') }, 'Domains')
    .nullable()
    .exactOptional(),
};

export const createSpaceQuota = body({
  name,
  ...spaceLimits,
  relationships: body({ organization: toOne('Organization'), spaces: toMany.exactOptional() }, 'Relationships'),
});
export type CreateSpaceQuota = z.infer<typeof createSpaceQuota>;
export const updateSpaceQuota = body({ name: name.exactOptional(), ...spaceLimits });
export type SpaceQuotaLimits = z.infer<typeof updateSpaceQuota>;
export const applySpaceQuota = body({ data: toMany.shape.data });

export const createOrganizationQuota = body({
  name,
  ...limits,
  relationships: body({ organizations: toMany.exactOptional() }, 'Relationships').exactOptional(),
});
export const updateOrganizationQuota = body({ name: name.exactOptional(), ...limits });
export type QuotaLimits = z.infer<typeof updateOrganizationQuota>;
export const applyOrganizationQuota = body({ data: toMany.shape.data });

const shownLimit = z.number().int().nullable();
const shownSpaceLimits = {
  apps: z.object({
    total_memory_in_mb: shownLimit,
    per_process_memory_in_mb: shownLimit,
    total_instances: shownLimit,
    per_app_tasks: shownLimit,
    log_rate_limit_in_bytes_per_second: shownLimit,
  }),
  services: z.object({
    paid_services_allowed: z.boolean(),
    total_service_instances: shownLimit,
    total_service_keys: shownLimit,
  }),
  routes: z.object({ total_routes: shownLimit, total_reserved_ports: shownLimit }),
};
const guids = z.object({ data: z.array(z.object({ guid: z.string() })) });
export const spaceQuotaAnswer = z.object({
  ...stamps,
  name: z.string(),
  ...shownSpaceLimits,
  relationships: z.object({ organization: relationship, spaces: guids }),
  links,
});
export type SpaceQuotaAnswer = z.infer<typeof spaceQuotaAnswer>;
export const organizationQuotaAnswer = z.object({
  ...stamps,
  name: z.string(),
  ...shownSpaceLimits,
  domains: z.object({ total_domains: shownLimit }),
  relationships: z.object({ organizations: guids }),
  links,
});
export type OrganizationQuotaAnswer = z.infer<typeof organizationQuotaAnswer>;
