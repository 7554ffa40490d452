/** domains, routes, create-route, delete-route, map-route, unmap-route: how requests find an app. */
import { readDomain, readRoute } from '@cupola/contract/v3/client-reads';
import { WordedError } from '@cupola/push/failures';
import { appUrl, internalUrl, readUrls } from '@cupola/push/urls';
import { type CliContext, findApp } from '../context.ts';
import { findDomain, findRoute, type RouteName, routeText } from '../find.ts';
import { confirm } from '../prompt.ts';

export interface RouteFlags {
  hostname?: string;
  path?: string;
}

export async function domains(context: CliContext): Promise<void> {
  const all = await context.client().all(readDomain, '/v3/domains');
  const rows = all.map(({ name, internal }) => [name, internal === true ? 'internal' : 'shared or private']);
  context.result({ domains: all }, all.length === 0 ? 'no domains' : context.table([['name', 'kind'], ...rows]));
}

export async function routes(context: CliContext): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const all = await client.all(readRoute, '/v3/routes', { space_guids: space.guid });
  const [apps, urlOf] = await Promise.all([appNames(context), readUrls(client)]);
  const list = all.map(route => ({
    guid: route.guid,
    url: urlOf.url(route),
    apps: [...new Set((route.destinations ?? []).map(({ app }) => apps.get(app?.guid ?? '') ?? app?.guid ?? ''))],
  }));
  context.result(
    { routes: list },
    list.length === 0
      ? `no routes in ${space.name}`
      : context.table([['url', 'apps'], ...list.map(({ url, apps: names }) => [url, names.join(', ') || '-'])]),
  );
}

async function appNames(context: CliContext): Promise<Map<string, string>> {
  const { readApp } = await import('@cupola/contract/v3/client-reads');
  const all = await context.client().all(readApp, '/v3/apps', { space_guids: context.target().space.guid });
  return new Map(all.map(({ guid, name }) => [guid, name]));
}

async function nameOf(
  context: CliContext,
  domain: string,
  { hostname = '', path = '' }: RouteFlags,
): Promise<RouteName> {
  return {
    domain: await findDomain(context, domain),
    host: hostname,
    path: path === '' || path.startsWith('/') ? path : `/${path}`,
  };
}

/** Made if it is not there; returns its guid. */
async function ensureRoute(context: CliContext, name: RouteName): Promise<{ guid: string; made: boolean }> {
  const known = await findRoute(context, name);
  if (known !== null) return { guid: known.guid, made: false };
  const { space } = context.target();
  const { guid } = await context.client().read(readRoute, {
    method: 'POST',
    path: '/v3/routes',
    json: {
      ...(name.host === '' ? {} : { host: name.host }),
      ...(name.path === '' ? {} : { path: name.path }),
      relationships: { space: { data: { guid: space.guid } }, domain: { data: { guid: name.domain.guid } } },
    },
  });
  return { guid, made: true };
}

export async function createRoute(context: CliContext, domain: string, flags: RouteFlags): Promise<void> {
  const name = await nameOf(context, domain, flags);
  const { guid, made } = await ensureRoute(context, name);
  const url = urlOf(context, name);
  context.result(
    { guid, url, made },
    made
      ? `Made route ${url}. Lead it to an app: cupola map-route APP ${domain}${flags.hostname === undefined ? '' : ` --hostname ${flags.hostname}`}`
      : `Route ${url} is there already.`,
  );
}

export async function mapRoute(
  context: CliContext,
  app: string,
  target: { domain: string } & RouteFlags,
): Promise<void> {
  const found = await findApp(context, app);
  const name = await nameOf(context, target.domain, target);
  const { guid } = await ensureRoute(context, name);
  await context.client().act({
    method: 'POST',
    path: `/v3/routes/${guid}/destinations`,
    json: { destinations: [{ app: { guid: found.guid } }] },
  });
  const url = urlOf(context, name);
  const says =
    name.domain.internal === true ? `${app} answers apps that may reach it${LET_REACH(app)} at` : `${app} answers at`;
  context.result({ guid, url, app }, `${says}\n${url}`);
}

const LET_REACH = (app: string): string => ` (let one: cupola add-network-policy SOURCE ${app})`;

function urlOf(context: CliContext, name: RouteName): string {
  const text = routeText(name);
  return name.domain.internal === true ? internalUrl(text) : appUrl(context.client().endpoints, text);
}

export async function unmapRoute(
  context: CliContext,
  app: string,
  target: { domain: string } & RouteFlags,
): Promise<void> {
  const found = await findApp(context, app);
  const name = await nameOf(context, target.domain, target);
  const route = await existing(context, name);
  const mapped = (route.destinations ?? []).filter(destination => destination.app?.guid === found.guid);
  for (const { guid } of mapped)
    if (guid !== undefined && guid !== null)
      await context.client().act({ method: 'DELETE', path: `/v3/routes/${route.guid}/destinations/${guid}` });
  context.result(
    { url: route.url, app, unmapped: mapped.length },
    mapped.length === 0 ? `${route.url} did not lead to ${app}.` : `${route.url} leads to ${app} no more.`,
  );
}

async function existing(context: CliContext, name: RouteName) {
  const route = await findRoute(context, name);
  if (route !== null) return route;
  throw new WordedError(`There is no route ${routeText(name)} in this space.`, {
    next: 'See which there are: cupola routes',
  });
}

export async function deleteRoute(
  context: CliContext,
  domain: string,
  flags: RouteFlags & { force?: boolean },
): Promise<void> {
  const name = await nameOf(context, domain, flags);
  const route = await findRoute(context, name);
  const url = routeText(name);
  if (route === null) return context.result({ url, deleted: false }, `Route ${url} does not exist.`);
  const isSure = await confirm(context, {
    force: flags.force,
    what: `Deleting route ${url}`,
    command: `cupola delete-route ${domain}${flags.hostname === undefined ? '' : ` --hostname ${flags.hostname}`} -f`,
  });
  if (!isSure) return context.result({ url, deleted: false }, `${url} was left as it is.`);
  await context.client().act({ method: 'DELETE', path: `/v3/routes/${route.guid}` });
  context.result({ url, deleted: true }, `Route ${url} is deleted.`);
}
