/** Columns of an organization quota beside the names of its limits on the wire: null is unlimited on both sides. */
import type { OrganizationQuotaAnswer, QuotaLimits } from '@cupola/contract/v3/organization-quota';
import type { OrganizationQuotasTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { isoTime } from '../http/iso-time.ts';

export type QuotaRow = Selectable<OrganizationQuotasTable>;
type LimitColumns = Omit<QuotaRow, 'guid' | 'created_at' | 'updated_at' | 'name'>;

/** What a quota limits of which nothing was said (CF: paid services are allowed). */
export const NO_LIMITS: LimitColumns = {
  total_memory_mb: null,
  per_process_memory_mb: null,
  total_instances: null,
  log_rate_limit_bytes: null,
  total_services: null,
  paid_services_allowed: 1,
  total_routes: null,
  total_reserved_ports: null,
  total_domains: null,
  per_app_tasks: null,
  total_service_keys: null,
};

/** Columns for what a body names; what it leaves out is left out. */
export function limitColumns({ apps, services, routes, domains }: QuotaLimits): Partial<LimitColumns> {
  const paid = services?.paid_services_allowed;
  const columns = {
    total_memory_mb: apps?.total_memory_in_mb,
    per_process_memory_mb: apps?.per_process_memory_in_mb,
    total_instances: apps?.total_instances,
    per_app_tasks: apps?.per_app_tasks,
    log_rate_limit_bytes: apps?.log_rate_limit_in_bytes_per_second,
    total_services: services?.total_service_instances,
    total_service_keys: services?.total_service_keys,
    paid_services_allowed: paid === undefined ? undefined : paid ? 1 : 0,
    total_routes: routes?.total_routes,
    total_reserved_ports: routes?.total_reserved_ports,
    total_domains: domains?.total_domains,
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

/** @param organizationGuids those that it is applied to, as far as the asker may see them. */
export function presentQuota(
  quota: QuotaRow,
  organizationGuids: readonly string[],
  baseUrl: string,
): OrganizationQuotaAnswer {
  return {
    ...presentLimits(quota),
    domains: { total_domains: quota.total_domains },
    relationships: { organizations: { data: organizationGuids.map(guid => ({ guid })) } },
    links: { self: { href: `${baseUrl}/v3/organization_quotas/${quota.guid}` } },
  };
}

/** What quotas of organizations and of spaces have in common. */
export function presentLimits(quota: Omit<QuotaRow, 'total_domains'>) {
  return {
    guid: quota.guid,
    created_at: isoTime(quota.created_at),
    updated_at: isoTime(quota.updated_at),
    name: quota.name,
    apps: {
      total_memory_in_mb: quota.total_memory_mb,
      per_process_memory_in_mb: quota.per_process_memory_mb,
      total_instances: quota.total_instances,
      per_app_tasks: quota.per_app_tasks,
      log_rate_limit_in_bytes_per_second: quota.log_rate_limit_bytes,
    },
    services: {
      paid_services_allowed: quota.paid_services_allowed === 1,
      total_service_instances: quota.total_services,
      total_service_keys: quota.total_service_keys,
    },
    routes: { total_routes: quota.total_routes, total_reserved_ports: quota.total_reserved_ports },
  };
}
