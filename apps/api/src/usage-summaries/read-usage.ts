/** What counts against quotas, in a space, an organization or all of them (CF: organization_usage_summary_presenter.rb, global_usage_summary_fetcher.rb). */
import type { Database } from '@cupola/store/schema';
import { type Kysely, sql } from 'kysely';
import { among, type Condition } from '../pages/filters.ts';

export interface UsageScope {
  spaceGuid?: string;
  organizationGuid?: string;
}

/** Managed services, their keys and reserved ports are nobody's: there are none. */
export async function readUsage(db: Kysely<Database>, { spaceGuid, organizationGuid }: UsageScope) {
  const ofSpace: Condition =
    spaceGuid !== undefined
      ? among('spaces.guid', [spaceGuid])
      : organizationGuid !== undefined
        ? among('spaces.organization_guid', [organizationGuid])
        : sql`1 = 1`;
  const ofOrganization: Condition =
    organizationGuid === undefined
      ? sql`domains.organization_guid is not null`
      : among('domains.organization_guid', [organizationGuid]);
  const started = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .where(ofSpace)
    .where('apps.state', '=', 'STARTED')
    .select(({ fn, eb }) => [
      fn.sum<number | null>('processes.instances').as('instances'),
      fn.sum<number | null>(eb('processes.instances', '*', eb.ref('processes.memory_mb'))).as('memory'),
    ])
    .executeTakeFirstOrThrow();
  const { routes } = await db
    .selectFrom('routes')
    .innerJoin('spaces', 'spaces.guid', 'routes.space_guid')
    .where(ofSpace)
    .select(eb => eb.fn.countAll<number>().as('routes'))
    .executeTakeFirstOrThrow();
  const { domains } = await db
    .selectFrom('domains')
    .where(ofOrganization)
    .select(eb => eb.fn.countAll<number>().as('domains'))
    .executeTakeFirstOrThrow();
  return {
    started_instances: started.instances ?? 0,
    memory_in_mb: started.memory ?? 0,
    routes,
    service_instances: 0,
    reserved_ports: 0,
    domains,
    per_app_tasks: 0,
    service_keys: 0,
  };
}
