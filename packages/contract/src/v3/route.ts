/** Routes and their destinations: bodies and answers (CF: route_create_message.rb, route_update_destinations_message.rb, route_presenter.rb). */
import { z } from 'zod';
import { body, links, metadata, metadataBody, relationship, stamps, toOne, wholeNumber } from './parts.ts';

/** Of a label of a host name, and of a route's path (CF). */
const HOST_MAX = 63;
const PATH_MAX = 128;
const DESTINATIONS_MAX = 100;

const options = z
  .record(z.string(), z.unknown(), { error: "Options 'options' is not a valid object" })
  .nullable()
  .exactOptional();

export const createRoute = body({
  host: z
    .string({ error: 'Host must be a string' })
    .max(HOST_MAX, { error: `Host is too long (maximum is ${HOST_MAX} characters)` })
    .regex(/^(?:[\w-]+|\*)?$/, {
      error: 'Host must be either "*" or contain only alphanumeric characters, "_", or "-"',
    })
    .nullable()
    .exactOptional(),
  path: z
    .string({ error: 'Path must be a string' })
    .max(PATH_MAX, { error: `Path is too long (maximum is ${PATH_MAX} characters)` })
    .regex(/^(?:\/.*)?$/, { error: 'Path must begin with /' })
    .regex(/^[^?]*$/, { error: 'Path cannot contain ?' })
    .regex(/^(?!\/$)/, { error: 'Path cannot be exactly /' })
    .regex(/^[^#\s]*$/, { error: 'Path is invalid.' })
    .nullable()
    .exactOptional(),
  port: wholeNumber('Port', { from: 0, to: 65_535 }).nullable().exactOptional(),
  relationships: body({ space: toOne('Space'), domain: toOne('Domain') }),
  options,
  metadata: metadataBody.exactOptional(),
});
export type CreateRoute = z.infer<typeof createRoute>;

export const updateRoute = body({ options, metadata: metadataBody.exactOptional() });

const structure = 'Destinations must have the structure "destinations": [{"app": {"guid": "app_guid"}}]';
const protocol = z.enum(['http1', 'http2', 'tcp'], {
  error: "Destinations protocol must be 'http1', 'http2' or 'tcp'.",
});
const destinationBody = z.strictObject(
  {
    app: z.object(
      {
        guid: z.string({ error: structure }).min(1, { error: structure }).max(200, { error: structure }),
        process: z
          .strictObject({ type: z.string().min(1) }, { error: structure })
          .nullable()
          .exactOptional(),
      },
      { error: structure },
    ),
    port: wholeNumber('Destinations port', { from: 1_024, to: 65_535 }).nullable().exactOptional(),
    protocol: protocol.nullable().exactOptional(),
    weight: wholeNumber('Destinations weight', { from: 1, to: 100 }).nullable().exactOptional(),
  },
  { error: structure },
);
export type DestinationBody = z.infer<typeof destinationBody>;

const destinationList = (min: number) => {
  const error = `Destinations must be an array containing between ${min} and ${DESTINATIONS_MAX} destination objects.`;
  return z.array(destinationBody, { error }).min(min, { error }).max(DESTINATIONS_MAX, { error });
};
export const addDestinations = body({ destinations: destinationList(1) });
export const replaceDestinations = body({ destinations: destinationList(0) });
export const updateDestination = body({ protocol: protocol.nullable().exactOptional() });

const destination = z.object({
  guid: z.string(),
  app: z.object({ guid: z.string(), process: z.object({ type: z.string() }) }),
  weight: z.number().int().nullable(),
  port: z.number().int().nullable(),
  protocol: z.string(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});
export type DestinationAnswer = z.infer<typeof destination>;
export const destinations = z.object({ destinations: z.array(destination), links });
export const singleDestination = destination.extend({ links });

export const route = z.object({
  ...stamps,
  protocol: z.string(),
  host: z.string(),
  path: z.string(),
  port: z.number().int().nullable(),
  url: z.string(),
  destinations: z.array(destination),
  options: z.record(z.string(), z.unknown()),
  metadata,
  relationships: z.object({ space: relationship, domain: relationship }),
  links,
});
export type RouteAnswer = z.infer<typeof route>;

export const routeReservation = z.object({ matching_route: z.boolean() });
