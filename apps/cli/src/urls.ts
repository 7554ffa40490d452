import type { Endpoints } from '@cupola/client/login';

const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/** How a browser reaches a route. CF's `url` of a route has neither scheme nor, for HTTP, port: the platform says them once for all apps. */
export function appUrl({ appsScheme, appsPort }: Endpoints, routeUrl: string): string {
  const slash = routeUrl.indexOf('/');
  const host = slash < 0 ? routeUrl : routeUrl.slice(0, slash);
  const path = slash < 0 ? '' : routeUrl.slice(slash);
  const port = appsPort === null || appsPort === DEFAULT_PORTS[appsScheme] || host.includes(':') ? '' : `:${appsPort}`;
  return `${appsScheme}://${host}${port}${path}`;
}
