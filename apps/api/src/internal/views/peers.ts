/**
 * What apps reach of each other, for all cells: network policies, names on internal domains, those domains, and where the instances are that either names. Of
 * which app an instance is says the placement, never the cell: others are let in on its word.
 */
import type { PeerItem } from '@cupola/contract/internal';
import type { ChangeKind } from '@cupola/store/schema';
import type { Change } from '@cupola/store/store';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../live-view.ts';
import type { Entry } from '../view-entries.ts';
import { inChunks } from './in-chunks.ts';

const KINDS: readonly ChangeKind[] = ['network_policy', 'route', 'domain', 'placement', 'copy', 'cell'];
type Store = ApiDeps['store'];

export function peersView({ store }: Pick<ApiDeps, 'store'>): View {
  const read = async (guids: readonly string[] | null): Promise<Entry[]> =>
    [
      ...(await policies(store, guids)),
      ...(await routes(store, guids)),
      ...(await domains(store, guids)),
      ...(await instances(store, guids)),
      ...(await cells(store, guids)),
    ].map(item => ({ guid: item.guid, audience: null, text: JSON.stringify(item), dueAtMs: null }));
  return {
    all: () => read(null),
    some: guids => inChunks(guids, read),
    concerned: async (changes: readonly Change[]) => {
      const named = changes.filter(({ kind }) => kind === 'network_policy' || kind === 'route').map(({ guid }) => guid);
      return [
        ...changes.filter(({ kind }) => KINDS.includes(kind)).map(({ guid }) => guid),
        ...(await inChunks(named, some => instancesNamedBy(store, some))),
      ];
    },
  };
}

/** Of the apps that these policies and routes name now. Those that nothing names any more stay told until they change: they are reached by nothing. */
async function instancesNamedBy({ read }: Store, guids: readonly string[]): Promise<string[]> {
  const rows = await read
    .selectFrom('placements')
    .select('guid')
    .where('app_guid', 'in', namedApps(read, guids))
    .execute();
  return rows.map(({ guid }) => guid);
}

/** Apps at either end of a policy, or behind a name on an internal domain. */
const namedApps = (read: Store['read'], guids: readonly string[] | null) =>
  read
    .selectFrom('network_policies')
    .select('source_app_guid as app_guid')
    .$if(guids !== null, query => query.where('guid', 'in', [...(guids ?? [])]))
    .union(
      read
        .selectFrom('network_policies')
        .select('destination_app_guid as app_guid')
        .$if(guids !== null, query => query.where('guid', 'in', [...(guids ?? [])])),
    )
    .union(
      read
        .selectFrom('route_destinations')
        .innerJoin('routes', 'routes.guid', 'route_destinations.route_guid')
        .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
        .where('domains.internal', '=', 1)
        .$if(guids !== null, query => query.where('routes.guid', 'in', [...(guids ?? [])]))
        .select('route_destinations.app_guid'),
    );

async function instances({ read }: Store, guids: readonly string[] | null): Promise<PeerItem[]> {
  const rows = await read
    .selectFrom('placements')
    .leftJoin('processes', 'processes.guid', 'placements.process_guid')
    .leftJoin('copies', join =>
      join.onRef('copies.guid', '=', 'placements.guid').onRef('copies.cell_id', '=', 'placements.cell_id'),
    )
    .where('placements.app_guid', 'in', namedApps(read, null))
    .$if(guids !== null, query => query.where('placements.guid', 'in', [...(guids ?? [])]))
    .select(['placements.guid', 'placements.app_guid', 'placements.index_number', 'placements.cell_id'])
    .select(['processes.type', 'copies.state', 'copies.routable'])
    .execute();
  return rows.map(row => ({
    kind: 'instance',
    guid: row.guid,
    appGuid: row.app_guid,
    processType: row.type,
    index: row.index_number,
    cellId: row.cell_id,
    isHealthy: row.type !== null && row.state === 'RUNNING' && row.routable === 1,
  }));
}

async function cells({ read }: Store, guids: readonly string[] | null): Promise<PeerItem[]> {
  const rows = await read
    .selectFrom('cells')
    .select(['cell_id', 'forward_host', 'forward_port'])
    .where('state', '!=', 'LOST')
    .$if(guids !== null, query => query.where('cell_id', 'in', [...(guids ?? [])]))
    .execute();
  return rows.flatMap(({ cell_id: guid, forward_host: host, forward_port: port }) =>
    host === null || port === null ? [] : [{ kind: 'cell', guid, host, port }],
  );
}

async function policies({ read }: Store, guids: readonly string[] | null): Promise<PeerItem[]> {
  const rows = await read
    .selectFrom('network_policies')
    .selectAll()
    .$if(guids !== null, query => query.where('guid', 'in', [...(guids ?? [])]))
    .execute();
  return rows.map(row => ({
    kind: 'policy',
    guid: row.guid,
    sourceAppGuid: row.source_app_guid,
    destinationAppGuid: row.destination_app_guid,
    protocol: row.protocol,
    ports: [row.first_port, row.last_port],
  }));
}

async function routes({ read }: Store, guids: readonly string[] | null): Promise<PeerItem[]> {
  const rows = await read
    .selectFrom('routes')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .leftJoin('route_destinations', 'route_destinations.route_guid', 'routes.guid')
    .where('domains.internal', '=', 1)
    .$if(guids !== null, query => query.where('routes.guid', 'in', [...(guids ?? [])]))
    .select(['routes.guid', 'routes.host', 'domains.name as domain'])
    .select(['route_destinations.app_guid', 'route_destinations.process_type'])
    .orderBy('routes.guid')
    .orderBy('route_destinations.guid')
    .execute();
  return [...Map.groupBy(rows, ({ guid }) => guid)].map(([guid, [first, ...more]]) => ({
    kind: 'route',
    guid,
    name: `${first?.host}.${first?.domain}`.toLowerCase(),
    destinations: [first, ...more].flatMap(row =>
      row === undefined || row.app_guid === null || row.process_type === null
        ? []
        : [{ appGuid: row.app_guid, processType: row.process_type }],
    ),
  }));
}

async function domains({ read }: Store, guids: readonly string[] | null): Promise<PeerItem[]> {
  const rows = await read
    .selectFrom('domains')
    .select(['guid', 'name'])
    .where('internal', '=', 1)
    .$if(guids !== null, query => query.where('guid', 'in', [...(guids ?? [])]))
    .execute();
  return rows.map(({ guid, name }) => ({ kind: 'domain', guid, name: name.toLowerCase() }));
}
