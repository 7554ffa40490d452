/** Mapping routes to apps, with the events of it; and the three words by which a manifest asks for a route (CF: app_apply_manifest.rb). */
import { randomInt } from 'node:crypto';
import { ForbiddenError, UnprocessableError } from '@cupola/model/errors';
import type { Database, DomainsTable, RoutesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import type { ScopedApp } from '../apps/find-app.ts';
import type { ApiConfig } from '../deps.ts';
import { recordEvent } from '../events/record.ts';
import { APP_PORT } from '../run-specs/fix.ts';
import { createRoute, type RouteHome } from './create-route.ts';
import { addDestinations, type Destination, type DestinationChanges, removeDestinations } from './destinations.ts';
import { mergeOptions, type RouteOptions } from './route-options.ts';
import { candidates, type RouteUri } from './route-uri.ts';

export interface RouteActor {
  actor: Actor;
  config: Pick<ApiConfig, 'appsDomain' | 'appsPort'>;
  manifestTriggered?: boolean;
}
type Route = Selectable<RoutesTable>;

/** CF marks what a manifest caused. */
function triggered({ manifestTriggered }: Pick<RouteActor, 'manifestTriggered'>): { manifest_triggered?: true } {
  return manifestTriggered === true ? { manifest_triggered: true } : {};
}

export async function createRouteWithEvent(
  mutation: Mutation,
  home: RouteHome,
  ask: { host: string; path: string; options: Record<string, string> },
  by: RouteActor & { request: Record<string, unknown> },
): Promise<Route> {
  const route = await createRoute(mutation, home, ask, by.config.appsDomain);
  await recordEvent(mutation, {
    type: 'audit.route.create',
    actor: by.actor,
    target: { type: 'route', guid: route.guid, name: route.host },
    spaceGuid: route.space_guid,
    organizationGuid: home.space.organization_guid,
    data: { request: by.request, ...triggered(by) },
  });
  return route;
}

/** One event for each destination that came or went, at its app. `apps`: those that the changes name. */
export async function recordDestinations(
  mutation: Mutation,
  { added, removed }: DestinationChanges,
  apps: ReadonlyMap<string, ScopedApp>,
  by: Pick<RouteActor, 'actor' | 'manifestTriggered'>,
): Promise<void> {
  const record = async (type: 'map-route' | 'unmap-route', destination: Destination): Promise<void> => {
    const app = apps.get(destination.app_guid);
    if (app === undefined) return;
    const data = {
      route_guid: destination.route_guid,
      app_port: destination.port ?? APP_PORT,
      route_mapping_guid: destination.guid,
      destination_guid: destination.guid,
      process_type: destination.process_type,
      weight: destination.weight,
      protocol: destination.protocol,
      ...triggered(by),
    };
    await recordAppEvent(mutation, { actor: by.actor, app, type, data });
  };
  for (const destination of added) await record('map-route', destination);
  for (const destination of removed) await record('unmap-route', destination);
}

/** The domain of routes that name none: the oldest shared one that is not internal, else the organization's own oldest. */
export async function defaultDomain(
  db: Kysely<Database>,
  organizationGuid: string,
): Promise<Selectable<DomainsTable> | undefined> {
  return db
    .selectFrom('domains')
    .selectAll()
    .where('internal', '=', 0)
    .where(eb => eb.or([eb('organization_guid', 'is', null), eb('organization_guid', '=', organizationGuid)]))
    .orderBy(eb => eb.case().when('organization_guid', 'is', null).then(0).else(1).end())
    .orderBy('created_at')
    .orderBy('guid')
    .executeTakeFirst();
}

/** Maps the route that a manifest names to the app's web process, making it where it is not there. */
export async function mapManifestRoute(
  mutation: Mutation,
  app: ScopedApp,
  asked: { text: string; uri: RouteUri; options: RouteOptions | null },
  by: RouteActor,
): Promise<void> {
  const { uri, options, text } = asked;
  // `url` of a route has the router's port (docs/decisions/0003): pasted into a manifest it means that route.
  if (uri.port !== null && uri.port !== by.config.appsPort)
    throw new UnprocessableError(`For route '${text}': Routes with protocol 'http' do not support ports.`);
  for (const { host, domain: name } of candidates(uri)) {
    const domain = await mutation.db.selectFrom('domains').selectAll().where('name', '=', name).executeTakeFirst();
    if (domain === undefined) continue;
    try {
      const route = await findOrCreate(mutation, app, { host, path: uri.path, domain, options }, by);
      await mapToApp(mutation, app, route, by);
    } catch (error) {
      if (error instanceof UnprocessableError)
        throw new UnprocessableError(`For route '${text}': ${error.message}`, error.title);
      throw error;
    }
    return;
  }
  throw new UnprocessableError(`For route '${text}': No domains exist for route ${text}`);
}

async function findOrCreate(
  mutation: Mutation,
  app: ScopedApp,
  {
    host,
    path,
    domain,
    options,
  }: { host: string; path: string; domain: Selectable<DomainsTable>; options: RouteOptions | null },
  by: RouteActor,
): Promise<Route> {
  const { db, now, changed } = mutation;
  const present = await db
    .selectFrom('routes')
    .selectAll()
    .where('domain_guid', '=', domain.guid)
    .where('host', '=', host)
    .where(eb => eb(eb.fn<string>('lower', ['path']), '=', path.toLowerCase()))
    .executeTakeFirst();
  if (present === undefined) {
    if (host === '*' && domain.organization_guid === null && !by.actor.isAdmin) throw new ForbiddenError();
    const ask = { host, path, options: mergeOptions({}, options ?? {}) };
    return createRouteWithEvent(mutation, { space: homeOf(app), domain }, ask, { ...by, request: { host, path } });
  }
  if (present.space_guid !== app.space_guid)
    throw new UnprocessableError('Routes cannot be mapped to destinations in different spaces');
  if (options === null) return present;
  const options_json = JSON.stringify(
    mergeOptions(JSON.parse(present.options_json) as Record<string, string>, options),
  );
  if (options_json === present.options_json) return present;
  await db.updateTable('routes').set({ options_json, updated_at: now }).where('guid', '=', present.guid).execute();
  changed('route', present.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return { ...present, options_json };
}

function homeOf(app: ScopedApp): RouteHome['space'] {
  return {
    guid: app.space_guid,
    name: app.space_name,
    organization_guid: app.organization_guid,
    organization_name: app.organization_name,
  };
}

async function mapToApp(mutation: Mutation, app: ScopedApp, route: Route, by: RouteActor): Promise<void> {
  const place = { ...route, organization_guid: app.organization_guid };
  const changes = await addDestinations(mutation, place, [{ appGuid: app.guid, processType: 'web' }]);
  await recordDestinations(mutation, changes, new Map([[app.guid, app]]), by);
}

/** `no-route`: takes every route off the app. The routes stay. */
export async function unmapAll(mutation: Mutation, app: ScopedApp, by: RouteActor): Promise<void> {
  const present = await mutation.db
    .selectFrom('route_destinations')
    .innerJoin('routes', 'routes.guid', 'route_destinations.route_guid')
    .where('route_destinations.app_guid', '=', app.guid)
    .selectAll('route_destinations')
    .select('routes.space_guid')
    .execute();
  for (const destination of present) {
    const route = {
      guid: destination.route_guid,
      space_guid: destination.space_guid,
      organization_guid: app.organization_guid,
    };
    const changes = await removeDestinations(mutation, route, [destination]);
    await recordDestinations(mutation, changes, new Map([[app.guid, app]]), by);
  }
}

/** `default-route` and `random-route`: only for an app that has no route yet. */
export async function mapDefaultRoute(
  mutation: Mutation,
  app: ScopedApp,
  kind: 'default' | 'random',
  by: RouteActor,
): Promise<void> {
  const mapped = await mutation.db
    .selectFrom('route_destinations')
    .select('guid')
    .where('app_guid', '=', app.guid)
    .executeTakeFirst();
  if (mapped !== undefined) return;
  const domain = await defaultDomain(mutation.db, app.organization_guid);
  if (domain === undefined) throw new UnprocessableError('No default domains available');
  const host = kind === 'default' ? defaultHost(app.name) : randomHost(app.name);
  const uri = { name: `${host}.${domain.name}`.toLowerCase(), path: '', port: null };
  await mapManifestRoute(mutation, app, { text: uri.name, uri, options: null }, by);
}

const HOST_MAX = 63;
const FAILED = 'Failed to create default route from app name:';

function defaultHost(name: string): string {
  if (name.length > HOST_MAX) throw new UnprocessableError(`${FAILED} Host cannot exceed ${HOST_MAX} characters`);
  if (!/^[\w-]+$/.test(name))
    throw new UnprocessableError(
      `${FAILED} Host must be either "*" or contain only alphanumeric characters, "_", or "-"`,
    );
  return name;
}

const ADJECTIVES =
  'amber brave brisk calm clear cosy eager fresh gentle grand happy keen lively lucky merry noble quick quiet sunny swift'.split(
    ' ',
  );
const NOUNS =
  'anvil arch beacon bell bridge brook cedar comet ember falcon forge harbor lantern maple meadow otter raven river sparrow tower'.split(
    ' ',
  );

/** `hello-brisk-otter-kx`: some 270,000 names for each app. */
function randomHost(name: string): string {
  const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? '';
  const letter = (): string => String.fromCharCode(97 + randomInt(26));
  const tail = `-${pick(ADJECTIVES)}-${pick(NOUNS)}-${letter()}${letter()}`;
  const head = name.replace(/[^\w-]+/g, '-').slice(0, HOST_MAX - tail.length);
  return `${head}${tail}`;
}
