/** The map of a space: routes, apps and services in three columns, and what leads where. Pure; places are rows of equal height, counted from the top. */

export interface MapNode {
  guid: string;
  name: string;
}
/** Between two columns: rows of the left one and the right one. */
export interface MapEdge {
  from: number;
  to: number;
}
export interface SpaceMap<App extends MapNode> {
  routes: MapNode[];
  apps: App[];
  services: MapNode[];
  /** From routes to apps. */
  requests: MapEdge[];
  /** From apps to services. */
  bindings: MapEdge[];
}

interface Facts<App extends MapNode> {
  /** As they are shown elsewhere: trouble first. */
  apps: readonly App[];
  routes: ReadonlyArray<MapNode & { appGuids: readonly string[] }>;
  services: readonly MapNode[];
  bindings: ReadonlyArray<{ appGuid: string; serviceGuid: string }>;
}

/** Apps keep their order; what they are connected with lies at their height, so that few lines cross, and what leads nowhere lies below. */
export function layOut<App extends MapNode>({ apps, routes, services, bindings }: Facts<App>): SpaceMap<App> {
  const rowOf = new Map(apps.map(({ guid }, row) => [guid, row]));
  const rowsOf = (guids: readonly string[]): number[] => [...new Set(guids.flatMap(guid => rowOf.get(guid) ?? []))];
  const routeRows = beside(routes.map(route => ({ node: route, rows: rowsOf(route.appGuids) })));
  const serviceRows = beside(
    services.map(service => ({
      node: service,
      rows: rowsOf(bindings.flatMap(({ appGuid, serviceGuid }) => (serviceGuid === service.guid ? [appGuid] : []))),
    })),
  );
  return {
    apps: [...apps],
    routes: routeRows.map(({ node }) => ({ guid: node.guid, name: node.name })),
    services: serviceRows.map(({ node }) => ({ guid: node.guid, name: node.name })),
    requests: routeRows.flatMap(({ rows }, from) => rows.map(to => ({ from, to }))),
    bindings: serviceRows.flatMap(({ rows }, to) => rows.map(from => ({ from, to }))),
  };
}

interface Connected {
  node: MapNode;
  rows: readonly number[];
}

function beside(all: readonly Connected[]): Connected[] {
  const height = ({ rows }: Connected): number =>
    rows.length === 0 ? Number.MAX_SAFE_INTEGER : rows.reduce((sum, row) => sum + row, 0) / rows.length;
  return all.toSorted((a, b) => height(a) - height(b) || a.node.name.localeCompare(b.node.name));
}
