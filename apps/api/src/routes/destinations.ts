/** Where a route leads: adding, replacing and taking away destinations inside a mutation (CF: update_route_destinations.rb). */
import { randomUUID } from 'node:crypto';
import type { DestinationBody } from '@cupola/contract/v3/route';
import { UnprocessableError } from '@cupola/model/errors';
import type { ImageConfig } from '@cupola/model/run-spec';
import type { Database, RouteDestinationsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import { APP_PORT } from '../run-specs/fix.ts';

export type Destination = Selectable<RouteDestinationsTable>;
export interface DestinationAsk {
  appGuid: string;
  processType: string;
}
/** What was done, for events. */
export interface DestinationChanges {
  added: Destination[];
  removed: Destination[];
}

const DESTINATIONS_MAX = 100;

/** @throws UnprocessableError for what the router cannot do yet: weights, HTTP/2, TCP, other ports. */
export function readDestinations(bodies: readonly DestinationBody[]): DestinationAsk[] {
  const refuse = (text: string): never => {
    throw new UnprocessableError(text);
  };
  const asks = bodies.map(({ app, port, protocol, weight }) => {
    if (weight !== undefined && weight !== null)
      refuse('Weighted destinations are not supported yet. Leave `weight` out: all destinations get the same share.');
    if (protocol === 'http2')
      refuse('HTTP/2 destinations are not supported yet. Leave `protocol` out: the app is asked by HTTP/1.1.');
    if (protocol === 'tcp') refuse("Cannot use 'tcp' protocol for http routes; valid options are: [http1, http2].");
    if (port !== undefined && port !== null && port !== APP_PORT)
      refuse(`Destination port ${port} is not supported yet. Leave \`port\` out: requests go to the app's PORT.`);
    return { appGuid: app.guid, processType: app.process?.type ?? 'web' };
  });
  const distinct = new Set(asks.map(({ appGuid, processType }) => `${appGuid} ${processType}`));
  if (distinct.size < asks.length) refuse('Destinations cannot contain duplicate entries');
  return asks;
}

export async function destinationsOf(db: Kysely<Database>, routeGuid: string): Promise<Destination[]> {
  return withPorts(
    db,
    await db.selectFrom('route_destinations').selectAll().where('route_guid', '=', routeGuid).orderBy('guid').execute(),
  );
}

/** Where nobody has said a port: the first that an app's image exposes (CF: route_mapping_model.rb). Others stay without one, which is the default. */
export async function withPorts(db: Kysely<Database>, destinations: Destination[]): Promise<Destination[]> {
  const guids = [...new Set(destinations.filter(({ port }) => port === null).map(({ app_guid }) => app_guid))];
  if (guids.length === 0) return destinations;
  const rows = await db
    .selectFrom('apps')
    .innerJoin('droplets', 'droplets.guid', 'apps.current_droplet_guid')
    .select(['apps.guid', 'droplets.image_config_json'])
    .where('apps.guid', 'in', guids)
    .where('apps.lifecycle_type', '=', 'docker')
    .execute();
  const ports = new Map(rows.map(({ guid, image_config_json }) => [guid, firstPort(image_config_json)]));
  return destinations.map(one => ({ ...one, port: one.port ?? ports.get(one.app_guid) ?? null }));
}

function firstPort(config: string | null): number | null {
  return config === null ? null : ((JSON.parse(config) as ImageConfig).ports[0] ?? null);
}

interface RouteRef {
  guid: string;
  space_guid: string;
  organization_guid: string;
}

/** Adds those that are not there yet; the same one twice is no error, as the CLI's map-route needs it. */
export async function addDestinations(
  mutation: Mutation,
  route: RouteRef,
  asks: readonly DestinationAsk[],
): Promise<DestinationChanges> {
  const present = await destinationsOf(mutation.db, route.guid);
  const missing = asks.filter(ask => !present.some(destination => isSame(destination, ask)));
  return change(mutation, route, { present, missing, surplus: [] });
}

export async function replaceDestinations(
  mutation: Mutation,
  route: RouteRef,
  asks: readonly DestinationAsk[],
): Promise<DestinationChanges> {
  const present = await destinationsOf(mutation.db, route.guid);
  const missing = asks.filter(ask => !present.some(destination => isSame(destination, ask)));
  const surplus = present.filter(destination => !asks.some(ask => isSame(destination, ask)));
  return change(mutation, route, { present, missing, surplus });
}

export async function removeDestinations(
  mutation: Mutation,
  route: RouteRef,
  surplus: readonly Destination[],
): Promise<DestinationChanges> {
  return change(mutation, route, { present: [], missing: [], surplus: [...surplus] });
}

function isSame(destination: Destination, ask: DestinationAsk): boolean {
  return destination.app_guid === ask.appGuid && destination.process_type === ask.processType;
}

interface Plan {
  present: Destination[];
  missing: DestinationAsk[];
  surplus: Destination[];
}

async function change(
  { db, now, changed }: Mutation,
  route: RouteRef,
  { present, missing, surplus }: Plan,
): Promise<DestinationChanges> {
  if (present.length - surplus.length + missing.length > DESTINATIONS_MAX)
    throw new UnprocessableError('Routes can be mapped to at most 100 destinations.');
  const added = missing.map(({ appGuid, processType }) => ({
    guid: randomUUID(),
    route_guid: route.guid,
    app_guid: appGuid,
    process_type: processType,
    port: null,
    protocol: 'http1',
    weight: null,
    created_at: now,
  }));
  if (surplus.length > 0)
    await db
      .deleteFrom('route_destinations')
      .where(
        'guid',
        'in',
        surplus.map(({ guid }) => guid),
      )
      .execute();
  if (added.length > 0) await db.insertInto('route_destinations').values(added).execute();
  if (added.length + surplus.length > 0)
    changed('route', route.guid, { organizationGuid: route.organization_guid, spaceGuid: route.space_guid });
  return { added, removed: surplus };
}
