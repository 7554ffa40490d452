/**
 * Routes as routers need them: where each leads, and whether to hold requests when nobody answers there (failure-rules.md 5). Endpoints are the copies that
 * are RUNNING and ready, of the newest run spec as soon as one of it is. Those of a cell that is lost stay in: they serve until something else does.
 */
import type { RouteItem } from '@cupola/contract/internal';
import { STOP_LINGER_MS } from '@cupola/model/limits';
import type { Change } from '@cupola/store/store';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../hub.ts';
import { type RouteFacts, readRouteFacts } from './route-facts.ts';

export interface RoutedItem {
  guid: string;
  wire: RouteItem;
  /** Epoch ms when holding, or the linger of a stopped app, ends. */
  dueAtMs: number | null;
}

type Destination = RouteItem['destinations'][number];
type ProcessFacts = RouteFacts['destinations'][number];

export function routesView({ store, now }: Pick<ApiDeps, 'store' | 'now'>): View<RoutedItem> {
  const read = async (guids: readonly string[] | null): Promise<RoutedItem[]> => {
    const at = now();
    return (await readRouteFacts(store.read, guids)).map(facts => routeItem(facts, at));
  };
  return {
    name: 'routes',
    all: () => read(null),
    some: read,
    concerned: async (changes, known) => {
      const guids = new Set(changes.filter(({ kind }) => kind === 'route').map(({ guid }) => guid));
      const touched = new Set(changes.filter(({ kind }) => OTHER_KINDS.has(kind)).map(({ guid }) => guid));
      if (touched.size === 0) return guids;
      for (const item of known()) if (mentions(item, touched)) guids.add(item.guid);
      for (const guid of await routesOf(store, changes)) guids.add(guid);
      return guids;
    },
    dueAtMs: ({ dueAtMs }) => dueAtMs,
  };
}

const OTHER_KINDS = new Set<string>(['app', 'process', 'copy', 'placement', 'domain']);

/** What is deleted can be found only in what was known. */
function mentions({ wire }: RoutedItem, guids: ReadonlySet<string>): boolean {
  return wire.destinations.some(
    ({ appGuid, processGuid, endpoints }) =>
      guids.has(appGuid) || guids.has(processGuid) || endpoints.some(({ instanceGuid }) => guids.has(instanceGuid)),
  );
}

/** Routes that lead to apps, processes, copies or placements of these changes, or lie in their domains. */
async function routesOf({ read }: ApiDeps['store'], changes: readonly Change[]): Promise<string[]> {
  const of = (kind: Change['kind']): string[] => [
    ...new Set(changes.filter(change => change.kind === kind).map(({ guid }) => guid)),
  ];
  const apps = new Set(of('app'));
  for (const [kind, table] of [
    ['process', 'processes'],
    ['copy', 'copies'],
    ['placement', 'placements'],
  ] as const) {
    const guids = of(kind);
    if (guids.length === 0) continue;
    const rows = await read.selectFrom(table).select('app_guid').distinct().where('guid', 'in', guids).execute();
    for (const { app_guid } of rows) apps.add(app_guid);
  }
  const found: string[] = [];
  if (apps.size > 0) {
    const rows = await read
      .selectFrom('route_destinations')
      .select('route_guid')
      .distinct()
      .where('app_guid', 'in', [...apps])
      .execute();
    found.push(...rows.map(({ route_guid }) => route_guid));
  }
  const domains = of('domain');
  if (domains.length > 0) {
    const rows = await read.selectFrom('routes').select('guid').where('domain_guid', 'in', domains).execute();
    found.push(...rows.map(({ guid }) => guid));
  }
  return found;
}

/** Pure: what one route is at `now`. */
export function routeItem({ destinations, ...route }: RouteFacts, now: number): RoutedItem {
  const shown = destinations.map(facts => readDestination(facts, now)).filter(one => one !== null);
  const dueTimes = shown.map(({ dueAtMs }) => dueAtMs).filter(due => due !== null);
  return {
    guid: route.guid,
    wire: { ...route, destinations: shown.map(({ destination }) => destination) },
    dueAtMs: dueTimes.length === 0 ? null : Math.min(...dueTimes),
  };
}

/** Null when requests are to get 404: the app is stopped, and its time to linger is over. */
function readDestination(
  facts: ProcessFacts,
  now: number,
): { destination: Destination; dueAtMs: number | null } | null {
  const lingerEnd = facts.isStarted ? null : (facts.stoppedAt ?? 0) + STOP_LINGER_MS;
  if (lingerEnd !== null && lingerEnd <= now) return null;
  const healthy = facts.copies.filter(({ state, routable, host }) => state === 'RUNNING' && routable && host !== null);
  const newest = healthy.filter(({ runSpecGuid }) => runSpecGuid === facts.runSpecGuid);
  const serving = newest.length > 0 ? newest : healthy;
  const holdUntil = serving.length === 0 ? expectedUntil(facts) : null;
  const isHeld = holdUntil !== null && holdUntil > now;
  return {
    destination: {
      appGuid: facts.appGuid,
      appName: facts.appName,
      spaceName: facts.spaceName,
      organizationName: facts.organizationName,
      processGuid: facts.processGuid,
      processType: facts.processType,
      endpoints: serving
        .map(({ guid, index, host, port }) => ({ instanceGuid: guid, index, host: host ?? '', port: port ?? 0 }))
        .sort((a, b) => a.index - b.index || (a.instanceGuid < b.instanceGuid ? -1 : 1)),
      holdMs: isHeld ? facts.startTimeoutMs : 0,
    },
    dueAtMs: lingerEnd ?? (isHeld ? holdUntil : null),
  };
}

/** After the first two crashes in a row an instance is started again at once; the third waits (crash table). */
const HELD_CRASHES = 2;

/** Until when a healthy copy may be expected: of a planned change, a start under way, or one of the first two crashes. Epoch ms; null: not at all. */
function expectedUntil({
  isStarted,
  instances,
  plannedAt,
  copies,
  placedAt,
  startTimeoutMs,
}: ProcessFacts): number | null {
  if (!isStarted || instances === 0) return null;
  const begun = copies
    .filter(({ state, crashCount }) => (state === 'STARTING' || state === 'CRASHED') && crashCount <= HELD_CRASHES)
    .map(({ since }) => since);
  const times = [plannedAt, placedAt, ...begun].filter(time => time !== null);
  // A copy that crashes too often is not expected any more, whatever was planned before.
  const givenUp = copies.some(({ state, crashCount }) => state === 'CRASHED' && crashCount > HELD_CRASHES);
  return times.length === 0 || givenUp ? null : Math.max(...times) + startTimeoutMs;
}
