/** Routes that go with what they are in, or because nothing is behind them. */
import type { RoutesTable } from '@cupola/store/schema';
import type { ChangeScope, Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordEvent } from '../events/record.ts';
import { deleteMetadata } from '../metadata/metadata.ts';
import type { SpaceRow } from './find-space.ts';

type Route = Selectable<RoutesTable>;

/** The rows of these routes and of their destinations. */
export async function deleteRouteRows(mutation: Mutation, routes: readonly Route[], scope: ChangeScope): Promise<void> {
  const { db, changed } = mutation;
  for (const { guid } of routes) {
    await db.deleteFrom('route_destinations').where('route_guid', '=', guid).execute();
    await db.deleteFrom('routes').where('guid', '=', guid).execute();
    changed('route', guid, scope);
  }
  await deleteMetadata(
    mutation,
    'route',
    routes.map(route => route.guid),
  );
}

/** Routes of the space that lead nowhere (CF: space_delete_unmapped_routes.rb). */
export async function deleteUnmappedRoutes(mutation: Mutation, actor: Actor, space: SpaceRow): Promise<void> {
  const { db } = mutation;
  const unmapped = await db
    .selectFrom('routes')
    .selectAll()
    .where('space_guid', '=', space.guid)
    .where('guid', 'not in', db.selectFrom('route_destinations').select('route_guid'))
    .execute();
  await deleteRouteRows(mutation, unmapped, { organizationGuid: space.organization_guid, spaceGuid: space.guid });
  for (const route of unmapped)
    await recordEvent(mutation, {
      type: 'audit.route.delete-request',
      actor,
      target: { type: 'route', guid: route.guid, name: route.host },
      spaceGuid: space.guid,
      organizationGuid: space.organization_guid,
      data: { request: { recursive: true } },
    });
}
