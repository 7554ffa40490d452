import type { ApiDeps } from '../deps.ts';
import { quotaUse } from '../processes/quota.ts';

/** What counts against the quota (CF: organization_usage_summary_presenter.rb). Kinds that are not built are used by nobody. */
export async function usageSummary({ store, config }: Pick<ApiDeps, 'store' | 'config'>, organizationGuid: string) {
  const { memoryMb, instances } = await quotaUse(store.read, organizationGuid);
  const { routes } = await store.read
    .selectFrom('routes')
    .innerJoin('spaces', 'spaces.guid', 'routes.space_guid')
    .where('spaces.organization_guid', '=', organizationGuid)
    .select(eb => eb.fn.countAll<number>().as('routes'))
    .executeTakeFirstOrThrow();
  const { domains } = await store.read
    .selectFrom('domains')
    .where('organization_guid', '=', organizationGuid)
    .select(eb => eb.fn.countAll<number>().as('domains'))
    .executeTakeFirstOrThrow();
  const self = `${config.publicUrl}/v3/organizations/${organizationGuid}`;
  return {
    usage_summary: {
      started_instances: instances,
      memory_in_mb: memoryMb,
      routes,
      service_instances: 0,
      reserved_ports: 0,
      domains,
      per_app_tasks: 0,
      service_keys: 0,
    },
    links: { self: { href: `${self}/usage_summary` }, organization: { href: self } },
  };
}
