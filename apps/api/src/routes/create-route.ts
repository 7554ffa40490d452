/** Making a route: CF's rules, in CF's words (CF: route_create.rb, models/runtime/route.rb). Runs inside a mutation. */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import { RESERVED_HOSTS } from '@cupola/model/system-hosts';
import type { Database, DomainsTable, RoutesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';

export interface RouteHome {
  space: { guid: string; name: string; organization_guid: string; organization_name: string };
  domain: Selectable<DomainsTable>;
}
export interface RouteAsk {
  host: string;
  path: string;
  options: Record<string, string>;
}

const NAME_MAX = 253;

/** @throws UnprocessableError for each rule that it breaks, `Route already exists with host 'h' for domain 'd'.` among them. */
export async function createRoute(
  { db, now, changed }: Mutation,
  home: RouteHome,
  ask: RouteAsk,
  systemDomain: string,
): Promise<Selectable<RoutesTable>> {
  const host = ask.host.toLowerCase();
  await checkDomain(db, home);
  checkNames(home, { ...ask, host }, systemDomain);
  await checkOthers(db, home, { ...ask, host });
  await checkQuota(db, home.space);
  const route = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    space_guid: home.space.guid,
    domain_guid: home.domain.guid,
    host,
    path: ask.path,
    options_json: JSON.stringify(ask.options),
  };
  await db.insertInto('routes').values(route).execute();
  changed('route', route.guid, { organizationGuid: home.space.organization_guid, spaceGuid: home.space.guid });
  return route;
}

function refuse(message: string): never {
  throw new UnprocessableError(message);
}

/** A private domain is its organization's, and of those that it is shared with. */
async function checkDomain(db: Kysely<Database>, { space, domain }: RouteHome): Promise<void> {
  if (domain.organization_guid === null || domain.organization_guid === space.organization_guid) return;
  const share = await db
    .selectFrom('domain_shares')
    .select('domain_guid')
    .where('domain_guid', '=', domain.guid)
    .where('organization_guid', '=', space.organization_guid)
    .executeTakeFirst();
  if (share === undefined)
    refuse(`Invalid domain. Domain '${domain.name}' is not available in organization '${space.organization_name}'.`);
}

function checkNames({ domain }: RouteHome, { host, path }: RouteAsk, systemDomain: string): void {
  if (domain.internal === 1 && host.includes('*')) refuse('Wildcard hosts are not supported for internal domains.');
  if (domain.internal === 1 && path !== '') refuse('Paths are not supported for internal domains.');
  if (host === '' && domain.organization_guid === null)
    refuse('Missing host. Routes in shared domains must have a host defined.');
  if (domain.name === systemDomain && RESERVED_HOSTS.includes(host))
    refuse('Route conflicts with a reserved system route.');
  if (host.length + 1 + domain.name.length > NAME_MAX)
    refuse('Host combined with domain name must be no more than 253 characters.');
  if (path === '/') refuse("Path cannot be a single '/'.");
  if (!isPath(path)) refuse('Path is invalid.');
}

/** Letters, digits and what a path may hold unescaped (RFC 3986); the router compares without case. */
function isPath(path: string): boolean {
  return path === '' || /^\/(?:[\w\-.~!$&'()*+,;=:@/]|%[0-9a-f]{2})*$/i.test(path);
}

async function checkOthers(
  db: Kysely<Database>,
  { space, domain }: RouteHome,
  { host, path }: RouteAsk,
): Promise<void> {
  if (host !== '') {
    const name = `${host}.${domain.name}`;
    const taken = await db.selectFrom('domains').select('guid').where('name', '=', name).executeTakeFirst();
    if (taken !== undefined) refuse(`Route conflicts with domain '${name}'.`);
  }
  const others = await db
    .selectFrom('routes')
    .select(['space_guid', 'path'])
    .where('domain_guid', '=', domain.guid)
    .where('host', '=', host)
    .execute();
  if (others.some(other => other.path.toLowerCase() === path.toLowerCase())) refuse(takenText({ host, path }, domain));
  // One host is one team's: paths under a host of a shared domain belong to the space that has the host.
  if (domain.organization_guid === null && others.some(other => other.space_guid !== space.guid))
    refuse(
      `Route conflicts with another space: host '${host}' of domain '${domain.name}' is in use there. Use another host.`,
    );
}

function takenText({ host, path }: { host: string; path: string }, domain: { name: string }): string {
  const parts = [...(host === '' ? [] : [`host '${host}'`]), ...(path === '' ? [] : [`path '${path}'`])];
  return `Route already exists${parts.length === 0 ? '' : ` with ${parts.join(' and ')}`} for domain '${domain.name}'.`;
}

async function checkQuota(db: Kysely<Database>, space: RouteHome['space']): Promise<void> {
  const { total_routes, space_routes } = await db
    .selectFrom('organizations')
    .innerJoin('organization_quotas', 'organization_quotas.guid', 'organizations.quota_guid')
    .innerJoin('spaces', 'spaces.organization_guid', 'organizations.guid')
    .leftJoin('space_quotas', 'space_quotas.guid', 'spaces.quota_guid')
    .where('spaces.guid', '=', space.guid)
    .select(['organization_quotas.total_routes', 'space_quotas.total_routes as space_routes'])
    .executeTakeFirstOrThrow();
  const { total, own } = await db
    .selectFrom('routes')
    .innerJoin('spaces', 'spaces.guid', 'routes.space_guid')
    .where('spaces.organization_guid', '=', space.organization_guid)
    .select(({ fn }) => [
      fn.countAll<number>().as('total'),
      fn.countAll<number>().filterWhere('spaces.guid', '=', space.guid).as('own'),
    ])
    .executeTakeFirstOrThrow();
  if (space_routes !== null && own >= space_routes) refuse(`Routes quota exceeded for space '${space.name}'.`);
  if (total_routes !== null && total >= total_routes)
    refuse(`Routes quota exceeded for organization '${space.organization_name}'.`);
}
