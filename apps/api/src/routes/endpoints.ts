import {
  type CreateRoute,
  createRoute as createBody,
  route as routeAnswer,
  updateRoute as updateBody,
} from '@cupola/contract/v3/route';
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { APP_MANAGERS } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { seenDomains } from '../domains/find-domain.ts';
import { recordEvent } from '../events/record.ts';
import { requireFlag } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import { isNetworkShared, NO_NAMES } from '../network-policies/shared-network.ts';
import { deleteRouteRows } from '../spaces/delete-routes.ts';
import { findSpace } from '../spaces/find-space.ts';
import { routeCertificateEndpoint } from './certificate-endpoint.ts';
import type { RouteHome } from './create-route.ts';
import { destinationEndpoints } from './destination-endpoints.ts';
import { type ScopedRoute, seenRoute, writableRoute } from './find-route.ts';
import { includedOfRoutes, includeOfRoutes, presentRoutes, routeLists } from './list-routes.ts';
import { createRouteWithEvent } from './map-routes.ts';
import { mergeOptions, optionRules, type RouteOptions, readRouteOptions } from './route-options.ts';
import { sharedSpaceEndpoints } from './shared-space-endpoints.ts';

type Shown = Parameters<typeof presentRoutes>[1][number];

async function show(deps: ApiDeps, route: Shown) {
  return (await presentRoutes(deps, [route]))[0];
}

/** Space and domain that a body names: what the actor may not see is not there. @throws UnprocessableError, ForbiddenError */
async function homeOfNew(db: Kysely<Database>, actor: Actor, asked: CreateRoute['relationships']): Promise<RouteHome> {
  const space = await findSpace(db, asked.space.data.guid);
  const scope = { spaceGuid: space?.guid ?? '', organizationGuid: space?.organization_guid ?? '' };
  if (space === undefined || !maySeeSpace(actor, scope))
    throw new UnprocessableError('Invalid space. Ensure that the space exists and you have access to it.');
  const domain = await db
    .selectFrom('domains')
    .selectAll()
    .where('guid', '=', asked.domain.data.guid)
    .where(seenDomains(actor))
    .executeTakeFirst();
  if (domain === undefined)
    throw new UnprocessableError('Invalid domain. Ensure that the domain exists and you have access to it.');
  requireDeveloper(actor, scope, 'Space', APP_MANAGERS);
  return { space, domain };
}

/** @throws UnprocessableError in CF's words (route_options_message.rb). */
async function checkedOptions(
  db: Kysely<Database>,
  given: Record<string, unknown> | null | undefined,
): Promise<RouteOptions> {
  const { options, problems } = readRouteOptions(given ?? {}, await optionRules(db));
  if (problems.length === 0) return options;
  const texts = problems.map(problem => {
    if (problem.kind === 'unknown key') return `Options Unknown field(s): '${problem.key}'`;
    if (problem.kind === 'hash') return `Options ${problem.text}`;
    return `Options Loadbalancing must be one of '${problem.valid}' if present`;
  });
  throw new UnprocessableError(texts.join(', '));
}

async function create(mutation: Mutation, { config }: ApiDeps, actor: Actor, body: CreateRoute) {
  await requireFlag(mutation.db, actor, 'route_creation');
  const options = mergeOptions({}, await checkedOptions(mutation.db, body.options));
  const home = await homeOfNew(mutation.db, actor, body.relationships);
  if ((body.port ?? 0) !== 0) throw new UnprocessableError("Routes with protocol 'http' do not support ports.");
  if (body.host === '*' && home.domain.organization_guid === null && !actor.isAdmin)
    throw new UnprocessableError(
      'You do not have sufficient permissions to create a route with a wildcard host on a domain not scoped to an organization.',
    );
  const ask = { host: body.host ?? '', path: body.path ?? '', options };
  const route = await createRouteWithEvent(mutation, home, ask, { actor, config, request: body });
  await writeMetadata(mutation, 'route', route.guid, body.metadata);
  return route;
}

async function warningsOf(deps: ApiDeps, { domain_guid }: Shown): Promise<string[]> {
  const domain = await deps.store.read
    .selectFrom('domains')
    .select('internal')
    .where('guid', '=', domain_guid)
    .executeTakeFirst();
  return domain?.internal === 1 && (await isNetworkShared(deps)) ? [NO_NAMES] : [];
}

async function update(mutation: Mutation, route: ScopedRoute, body: z.infer<typeof updateBody>): Promise<ScopedRoute> {
  const { db, now, changed } = mutation;
  const present = JSON.parse(route.options_json) as Record<string, string>;
  const options_json = JSON.stringify(mergeOptions(present, await checkedOptions(db, body.options)));
  await db.updateTable('routes').set({ options_json, updated_at: now }).where('guid', '=', route.guid).execute();
  await writeMetadata(mutation, 'route', route.guid, body.metadata);
  changed('route', route.guid, { organizationGuid: route.organization_guid, spaceGuid: route.space_guid });
  return { ...route, options_json, updated_at: now };
}

async function remove(mutation: Mutation, actor: Actor, route: ScopedRoute): Promise<string> {
  const scope = { organizationGuid: route.organization_guid, spaceGuid: route.space_guid };
  await deleteRouteRows(mutation, [route], scope);
  await recordEvent(mutation, {
    type: 'audit.route.delete-request',
    actor,
    target: { type: 'route', guid: route.guid, name: route.host },
    ...scope,
    data: { request: { recursive: true } },
  });
  return finishedJob(mutation, { operation: 'route.delete', resourceGuid: route.guid, actor });
}

export const routeEndpoints: Endpoint[] = [
  ...routeLists,
  routeCertificateEndpoint,
  endpoint({
    method: 'POST',
    path: '/v3/routes',
    summary: 'Make a route',
    bodySchema: createBody,
    responseSchema: routeAnswer,
    handle: async (deps, { actor, body }) => {
      const route = await deps.store.mutate(mutation => create(mutation, deps, actor, body));
      return { status: 201, body: await show(deps, route), warnings: await warningsOf(deps, route) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/routes/:guid',
    summary: 'One route',
    query: z.strictObject({ include: includeOfRoutes }),
    responseSchema: routeAnswer,
    handle: async (deps, { actor, params, query }) => {
      const route = await seenRoute(deps.store.read, actor, params.guid ?? '');
      const included = await includedOfRoutes(deps, actor, [route], query.include);
      return { status: 200, body: { ...(await show(deps, route)), ...included } };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/routes/:guid',
    summary: 'Label a route, or say how it chooses among instances',
    bodySchema: updateBody,
    responseSchema: routeAnswer,
    handle: async (deps, { actor, params, body }) => {
      const route = await deps.store.mutate(async mutation =>
        update(mutation, await writableRoute(mutation.db, actor, params.guid ?? ''), body),
      );
      return { status: 200, body: await show(deps, route) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/routes/:guid',
    summary: 'Delete a route',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation =>
        remove(mutation, actor, await writableRoute(mutation.db, actor, params.guid ?? '')),
      );
      return accepted(deps, job);
    },
  }),
  ...destinationEndpoints,
  ...sharedSpaceEndpoints,
];
