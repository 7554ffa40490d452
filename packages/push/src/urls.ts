import type { CloudClient } from '@cupola/client/cloud-client';
import type { Endpoints } from '@cupola/client/login';
import { type ReadRoute, readDomain } from '@cupola/contract/v3/client-reads';

const DEFAULT_PORTS = { http: 80, https: 443 } as const;
/** On internal domains a name leads past the router, to the port that instances listen on (CF: 8080, unless the app has its own). */
const INSTANCE_PORT = 8080;

/** How a browser reaches a route. CF's `url` of a route has neither scheme nor, for HTTP, port: the platform says them once for all apps. */
export function appUrl({ appsScheme, appsPort }: Endpoints, routeUrl: string): string {
  const { host, path } = split(routeUrl);
  const port = appsPort === null || appsPort === DEFAULT_PORTS[appsScheme] || host.includes(':') ? '' : `:${appsPort}`;
  return `${appsScheme}://${host}${port}${path}`;
}

/** How other apps reach a route on an internal domain. */
export function internalUrl(routeUrl: string): string {
  const { host, path } = split(routeUrl);
  return `http://${host}:${INSTANCE_PORT}${path}`;
}

function split(routeUrl: string): { host: string; path: string } {
  const slash = routeUrl.indexOf('/');
  return slash < 0 ? { host: routeUrl, path: '' } : { host: routeUrl.slice(0, slash), path: routeUrl.slice(slash) };
}

/** How each of these routes is reached; those that a browser cannot reach come last. */
export async function urlsOf(client: CloudClient, routes: readonly ReadRoute[]): Promise<string[]> {
  const urlOf = await readUrls(client);
  const isPublic = (route: ReadRoute): boolean => !urlOf.isInternal(route);
  return [...routes.filter(isPublic), ...routes.filter(urlOf.isInternal)].map(urlOf.url);
}

/** Says of any route how it is reached: asks once which domains are internal. */
export async function readUrls(
  client: CloudClient,
): Promise<{ url(route: ReadRoute): string; isInternal(route: ReadRoute): boolean }> {
  const domains = await client.all(readDomain, '/v3/domains');
  const internal = new Set(domains.filter(domain => domain.internal === true).map(({ guid }) => guid));
  const isInternal = ({ relationships }: ReadRoute): boolean => internal.has(relationships?.domain?.data?.guid ?? '');
  return {
    isInternal,
    url: route => (isInternal(route) ? internalUrl(route.url) : appUrl(client.endpoints, route.url)),
  };
}
