/** Reads what routes lead to, in five queries whatever the number of routes. */
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { CopyState } from '@cupola/model/states';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';

export interface RoutedCopy {
  guid: string;
  index: number;
  runSpecGuid: string;
  state: CopyState;
  routable: boolean;
  host: string | null;
  port: number | null;
  crashCount: number;
  since: number;
}
export interface RouteFacts {
  guid: string;
  host: string;
  domain: string;
  path: string;
  options: Record<string, string>;
  /** One for each process that a destination leads to. */
  destinations: Array<{
    appGuid: string;
    appName: string;
    isStarted: boolean;
    stoppedAt: number | null;
    spaceName: string;
    organizationName: string;
    processGuid: string;
    processType: string;
    instances: number;
    runSpecGuid: string | null;
    plannedAt: number | null;
    startTimeoutMs: number;
    /** Of the newest placement; null without one. */
    placedAt: number | null;
    copies: RoutedCopy[];
  }>;
}

/** As many as one statement takes without growing huge; a whole table is read without a list. */
const CHUNK = 500;

/** @param guids null: all routes. */
export async function readRouteFacts(db: Kysely<Database>, guids: readonly string[] | null): Promise<RouteFacts[]> {
  if (guids === null) return readChunk(db, null);
  const found: RouteFacts[] = [];
  for (let from = 0; from < guids.length; from += CHUNK)
    found.push(...(await readChunk(db, guids.slice(from, from + CHUNK))));
  return found;
}

async function readChunk(db: Kysely<Database>, guids: readonly string[] | null): Promise<RouteFacts[]> {
  const routes = await db
    .selectFrom('routes')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .select(['routes.guid', 'routes.host', 'routes.path', 'routes.options_json', 'domains.name as domain'])
    .$if(guids !== null, query => query.where('routes.guid', 'in', [...(guids ?? [])]))
    .execute();
  const destinations = await readDestinations(db, guids);
  return routes.map(({ guid, host, path, options_json, domain }) => ({
    guid,
    host,
    domain,
    path,
    options: JSON.parse(options_json) as Record<string, string>,
    destinations: destinations.get(guid) ?? [],
  }));
}

async function readDestinations(
  db: Kysely<Database>,
  guids: readonly string[] | null,
): Promise<Map<string, RouteFacts['destinations']>> {
  const rows = await db
    .selectFrom('route_destinations as to')
    .innerJoin('apps', 'apps.guid', 'to.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .innerJoin('processes', join =>
      join.onRef('processes.app_guid', '=', 'to.app_guid').onRef('processes.type', '=', 'to.process_type'),
    )
    .select([
      'to.route_guid',
      'apps.guid as app_guid',
      'apps.name as app_name',
      'apps.state',
      'apps.stopped_at',
      'spaces.name as space_name',
      'organizations.name as organization_name',
      'processes.guid as process_guid',
      'processes.type as process_type',
      'processes.instances',
      'processes.run_spec_guid',
      'processes.planned_at',
      'processes.health_check_timeout_s',
    ])
    .$if(guids !== null, query => query.where('to.route_guid', 'in', [...(guids ?? [])]))
    .orderBy('to.created_at')
    .orderBy('to.guid')
    .execute();
  const processes = guids === null ? null : [...new Set(rows.map(({ process_guid }) => process_guid))];
  const copies = await readCopies(db, processes);
  const placed = await readPlaced(db, processes);
  const byRoute = new Map<string, RouteFacts['destinations']>();
  for (const row of rows) {
    const list = byRoute.get(row.route_guid) ?? [];
    byRoute.set(row.route_guid, list);
    list.push({
      appGuid: row.app_guid,
      appName: row.app_name,
      isStarted: row.state === 'STARTED',
      stoppedAt: row.stopped_at,
      spaceName: row.space_name,
      organizationName: row.organization_name,
      processGuid: row.process_guid,
      processType: row.process_type,
      instances: row.instances,
      runSpecGuid: row.run_spec_guid,
      plannedAt: row.planned_at,
      startTimeoutMs:
        row.health_check_timeout_s === null ? INSTANCE_LIMITS.startTimeoutMs : row.health_check_timeout_s * 1_000,
      placedAt: placed.get(row.process_guid) ?? null,
      copies: copies.get(row.process_guid) ?? [],
    });
  }
  return byRoute;
}

async function readCopies(db: Kysely<Database>, processes: string[] | null): Promise<Map<string, RoutedCopy[]>> {
  const byProcess = new Map<string, RoutedCopy[]>();
  if (processes?.length === 0) return byProcess;
  const rows = await db
    .selectFrom('copies')
    .select([
      'guid',
      'process_guid',
      'index_number',
      'run_spec_guid',
      'state',
      'routable',
      'host',
      'port',
      'crash_count',
      'since',
    ])
    .$if(processes !== null, query => query.where('process_guid', 'in', processes ?? []))
    .execute();
  for (const row of rows) {
    const list = byProcess.get(row.process_guid) ?? [];
    byProcess.set(row.process_guid, list);
    list.push({
      guid: row.guid,
      index: row.index_number,
      runSpecGuid: row.run_spec_guid,
      state: row.state,
      routable: row.routable === 1,
      host: row.host,
      port: row.port,
      crashCount: row.crash_count,
      since: row.since,
    });
  }
  return byProcess;
}

async function readPlaced(db: Kysely<Database>, processes: string[] | null): Promise<Map<string, number>> {
  if (processes?.length === 0) return new Map();
  const rows = await db
    .selectFrom('placements')
    .select(({ fn }) => ['process_guid', fn.max('placed_at').as('placed_at')])
    .$if(processes !== null, query => query.where('process_guid', 'in', processes ?? []))
    .groupBy('process_guid')
    .execute();
  return new Map(rows.map(({ process_guid, placed_at }) => [process_guid, placed_at]));
}
