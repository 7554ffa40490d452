/**
 * Host and path to route, in memory. An exact host comes before a wildcard, a nearer wildcard before a farther one, then the longest path; a host whose
 * paths do not match falls through to the next wildcard (CF: gorouter's registry). The same items in any order make the same table: where two routes
 * claim one key, the smaller guid has it until it goes.
 */
import type { Address } from '@cupola/certificates/members/dial';
import type { RouteItem } from '@cupola/contract/internal';
import { hostKey, pathKey, requestPath, wildcards } from './route-key.ts';

type Destination = RouteItem['destinations'][number];

/** One copy that serves a route. Its key tells it from every other copy and from itself at another address. */
export interface Backend {
  readonly key: string;
  readonly instanceGuid: string;
  readonly index: number;
  readonly host: string;
  readonly port: number;
  /** A unix socket to dial instead of host and port: the API's. */
  readonly socketPath?: string;
  /** An API to dial instead, as a member of its cluster; `isAlone`: there is no other one. */
  readonly api?: Address & { readonly isAlone: boolean };
  /** The agent to dial instead, on another machine. */
  readonly via?: NonNullable<Destination['endpoints'][number]['via']>;
  readonly destination: Destination;
}

export interface RouteEntry {
  readonly item: RouteItem;
  /** Copies of all destinations; none when no copy is healthy. */
  readonly pool: readonly Backend[];
  /** How long a request may wait for a copy, ms; 0: not at all. */
  readonly holdMs: number;
  /** While a request is held, its copies are tried again this often: the table says nothing of them. Absent: only when it says something new. */
  readonly retryMs?: number;
}

export interface RouteTable {
  /** Null when no route matches. `host` as `readHost` gave it, `target` as the request line had it. */
  find(host: string, target: string): RouteEntry | null;
  /** Whether any route has that host, by name or by a wildcard. */
  hasHost(host: string): boolean;
  /** The newest of what that route is; null once it is gone. */
  byGuid(guid: string): RouteEntry | null;
  replaceAll(items: readonly RouteItem[]): void;
  upsert(item: RouteItem): void;
  /** Unknown guids are no error. */
  remove(guid: string): void;
  items(): RouteItem[];
  readonly size: number;
}

export interface TableListener {
  /** That route was stated anew, or went away. */
  routeChanged(guid: string, entry: RouteEntry | null): void;
  /** No route names this copy at this address any more. */
  backendGone(key: string): void;
}

interface HostRoutes {
  /** By path key; sorted by guid, the first one counts. */
  readonly paths: Map<string, RouteEntry[]>;
  longest: number;
}

export function createRouteTable(listener: TableListener): RouteTable {
  const byGuid = new Map<string, RouteEntry>();
  const hosts = new Map<string, HostRoutes>();
  /** How many routes name a backend. */
  const references = new Map<string, number>();

  const link = (entry: RouteEntry): void => {
    const { item } = entry;
    const key = hostKey(item.host, item.domain);
    const routes = hosts.get(key) ?? { paths: new Map<string, RouteEntry[]>(), longest: 0 };
    hosts.set(key, routes);
    const path = pathKey(item.path);
    const claims = [...(routes.paths.get(path) ?? []), entry].sort((a, b) => (a.item.guid < b.item.guid ? -1 : 1));
    routes.paths.set(path, claims);
    routes.longest = Math.max(routes.longest, path.length);
    for (const backend of entry.pool) references.set(backend.key, (references.get(backend.key) ?? 0) + 1);
  };
  const unlink = (entry: RouteEntry): void => {
    const { item } = entry;
    const key = hostKey(item.host, item.domain);
    const routes = hosts.get(key);
    const path = pathKey(item.path);
    const claims = (routes?.paths.get(path) ?? []).filter(claim => claim !== entry);
    if (claims.length > 0) routes?.paths.set(path, claims);
    else routes?.paths.delete(path);
    if (routes?.paths.size === 0) hosts.delete(key);
    else if (routes !== undefined && path.length === routes.longest)
      routes.longest = Math.max(...[...routes.paths.keys()].map(known => known.length));
    for (const backend of entry.pool) references.set(backend.key, (references.get(backend.key) ?? 1) - 1);
  };
  const drop = (entry: RouteEntry): void => {
    for (const { key } of entry.pool)
      if (references.get(key) === 0) {
        references.delete(key);
        listener.backendGone(key);
      }
  };
  const set = (item: RouteItem): void => {
    const old = byGuid.get(item.guid);
    const entry = entryOf(item);
    if (old !== undefined) unlink(old);
    byGuid.set(item.guid, entry);
    link(entry);
    if (old !== undefined) drop(old);
    listener.routeChanged(item.guid, entry);
  };
  const remove = (guid: string): void => {
    const old = byGuid.get(guid);
    if (old === undefined) return;
    byGuid.delete(guid);
    unlink(old);
    drop(old);
    listener.routeChanged(guid, null);
  };

  return {
    find: (host, target) => {
      const exact = longestMatch(hosts.get(host), target);
      if (exact !== null) return exact;
      for (const wildcard of wildcards(host)) {
        const found = longestMatch(hosts.get(wildcard), target);
        if (found !== null) return found;
      }
      return null;
    },
    hasHost: host => hosts.has(host) || wildcards(host).some(wildcard => hosts.has(wildcard)),
    byGuid: guid => byGuid.get(guid) ?? null,
    upsert: set,
    remove,
    replaceAll: items => {
      const kept = new Set(items.map(item => item.guid));
      // New ones first: an address that moves from one route to another is never without a reference, and keeps its connections.
      for (const item of items) set(item);
      for (const guid of [...byGuid.keys()]) if (!kept.has(guid)) remove(guid);
    },
    items: () => [...byGuid.values()].map(entry => entry.item),
    get size() {
      return byGuid.size;
    },
  };
}

function entryOf(item: RouteItem): RouteEntry {
  const pool = item.destinations.flatMap(destination =>
    destination.endpoints.map(({ instanceGuid, index, host, port, via }) => ({
      key: `${instanceGuid} ${host}:${port}${via === undefined ? '' : ` ${via.host}:${via.port}`}`,
      instanceGuid,
      index,
      host,
      port,
      ...(via === undefined ? {} : { via }),
      destination,
    })),
  );
  return { item, pool, holdMs: Math.max(0, ...item.destinations.map(({ holdMs }) => holdMs)) };
}

/** Looks up the path, then each shorter prefix that ends before a slash. */
function longestMatch(routes: HostRoutes | undefined, target: string): RouteEntry | null {
  if (routes === undefined) return null;
  if (routes.longest === 0) return routes.paths.get('')?.[0] ?? null;
  let path = requestPath(target, routes.longest);
  // Cut in the middle of a segment: that segment goes on in the request, so it is no border.
  if (path.length > routes.longest) path = path.slice(0, path.lastIndexOf('/'));
  for (;;) {
    const found = routes.paths.get(path)?.[0];
    if (found !== undefined) return found;
    if (path === '') return null;
    path = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  }
}
