/** Finding what a command names: organization, space, domain, route, service instance, user. Who errs by a letter is told what is near. */
import {
  type ReadDomain,
  type ReadRoute,
  type ReadServiceInstance,
  readApp,
  readDomain,
  readOrganization,
  readRoute,
  readServiceInstance,
  readSpace,
  readUser,
} from '@cupola/contract/v3/client-reads';
import { EXIT } from '@cupola/push/exit-codes';
import { WordedError } from '@cupola/push/failures';
import { didYouMean } from '@cupola/push/near';
import type { CliContext, Named } from './context.ts';

/** The organization of that name, or the one that is targeted. */
export async function findOrganization(context: CliContext, name: string | undefined): Promise<Named> {
  const client = context.client();
  if (name === undefined) {
    const { organization } = context.config.read();
    if (organization !== null) return organization;
    throw new WordedError('No organization is targeted.', { exitCode: EXIT.login, next: 'cupola target -o ORG' });
  }
  const found = await client.first(readOrganization, '/v3/organizations', { names: name });
  if (found !== null) return found;
  const all = await client.all(readOrganization, '/v3/organizations');
  throw new WordedError(`Organization "${name}" was not found, or your user has no role in it.`, {
    next:
      didYouMean(
        name,
        all.map(one => one.name),
      ) ?? 'See yours: cupola orgs',
  });
}

/** The space of that name in `organization`, or the one that is targeted. */
export async function findSpace(
  context: CliContext,
  { organization, name }: { organization?: string | undefined; name: string | undefined },
): Promise<Named> {
  if (name === undefined) return context.target().space;
  const within = await findOrganization(context, organization);
  const client = context.client();
  const found = await client.first(readSpace, '/v3/spaces', { organization_guids: within.guid, names: name });
  if (found !== null) return found;
  const all = await client.all(readSpace, '/v3/spaces', { organization_guids: within.guid });
  throw new WordedError(`Space "${name}" was not found in ${within.name}.`, {
    next:
      didYouMean(
        name,
        all.map(one => one.name),
      ) ?? `See which there are: cupola spaces. Make it: cupola create-space ${name}`,
  });
}

export async function findDomain(context: CliContext, name: string): Promise<ReadDomain> {
  const client = context.client();
  const found = await client.first(readDomain, '/v3/domains', { names: name });
  if (found !== null) return found;
  const all = await client.all(readDomain, '/v3/domains');
  throw new WordedError(`There is no domain ${name}, or it is not for you.`, {
    next: `There are: ${all.map(one => one.name).join(', ') || 'none'}.`,
  });
}

export interface RouteName {
  readonly domain: ReadDomain;
  readonly host: string;
  readonly path: string;
}

/** Null when the targeted space has no such route. */
export async function findRoute(context: CliContext, { domain, host, path }: RouteName): Promise<ReadRoute | null> {
  const { space } = context.target();
  const routes = await context.client().all(readRoute, '/v3/routes', {
    domain_guids: domain.guid,
    space_guids: space.guid,
    ...(host === '' ? {} : { hosts: host }),
    ...(path === '' ? {} : { paths: path }),
  });
  return routes.find(route => (route.host ?? '') === host && (route.path ?? '') === path) ?? null;
}

export function routeText({ domain, host, path }: RouteName): string {
  return `${host === '' ? '' : `${host}.`}${domain.name}${path}`;
}

export async function findServiceInstance(context: CliContext, name: string): Promise<ReadServiceInstance> {
  const { space } = context.target();
  const client = context.client();
  const within = { space_guids: space.guid };
  const found = await client.first(readServiceInstance, '/v3/service_instances', { ...within, names: name });
  if (found !== null) return found;
  const all = await client.all(readServiceInstance, '/v3/service_instances', within);
  throw new WordedError(`There is no service instance "${name}" in space ${space.name}.`, {
    next:
      didYouMean(
        name,
        all.map(one => one.name),
      ) ?? 'See which there are: cupola services. Make one: cupola cups NAME -p \'{"uri":"..."}\'',
  });
}

export async function findUser(context: CliContext, name: string): Promise<{ guid: string; username: string }> {
  const found = await context.client().first(readUser, '/v3/users', { usernames: name });
  if (found !== null) return { guid: found.guid, username: found.username ?? name };
  throw new WordedError(`There is no user ${name}.`, { next: `Make it: cupola create-user ${name} PASSWORD` });
}

/** What is near to a name of an app that was not found; null when nothing is. */
export async function nearApp(context: CliContext, name: string): Promise<string | null> {
  const { space } = context.target();
  const all = await context
    .client()
    .all(readApp, '/v3/apps', { space_guids: space.guid })
    .catch(() => []); // The failure that is being told counts more.
  return didYouMean(
    name,
    all.map(one => one.name),
  );
}
