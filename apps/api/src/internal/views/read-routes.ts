/** Reads what routes lead to: three queries, whatever the number of routes. */
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import type { RoutedCopy, RoutedProcess, RouteFacts } from './route-item.ts';

/** @param guids few enough for one statement; null: all routes. */
export async function readRoutes(db: Kysely<Database>, guids: readonly string[] | null): Promise<RouteFacts[]> {
  const routes = await db
    .selectFrom('routes')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .select(['routes.guid', 'routes.host', 'routes.path', 'routes.options_json', 'domains.name as domain'])
    // Names on internal domains lead to instances themselves (peers.ts), never from outside.
    .where('domains.internal', '=', 0)
    .$if(guids !== null, query => query.where('routes.guid', 'in', [...(guids ?? [])]))
    .execute();
  const processes = await readProcesses(db, guids);
  return routes.map(({ guid, host, path, options_json, domain }) => ({
    guid,
    host,
    domain,
    path,
    options: JSON.parse(options_json) as Record<string, string>,
    processes: processes.get(guid) ?? [],
  }));
}

/** By route, in the order of its destinations. */
async function readProcesses(
  db: Kysely<Database>,
  guids: readonly string[] | null,
): Promise<Map<string, RoutedProcess[]>> {
  const rows = await db
    .selectFrom('route_destinations as to')
    .innerJoin('apps', 'apps.guid', 'to.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .innerJoin('processes', join =>
      join.onRef('processes.app_guid', '=', 'to.app_guid').onRef('processes.type', '=', 'to.process_type'),
    )
    .select(['to.route_guid', 'apps.guid as app_guid', 'apps.name as app_name', 'apps.state', 'apps.stopped_at'])
    .select(['spaces.name as space_name', 'organizations.name as organization_name'])
    .select(['processes.guid as process_guid', 'processes.type', 'processes.instances', 'processes.run_spec_guid'])
    .select(['processes.planned_at', 'processes.health_check_timeout_s'])
    .$if(guids !== null, query => query.where('to.route_guid', 'in', [...(guids ?? [])]))
    .orderBy('to.created_at')
    .orderBy('to.guid')
    .orderBy('processes.guid')
    .execute();
  const copies = await readCopies(db, guids);
  const byRoute = new Map<string, RoutedProcess[]>();
  for (const row of rows) {
    const { health_check_timeout_s: timeoutS } = row;
    append(byRoute, row.route_guid, {
      appGuid: row.app_guid,
      appName: row.app_name,
      spaceName: row.space_name,
      organizationName: row.organization_name,
      processGuid: row.process_guid,
      processType: row.type,
      isStarted: row.state === 'STARTED',
      stoppedAt: row.stopped_at,
      instances: row.instances,
      runSpecGuid: row.run_spec_guid,
      plannedAt: row.planned_at,
      startTimeoutMs: timeoutS === null ? INSTANCE_LIMITS.startTimeoutMs : timeoutS * 1_000,
      copies: copies.get(row.process_guid) ?? [],
    });
  }
  return byRoute;
}

/** Copies with a placement, by process. */
async function readCopies(db: Kysely<Database>, guids: readonly string[] | null): Promise<Map<string, RoutedCopy[]>> {
  const apps = db
    .selectFrom('route_destinations')
    .select('app_guid')
    .$if(guids !== null, query => query.where('route_guid', 'in', [...(guids ?? [])]));
  const rows = await db
    .selectFrom('copies')
    // Of which process it is says the placement: an agent that told something else would get requests of another app.
    .innerJoin('placements', join =>
      join.onRef('placements.guid', '=', 'copies.guid').onRef('placements.process_guid', '=', 'copies.process_guid'),
    )
    .leftJoin('cells', 'cells.cell_id', 'copies.cell_id')
    .where('copies.app_guid', 'in', apps)
    .select(['copies.guid', 'copies.process_guid', 'copies.index_number', 'copies.run_spec_guid', 'copies.state'])
    .select(['copies.routable', 'copies.host', 'copies.port', 'copies.crash_count'])
    .select(['copies.cell_id', 'cells.forward_host', 'cells.forward_port'])
    .execute();
  const byProcess = new Map<string, RoutedCopy[]>();
  for (const row of rows)
    append(byProcess, row.process_guid, {
      guid: row.guid,
      index: row.index_number,
      runSpecGuid: row.run_spec_guid,
      state: row.state,
      isRoutable: row.routable === 1,
      host: row.host,
      port: row.port,
      via:
        row.forward_host === null || row.forward_port === null
          ? null
          : { cellId: row.cell_id, host: row.forward_host, port: row.forward_port },
      crashCount: row.crash_count,
    });
  return byProcess;
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  list.push(value);
}
