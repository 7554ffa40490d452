/** The end of an app that was made with its route, for a time: previews, development apps. */
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { deleteRouteRows } from '../spaces/delete-routes.ts';
import { recordAppEvent } from './app-events.ts';
import { deleteApp } from './delete-app.ts';
import { findApp } from './find-app.ts';

/** The app, and routes that lead to nothing else. `actor` null: its time has passed. */
export async function endApp(mutation: Mutation, guid: string, actor: Actor | null): Promise<void> {
  const { db } = mutation;
  const app = await findApp(db, guid);
  if (app === undefined) return;
  if (actor !== null) await recordAppEvent(mutation, { actor, app, type: 'delete-request' });
  const mapped = await db
    .selectFrom('route_destinations')
    .select('route_guid')
    .distinct()
    .where('app_guid', '=', guid)
    .execute();
  await deleteApp(mutation, app);
  for (const { route_guid } of mapped) {
    const idle = await db
      .selectFrom('routes')
      .selectAll()
      .where('guid', '=', route_guid)
      .where('guid', 'not in', db.selectFrom('route_destinations').select('route_guid'))
      .execute();
    await deleteRouteRows(mutation, idle, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  }
}
