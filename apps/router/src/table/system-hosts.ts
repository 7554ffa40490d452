/**
 * The platform's own hosts over the routes of apps: they lead to the API, on the unix socket that it keeps for the router or, where this router has joined a
 * cluster, to its APIs; and no route can take one of them (threats.md 18). They are not in the table's items: nothing of them is kept on disk or comes by the
 * watch. While the API is swapped for a new one its requests wait.
 *
 * Of several APIs the same client's requests go to the same one, as long as it is there: what a client has caused is remembered by the API that it asked
 * (held-requests.md), and so are its failed logins.
 */
import { type Address, writeAddress } from '@cupola/certificates/members/dial';
import type { Backend, RouteEntry, RouteTable } from './route-table.ts';

export interface SystemHosts {
  /** Whole names, lower case. */
  readonly names: readonly string[];
  /** Where the API takes requests of the router: a unix socket, or the addresses at which members of the cluster call. Never empty. */
  readonly places: readonly (string | Address)[];
  /** How long a request waits for the API; `API_HOLD_MS` but in tests. */
  readonly holdMs?: number;
}

/** An upgrade, or a start after a crash, takes the API some seconds, on a busy machine more (ours). */
const API_HOLD_MS = 30_000;
/** Its socket is looked for again this often (ours). */
const API_RETRY_MS = 100;
const GUID = 'system';

export function withSystemHosts(table: RouteTable, system: SystemHosts | null): RouteTable {
  if (system === null) return table;
  const names = new Set(system.names);
  const entry = systemEntry(system);
  return {
    ...table,
    get size() {
      return table.size;
    },
    find: (host, target) => (names.has(host) ? entry : table.find(host, target)),
    hasHost: host => names.has(host) || table.hasHost(host),
    byGuid: guid => (guid === GUID ? entry : table.byGuid(guid)),
  };
}

function systemEntry({ places, holdMs = API_HOLD_MS }: SystemHosts): RouteEntry {
  const destination = {
    appGuid: '',
    appName: '',
    spaceName: '',
    organizationName: '',
    processGuid: '',
    processType: '',
    endpoints: [],
    holdMs: 0,
  };
  const pool = places.map((place, index): Backend => {
    const common = { instanceGuid: '', index, host: 'localhost', port: 80, destination };
    return typeof place === 'string'
      ? { key: `${GUID} ${place}`, ...common, socketPath: place }
      : { key: `${GUID} ${writeAddress(place)}`, ...common, api: { ...place, isAlone: places.length === 1 } };
  });
  const options = { loadbalancing: 'hash', hash_header: 'Authorization' };
  return {
    item: { guid: GUID, host: '', domain: '', path: '', destinations: [destination], options },
    pool,
    holdMs,
    retryMs: API_RETRY_MS,
  };
}
