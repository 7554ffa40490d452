/** What apps reach of each other, for all cells: network policies, names on internal domains, and those domains. */
import type { PeerItem } from '@cupola/contract/internal';
import type { ChangeKind } from '@cupola/store/schema';
import type { Change } from '@cupola/store/store';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../live-view.ts';
import type { Entry } from '../view-entries.ts';
import { inChunks } from './in-chunks.ts';

const KINDS: readonly ChangeKind[] = ['network_policy', 'route', 'domain'];
type Store = ApiDeps['store'];

export function peersView({ store }: Pick<ApiDeps, 'store'>): View {
  const read = async (guids: readonly string[] | null): Promise<Entry[]> =>
    [...(await policies(store, guids)), ...(await routes(store, guids)), ...(await domains(store, guids))].map(
      item => ({
        guid: item.guid,
        audience: null,
        text: JSON.stringify(item),
        dueAtMs: null,
      }),
    );
  return {
    all: () => read(null),
    some: guids => inChunks(guids, read),
    concerned: async (changes: readonly Change[]) =>
      changes.filter(({ kind }) => KINDS.includes(kind)).map(({ guid }) => guid),
  };
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
