/** Routes as routers need them (route-item.ts), and which changes concern which of them. */
import type { Change } from '@cupola/store/store';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../live-view.ts';
import type { Entry } from '../view-entries.ts';
import { inChunks } from './in-chunks.ts';
import { readRoutes } from './read-routes.ts';
import { type RouteFacts, routeItem } from './route-item.ts';

type Deps = Pick<ApiDeps, 'store' | 'now'>;

export function routesView({ store, now }: Deps): View {
  const startedAt = now();
  /** A copy that is gone cannot be looked up any more: whose it was is remembered from when its route was read, until it is told to be gone. */
  const appOf = new Map<string, string>();
  const toEntry = (facts: RouteFacts): Entry => {
    for (const { appGuid, copies } of facts.processes) for (const { guid } of copies) appOf.set(guid, appGuid);
    const { item, dueAtMs } = routeItem(facts, { now: now(), startedAt });
    return { guid: item.guid, audience: null, text: JSON.stringify(item), dueAtMs };
  };
  const appsOfParts = async (parts: readonly string[]): Promise<string[]> => {
    const present = await readOwners(store, parts);
    const apps = [...present.map(({ app_guid }) => app_guid), ...parts.flatMap(guid => appOf.get(guid) ?? [])];
    const alive = new Set(present.map(({ guid }) => guid));
    for (const guid of parts) if (!alive.has(guid)) appOf.delete(guid);
    return apps;
  };
  return {
    all: async () => (await readRoutes(store.read, null)).map(toEntry),
    some: guids => inChunks(guids, async some => (await readRoutes(store.read, some)).map(toEntry)),
    concerned: async changes => {
      const apps = [
        ...guidsOf(changes, 'app'),
        ...(await appsOfParts(guidsOf(changes, 'process', 'copy', 'placement'))),
        ...(await appsOnCells(store, guidsOf(changes, 'cell'))),
      ];
      return [...guidsOf(changes, 'route'), ...(await routesOf(store, [...new Set(apps)]))];
    },
  };
}

function guidsOf(changes: readonly Change[], ...kinds: Change['kind'][]): string[] {
  return [...new Set(changes.filter(({ kind }) => kinds.includes(kind)).map(({ guid }) => guid))];
}

/** Whose process, copy or placement it is, of those that are there. */
async function readOwners({ read }: Deps['store'], guids: readonly string[]) {
  return inChunks(guids, some =>
    read
      .selectFrom('processes')
      .select(['guid', 'app_guid'])
      .where('guid', 'in', some)
      .union(read.selectFrom('copies').select(['guid', 'app_guid']).where('guid', 'in', some))
      .union(read.selectFrom('placements').select(['guid', 'app_guid']).where('guid', 'in', some))
      .execute(),
  );
}

/** Where a cell takes connections may have changed. */
async function appsOnCells({ read }: Deps['store'], cells: readonly string[]): Promise<string[]> {
  return inChunks(cells, async some => {
    const rows = await read.selectFrom('copies').select('app_guid').distinct().where('cell_id', 'in', some).execute();
    return rows.map(({ app_guid }) => app_guid);
  });
}

async function routesOf({ read }: Deps['store'], apps: readonly string[]): Promise<string[]> {
  return inChunks(apps, async some => {
    const rows = await read
      .selectFrom('route_destinations')
      .select('route_guid')
      .distinct()
      .where('app_guid', 'in', some)
      .execute();
    return rows.map(({ route_guid }) => route_guid);
  });
}
