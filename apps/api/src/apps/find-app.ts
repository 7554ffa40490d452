/** Finding an app for an actor, with the names around it, in one query. */
import { NotFoundError } from '@cupola/model/errors';
import type { RoleType } from '@cupola/model/states';
import type { AppsTable, Database } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';

export interface ScopedApp extends Selectable<AppsTable> {
  space_name: string;
  organization_guid: string;
  organization_name: string;
}

/** Space supporters may start, stop, scale and map, as in CF (`can_manage_apps_in_active_space`). */
export const APP_MANAGERS: readonly RoleType[] = ['space_supporter'];

export function appScope(app: Pick<ScopedApp, 'space_guid' | 'organization_guid'>): {
  spaceGuid: string;
  organizationGuid: string;
} {
  return { spaceGuid: app.space_guid, organizationGuid: app.organization_guid };
}

export async function findApp(db: Kysely<Database>, appGuid: string): Promise<ScopedApp | undefined> {
  return db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('apps.guid', '=', appGuid)
    .selectAll('apps')
    .select([
      'spaces.name as space_name',
      'spaces.organization_guid as organization_guid',
      'organizations.name as organization_name',
    ])
    .executeTakeFirst();
}

/** Throws `App not found` for an app that is not there or that the actor may not see. */
export async function seenApp(db: Kysely<Database>, actor: Actor, appGuid: string): Promise<ScopedApp> {
  const app = await findApp(db, appGuid);
  if (app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('App');
  return app;
}

/** As `seenApp`, and 403 for those who may see but not change. `also`: roles beside space developer. */
export async function writableApp(
  db: Kysely<Database>,
  actor: Actor,
  appGuid: string,
  also: readonly RoleType[] = [],
): Promise<ScopedApp> {
  const app = await seenApp(db, actor, appGuid);
  requireDeveloper(actor, appScope(app), 'App', also);
  return app;
}
