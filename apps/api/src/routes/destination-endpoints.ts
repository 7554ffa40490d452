/** Where a route leads (CF: routes_controller.rb, update_route_destinations.rb). */
import {
  addDestinations as addBody,
  destinations as destinationsAnswer,
  replaceDestinations as replaceBody,
  singleDestination,
  updateDestination as updateBody,
} from '@cupola/contract/v3/route';
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { maySeeSpace } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { appScope, findApp, type ScopedApp } from '../apps/find-app.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { commaList } from '../pages/page.ts';
import {
  addDestinations,
  type Destination,
  destinationsOf,
  readDestinations,
  removeDestinations,
  replaceDestinations,
} from './destinations.ts';
import { type ScopedRoute, seenRoute, writableRoute } from './find-route.ts';
import { recordDestinations } from './map-routes.ts';
import { presentDestination, presentDestinations } from './present-route.ts';

/** The apps that a body names: what the actor may not see is not there. @throws UnprocessableError */
async function namedApps(
  db: Kysely<Database>,
  { actor, route, guids }: { actor: Actor; route: ScopedRoute; guids: readonly string[] },
): Promise<Map<string, ScopedApp>> {
  const apps = new Map<string, ScopedApp>();
  for (const guid of new Set(guids)) {
    const app = await findApp(db, guid);
    if (app !== undefined && maySeeSpace(actor, appScope(app))) apps.set(guid, app);
  }
  const missing = [...new Set(guids)].filter(guid => !apps.has(guid));
  if (missing.length > 0) throw new UnprocessableError(`App(s) with guid(s) "${missing.join('", "')}" do not exist.`);
  if ([...apps.values()].some(app => app.space_guid !== route.space_guid))
    throw new UnprocessableError(
      "Routes destinations must be in either the route's space or the route's shared spaces",
    );
  return apps;
}

type Body = z.infer<typeof replaceBody>;

async function change(
  mutation: Mutation,
  { actor, params, body }: Pick<ApiRequest<unknown, Body>, 'actor' | 'params' | 'body'>,
  apply: typeof addDestinations,
): Promise<{ route: ScopedRoute; destinations: Destination[] }> {
  const { db } = mutation;
  const route = await writableRoute(db, actor, params.guid ?? '');
  const asks = readDestinations(body.destinations);
  const named = await namedApps(db, { actor, route, guids: asks.map(({ appGuid }) => appGuid) });
  const changes = await apply(mutation, route, asks);
  await recordDestinations(mutation, changes, await withAppsOf(db, named, changes.removed), { actor });
  return { route, destinations: await destinationsOf(db, route.guid) };
}

async function withAppsOf(
  db: Kysely<Database>,
  known: ReadonlyMap<string, ScopedApp>,
  destinations: readonly Destination[],
): Promise<Map<string, ScopedApp>> {
  const apps = new Map(known);
  for (const { app_guid } of destinations) {
    const app = apps.get(app_guid) ?? (await findApp(db, app_guid));
    if (app !== undefined) apps.set(app_guid, app);
  }
  return apps;
}

/** @throws UnprocessableError for a destination that is not this route's. */
async function destinationOf(db: Kysely<Database>, route: ScopedRoute, guid: string | undefined): Promise<Destination> {
  const destination = (await destinationsOf(db, route.guid)).find(one => one.guid === guid);
  if (destination === undefined)
    throw new UnprocessableError(
      'Unable to unmap route from destination. Ensure the route has a destination with this guid.',
    );
  return destination;
}

function checkProtocol(protocol: string | null | undefined): void {
  if (protocol === 'http2')
    throw new UnprocessableError(
      'HTTP/2 destinations are not supported yet. Use protocol http1: the app is asked by HTTP/1.1.',
    );
  if (protocol === 'tcp')
    throw new UnprocessableError(
      "Destination protocol must be 'http1' or 'http2' if the parent route's protocol is 'http'",
    );
}

export const destinationEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/routes/:guid/destinations',
    summary: 'Where a route leads',
    query: z.strictObject({ guids: commaList.exactOptional(), app_guids: commaList.exactOptional() }),
    responseSchema: destinationsAnswer,
    handle: async ({ store, config }, { actor, params, query: { guids, app_guids: appGuids } }) => {
      const route = await seenRoute(store.read, actor, params.guid ?? '');
      const found = (await destinationsOf(store.read, route.guid)).filter(
        one => (guids?.includes(one.guid) ?? true) && (appGuids?.includes(one.app_guid) ?? true),
      );
      return { status: 200, body: presentDestinations(route.guid, found, config.publicUrl) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/routes/:guid/destinations',
    summary: 'Map a route to apps; those that it has stay',
    bodySchema: addBody,
    responseSchema: destinationsAnswer,
    handle: async ({ store, config }, request) => {
      const { route, destinations } = await store.mutate(mutation => change(mutation, request, addDestinations));
      return { status: 200, body: presentDestinations(route.guid, destinations, config.publicUrl) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/routes/:guid/destinations',
    summary: 'Map a route to these apps and to no others',
    bodySchema: replaceBody,
    responseSchema: destinationsAnswer,
    handle: async ({ store, config }, request) => {
      const { route, destinations } = await store.mutate(mutation => change(mutation, request, replaceDestinations));
      return { status: 200, body: presentDestinations(route.guid, destinations, config.publicUrl) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/routes/:guid/destinations/:destination',
    summary: 'Choose the protocol of a destination: http1 is the one there is',
    bodySchema: updateBody,
    responseSchema: singleDestination,
    handle: async ({ store, config }, { actor, params, body }) => {
      const route = await writableRoute(store.read, actor, params.guid ?? '');
      const destination = await destinationOf(store.read, route, params.destination);
      checkProtocol(body.protocol);
      const self = `${config.publicUrl}/v3/routes/${route.guid}`;
      const links = { destinations: { href: `${self}/destinations` }, route: { href: self } };
      return { status: 200, body: { ...presentDestination(destination), links } };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/routes/:guid/destinations/:destination',
    summary: 'Unmap a route from one destination',
    handle: async ({ store }, { actor, params }) => {
      await store.mutate(async mutation => {
        const route = await writableRoute(mutation.db, actor, params.guid ?? '');
        const destination = await destinationOf(mutation.db, route, params.destination);
        const changes = await removeDestinations(mutation, route, [destination]);
        await recordDestinations(mutation, changes, await withAppsOf(mutation.db, new Map(), [destination]), { actor });
      });
      return NO_CONTENT;
    },
  }),
];
