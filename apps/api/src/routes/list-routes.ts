/** Routes as lists and answers show them, with where they lead, and the lists (CF: routes_list_message.rb, route_fetcher.rb). */
import { pageOf } from '@cupola/contract/v3/parts';
import { route as routeAnswer } from '@cupola/contract/v3/route';
import type { Database, RoutesTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import { seenApp } from '../apps/find-app.ts';
import { includedSpaces } from '../apps/include-spaces.ts';
import type { ApiDeps } from '../deps.ts';
import { type DomainRow, sharesOf } from '../domains/find-domain.ts';
import { presentDomain } from '../domains/present-domain.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, named, orderBy } from '../pages/filters.ts';
import { includeList } from '../pages/include.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { scopeOf } from '../pages/scope.ts';
import { type Destination, withPorts } from './destinations.ts';
import { SEEING_ROUTES } from './find-route.ts';
import { presentRoute } from './present-route.ts';

type Route = Selectable<RoutesTable>;
export const includeOfRoutes = includeList('domain', 'space', 'space.organization').exactOptional();

const query = z.strictObject({
  ...listQuery,
  hosts: commaList.exactOptional(),
  paths: commaList.exactOptional(),
  ports: commaList.exactOptional(),
  domain_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
  app_guids: commaList.exactOptional(),
  service_instance_guids: commaList.exactOptional(),
  include: includeOfRoutes,
  order_by: orderBy(),
});
type ListQuery = z.infer<typeof query>;

async function domainsOf(db: Kysely<Database>, routes: readonly Route[]): Promise<Map<string, DomainRow>> {
  const guids = [...new Set(routes.map(route => route.domain_guid))];
  const rows = await inChunks(guids, some =>
    db.selectFrom('domains').selectAll().where(among('guid', some)).orderBy('created_at').execute(),
  );
  return new Map(rows.map(row => [row.guid, row]));
}

async function destinationsByRoute(
  db: Kysely<Database>,
  routeGuids: readonly string[],
): Promise<Map<string, Destination[]>> {
  const rows = await inChunks(routeGuids, async some =>
    withPorts(
      db,
      await db.selectFrom('route_destinations').selectAll().where(among('route_guid', some)).orderBy('guid').execute(),
    ),
  );
  return Map.groupBy(rows, row => row.route_guid);
}

export async function presentRoutes({ store, config }: ApiDeps, routes: readonly Route[]) {
  const db = store.read;
  const guids = routes.map(route => route.guid);
  const domains = await domainsOf(db, routes);
  const destinations = await destinationsByRoute(db, guids);
  const metadata = await readMetadata(db, 'route', guids);
  return routes.map(route =>
    presentRoute(
      {
        ...route,
        domain_name: domains.get(route.domain_guid)?.name ?? '',
        isInternal: domains.get(route.domain_guid)?.internal === 1,
        destinations: destinations.get(route.guid) ?? [],
        metadata: metadata.get(route.guid) ?? NO_METADATA,
      },
      config,
    ),
  );
}

/** `included` for these routes, when something was asked for. */
export async function includedOfRoutes(
  deps: ApiDeps,
  actor: Actor,
  routes: readonly Route[],
  include: readonly string[] | undefined,
): Promise<{ included?: Record<string, unknown[]> }> {
  if (include === undefined) return {};
  const included = await includedSpaces(deps, routes, { actor, include });
  if (!include.includes('domain')) return { included };
  const db = deps.store.read;
  const domains = await domainsOf(db, routes);
  const guids = [...domains.keys()];
  const metadata = await readMetadata(db, 'domain', guids);
  const shares = await sharesOf(db, actor, guids);
  const shown = [...domains.values()].map(domain =>
    presentDomain(domain, metadata.get(domain.guid) ?? NO_METADATA, {
      shares: shares.get(domain.guid) ?? [],
      baseUrl: deps.config.publicUrl,
    }),
  );
  return { included: { domains: shown, ...included } };
}

/** An empty filter is one: `hosts=&paths=` asks for routes without host and path. */
function filters(asked: ListQuery, appsPort: number | null): Condition[] {
  const conditions = commonConditions('routes', asked);
  if (asked.hosts !== undefined) conditions.push(named('routes.host', asked.hosts));
  if (asked.paths !== undefined) conditions.push(named('routes.path', asked.paths));
  // HTTP routes have no port of their own; they are shown with the router's (docs/decisions/0003).
  if (asked.ports !== undefined && !asked.ports.some(port => port === '0' || port === String(appsPort)))
    conditions.push(sql<SqlBool>`1 = 0`);
  if (asked.domain_guids !== undefined) conditions.push(among('routes.domain_guid', asked.domain_guids));
  if (asked.app_guids !== undefined) conditions.push(leadsTo(asked.app_guids));
  // No route is bound to a service: there are none yet.
  if (asked.service_instance_guids !== undefined) conditions.push(sql<SqlBool>`1 = 0`);
  if (asked.label_selector !== undefined)
    conditions.push(labelSelectorCondition('route', 'routes.guid', asked.label_selector));
  return conditions;
}

function leadsTo(appGuids: readonly string[]): Condition {
  return sql<SqlBool>`routes.guid in (select route_guid from route_destinations where ${among('app_guid', appGuids)})`;
}

async function reply(
  deps: ApiDeps,
  request: ApiRequest<ListQuery, unknown>,
  given: readonly Condition[],
): Promise<Reply> {
  const scope = await scopeOf(deps.store.read, request.actor, { asked: request.query, seeing: SEEING_ROUTES });
  const { ask, total, rows, after } = await listRows(deps.store.read, 'routes', request.query, {
    conditions: given,
    scope,
  });
  const resources = await presentRoutes(deps, rows);
  const included = await includedOfRoutes(deps, request.actor, rows, request.query.include);
  return { status: 200, body: pageBody(request, ask, { total, resources, after, ...included }) };
}

export const routeLists: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/routes',
    summary: 'Routes that the asker may see',
    query,
    responseSchema: pageOf(routeAnswer),
    handle: (deps, request) => reply(deps, request, filters(request.query, deps.config.appsPort)),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/routes',
    summary: 'Routes that lead to an app',
    query,
    responseSchema: pageOf(routeAnswer),
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      const given = filters({ ...request.query, app_guids: [app.guid] }, deps.config.appsPort);
      return reply(deps, request, given);
    },
  }),
];
