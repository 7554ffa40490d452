import type { DestinationAnswer, RouteAnswer } from '@cupola/contract/v3/route';
import type { DomainsTable, RoutesTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { ApiConfig } from '../deps.ts';
import { isoTime } from '../http/iso-time.ts';
import { APP_PORT } from '../run-specs/fix.ts';
import type { Destination } from './destinations.ts';

export interface ShownRoute extends Selectable<RoutesTable> {
  domain_name: Selectable<DomainsTable>['name'];
  isInternal: boolean;
  destinations: readonly Destination[];
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
}

/** Host, domain and path, without a port. */
export function routeUri(route: { host: string; path: string; domain_name: string }): string {
  return `${route.host === '' ? '' : `${route.host}.`}${route.domain_name}${route.path}`;
}

/** `url` is what one can paste into a browser: with the router's port where that is not the scheme's own (docs/decisions/0003). */
export function presentRoute(
  route: ShownRoute,
  { publicUrl, ...config }: Pick<ApiConfig, 'publicUrl' | 'appsPort'>,
): RouteAnswer {
  const self = `${publicUrl}/v3/routes/${route.guid}`;
  const name = routeUri({ ...route, path: '' });
  // A name on an internal domain leads to instances, past the router.
  const appsPort = route.isInternal ? null : config.appsPort;
  return {
    guid: route.guid,
    created_at: isoTime(route.created_at),
    updated_at: isoTime(route.updated_at),
    protocol: 'http',
    host: route.host,
    path: route.path,
    port: appsPort,
    url: `${name}${appsPort === null ? '' : `:${appsPort}`}${route.path}`,
    destinations: route.destinations.map(presentDestination),
    options: JSON.parse(route.options_json) as Record<string, string>,
    metadata: route.metadata,
    relationships: {
      space: { data: { guid: route.space_guid } },
      domain: { data: { guid: route.domain_guid } },
    },
    links: {
      self: { href: self },
      space: { href: `${publicUrl}/v3/spaces/${route.space_guid}` },
      destinations: { href: `${self}/destinations` },
      domain: { href: `${publicUrl}/v3/domains/${route.domain_guid}` },
    },
  };
}

export function presentDestination(destination: Destination): DestinationAnswer {
  const at = isoTime(destination.created_at);
  return {
    guid: destination.guid,
    app: { guid: destination.app_guid, process: { type: destination.process_type } },
    weight: destination.weight,
    port: destination.port ?? APP_PORT,
    protocol: destination.protocol,
    created_at: at,
    updated_at: at,
  };
}

export function presentDestinations(
  routeGuid: string,
  destinations: readonly Destination[],
  publicUrl: string,
): { destinations: DestinationAnswer[]; links: Record<string, { href: string }> } {
  const route = `${publicUrl}/v3/routes/${routeGuid}`;
  return {
    destinations: destinations.map(presentDestination),
    links: { self: { href: `${route}/destinations` }, route: { href: route } },
  };
}
