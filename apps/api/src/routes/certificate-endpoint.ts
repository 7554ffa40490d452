/** `GET /v3/apps/:guid/route_certificates`, ours (contract/v3/route-certificate.ts). Whoever sees an app may look: so may anybody who opens its address. */
import { type RouteCertificates, routeCertificates } from '@cupola/contract/v3/route-certificate';
import { seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';

/** An app has a handful of hosts. Those beyond it are answered as not looked at. */
const LOOKED_AT_MAX = 50;
/** Handshakes at once. */
const AT_ONCE = 5;

export const routeCertificateEndpoint: Endpoint = endpoint({
  method: 'GET',
  path: '/v3/apps/:guid/route_certificates',
  summary: 'By which certificate each host that leads to an app is served over HTTPS, and until when',
  responseSchema: routeCertificates,
  handle: async (deps, { actor, params }) => {
    const app = await seenApp(deps.store.read, actor, params.guid ?? '');
    const { https, appsScheme } = deps.config;
    if (https === null)
      return { status: 200, body: { https: appsScheme === 'https' ? 'elsewhere' : 'none', resources: [] } };
    const resources = await look(deps, await publicHosts(deps, app.guid));
    return { status: 200, body: { https: 'routers', resources } };
  },
});

/** In their order. */
async function publicHosts({ store }: ApiDeps, appGuid: string): Promise<string[]> {
  const rows = await store.read
    .selectFrom('route_destinations')
    .innerJoin('routes', 'routes.guid', 'route_destinations.route_guid')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .where('route_destinations.app_guid', '=', appGuid)
    .where('domains.internal', '=', 0)
    .select(['routes.host as host', 'domains.name as domain'])
    .execute();
  return [...new Set(rows.map(({ host, domain }) => (host === '' ? domain : `${host}.${domain}`)))].toSorted();
}

async function look({ certificateLooks }: ApiDeps, hosts: readonly string[]): Promise<RouteCertificates['resources']> {
  const looked = new Set(hosts.filter(host => !host.startsWith('*')).slice(0, LOOKED_AT_MAX));
  const found: RouteCertificates['resources'] = [];
  for (let at = 0; at < hosts.length; at += AT_ONCE)
    found.push(
      ...(await Promise.all(
        hosts
          .slice(at, at + AT_ONCE)
          .map(async host => ({ host, certificate: looked.has(host) ? await certificateLooks.look(host) : null })),
      )),
    );
  return found;
}
