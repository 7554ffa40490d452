/** The end of a build as an audit event, in CF's types and keys (CF: build_event_repository.rb), and for who bills. Its actor is who asked for the build. */
import type { BuildsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import { insertEvents } from '../events/record.ts';
import { recordBuildUsage } from '../usage-events/record-usage.ts';

/** Nothing for an app that is gone. In the transaction that ends the build. */
export async function recordBuildEnd(mutation: Mutation, build: Selectable<BuildsTable>): Promise<void> {
  const app = await mutation.db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.name', 'apps.space_guid', 'spaces.organization_guid'])
    .where('apps.guid', '=', build.app_guid)
    .executeTakeFirst();
  if (app === undefined) return;
  const about = { build_guid: build.guid, package_guid: build.package_guid };
  const isStaged = build.state === 'STAGED';
  const data = isStaged
    ? { ...about, droplet_guid: build.droplet_guid }
    : { ...about, error_id: build.error_title, error_message: build.error };
  await insertEvents(mutation, [
    {
      type: isStaged ? 'audit.app.build.staged' : 'audit.app.build.failed',
      actor_guid: build.created_by_guid ?? '',
      actor_type: 'user',
      actor_name: build.created_by_name ?? '',
      target_guid: build.app_guid,
      target_type: 'app',
      target_name: app.name,
      space_guid: app.space_guid,
      organization_guid: app.organization_guid,
      data_json: JSON.stringify(data),
    },
  ]);
  await recordBuildUsage(mutation, build, 'STAGING_STOPPED');
  if (isStaged) await recordBuildUsage(mutation, build, 'BUILDPACK_SET');
}
