/**
 * Deleting an app is one transaction: all that is the app's goes, and its copies are withdrawn by the scheduler, who finds placements without an app.
 * Packages' and droplets' blobs are the sweeper's; a file of a pack may still serve another app of the organization.
 */
import type { Mutation } from '@cupola/store/store';
import { sql } from 'kysely';
import { deletePoliciesOf } from '../network-policies/change-policies.ts';
import { recordAppState, recordTasksGone } from '../usage-events/record-usage.ts';
import type { ScopedApp } from './find-app.ts';

/** Tables whose rows are an app's, with the kind their labels are kept under. Children before parents. */
const OWNED = [
  ['service_bindings', 'service_binding'],
  ['builds', 'build'],
  ['droplets', 'droplet'],
  ['packages', 'package'],
  ['processes', 'process'],
  ['revisions', 'revision'],
  ['deployments', 'deployment'],
  ['tasks', 'task'],
] as const;

export async function deleteApp(mutation: Mutation, app: ScopedApp): Promise<void> {
  const { db, changed } = mutation;
  await recordAppState(mutation, app, 'STOPPED');
  await recordTasksGone(mutation, app);
  const scope = { organizationGuid: app.organization_guid, spaceGuid: app.space_guid };
  const routes = await db
    .selectFrom('route_destinations')
    .select('route_guid')
    .distinct()
    .where('app_guid', '=', app.guid)
    .execute();
  await db.deleteFrom('route_destinations').where('app_guid', '=', app.guid).execute();
  for (const { route_guid } of routes) changed('route', route_guid, scope);

  const builds = db.selectFrom('builds').select('guid').where('app_guid', '=', app.guid);
  await db.deleteFrom('build_queue').where('build_guid', 'in', builds).execute();
  await deletePoliciesOf(mutation, app.guid);
  await db.deleteFrom('cache_clearings').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('git_settings').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('git_webhooks').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('git_orders').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('git_previews').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('development_apps').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('development_changes').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('sidecars').where('app_guid', '=', app.guid).execute();
  await db.deleteFrom('run_specs').where('app_guid', '=', app.guid).execute();
  for (const [table, kind] of OWNED) {
    for (const marks of ['labels', 'annotations'] as const)
      await sql`delete from ${sql.table(marks)} where kind = ${kind}
        and resource_guid in (select guid from ${sql.table(table)} where app_guid = ${app.guid})`.execute(db);
    const gone = await db.deleteFrom(table).where('app_guid', '=', app.guid).returning('guid').execute();
    for (const { guid } of gone) changed(kind, guid, scope);
  }
  for (const marks of ['labels', 'annotations'] as const)
    await db.deleteFrom(marks).where('kind', '=', 'app').where('resource_guid', '=', app.guid).execute();
  await db.deleteFrom('apps').where('guid', '=', app.guid).execute();
  changed('app', app.guid, scope);
}
