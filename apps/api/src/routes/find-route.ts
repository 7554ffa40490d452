/** Finding a route for an actor, with the names around it, in one query. Auditors of an organization see its routes too, though not its spaces, as in CF. */
import { ForbiddenError, NotFoundError } from '@cupola/model/errors';
import type { Database, RoutesTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { holdsInOrganization, maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { APP_MANAGERS, appScope } from '../apps/find-app.ts';
import { SEEING, type Seeing } from '../pages/scope.ts';

export interface ScopedRoute extends Selectable<RoutesTable> {
  domain_name: string;
  space_name: string;
  organization_guid: string;
  organization_name: string;
}

/** By which roles one sees routes. */
export const SEEING_ROUTES: Seeing = {
  ...SEEING,
  organization: [...SEEING.organization, 'organization_auditor'],
};

/** @throws NotFoundError */
export async function seenRoute(db: Kysely<Database>, actor: Actor, guid: string): Promise<ScopedRoute> {
  const route = await db
    .selectFrom('routes')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .innerJoin('spaces', 'spaces.guid', 'routes.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('routes.guid', '=', guid)
    .selectAll('routes')
    .select([
      'domains.name as domain_name',
      'spaces.name as space_name',
      'organizations.guid as organization_guid',
      'organizations.name as organization_name',
    ])
    .executeTakeFirst();
  const isSeen =
    route !== undefined &&
    (maySeeSpace(actor, appScope(route)) ||
      holdsInOrganization(actor, route.organization_guid, ['organization_auditor']));
  if (!isSeen) throw new NotFoundError('Route');
  return route;
}

/** As `seenRoute`, for those who may change what lies in its space. @throws ForbiddenError */
export async function writableRoute(db: Kysely<Database>, actor: Actor, guid: string): Promise<ScopedRoute> {
  const route = await seenRoute(db, actor, guid);
  // To an organization's auditor the space is hidden, the route is not: 403, no 404.
  if (!maySeeSpace(actor, appScope(route))) throw new ForbiddenError();
  requireDeveloper(actor, appScope(route), 'Route', APP_MANAGERS);
  return route;
}
