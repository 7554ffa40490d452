/** Usage events, for who bills: what began or ceased to use how much, in the transaction that made it so (CF: app_usage_event_repository.rb). */
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { BuildsTable, ProcessesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { insertUsageEvent, recordTaskUsage } from '@cupola/store/usage-events';
import type { Selectable } from 'kysely';
import type { ScopedApp } from '../apps/find-app.ts';

type Process = Selectable<ProcessesTable>;
type Size = Pick<Process, 'memory_mb' | 'instances'>;
type State = 'STARTED' | 'STOPPED';

async function recordProcess(
  mutation: Mutation,
  app: ScopedApp,
  process: Process,
  { state, previous }: { state: [current: State, previous: State]; previous: Size },
): Promise<void> {
  await insertUsageEvent(mutation, 'app', {
    state: { current: state[0], previous: state[1] },
    app: { guid: app.guid, name: app.name },
    process: { guid: process.guid, type: process.type },
    space: { guid: app.space_guid, name: app.space_name },
    organization: { guid: app.organization_guid },
    buildpack: { guid: null, name: (JSON.parse(app.buildpacks_json) as string[])[0] ?? null },
    task: { guid: null, name: null },
    memory_in_mb_per_instance: { current: process.memory_mb, previous: previous.memory_mb },
    instance_count: { current: process.instances, previous: previous.instances },
  });
}

/** All processes of an app that goes from one state to the other. Call while their rows are there. */
export async function recordAppState(mutation: Mutation, app: ScopedApp, state: State): Promise<void> {
  if (app.state === state) return;
  const processes = await mutation.db.selectFrom('processes').selectAll().where('app_guid', '=', app.guid).execute();
  for (const process of processes)
    await recordProcess(mutation, app, process, { state: [state, app.state], previous: process });
}

/** A process of a started app that has another size now. */
export async function recordScale(
  mutation: Mutation,
  app: ScopedApp,
  { process, previous }: { process: Process; previous: Size },
): Promise<void> {
  const isSame = process.memory_mb === previous.memory_mb && process.instances === previous.instances;
  if (app.state !== 'STARTED' || isSame) return;
  await recordProcess(mutation, app, process, { state: ['STARTED', 'STARTED'], previous });
}

type Build = Selectable<BuildsTable>;
type BuildUsage = 'STAGING_STARTED' | 'STAGING_STOPPED' | 'BUILDPACK_SET';

/** A build of a user, who is told of no other: the platform's own, ahead of one, is its own affair. Nothing for an app that is gone. */
export async function recordBuildUsage(mutation: Mutation, build: Build, state: BuildUsage): Promise<void> {
  const { db } = mutation;
  const app = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.name', 'apps.space_guid', 'spaces.name as space_name', 'spaces.organization_guid'])
    .where('apps.guid', '=', build.app_guid)
    .executeTakeFirst();
  if (app === undefined) return;
  await insertUsageEvent(mutation, 'app', {
    state: { current: state, previous: 'STAGING' },
    app: { guid: build.app_guid, name: app.name },
    process: { guid: null, type: null },
    space: { guid: app.space_guid, name: app.space_name },
    organization: { guid: app.organization_guid },
    buildpack: await buildpackOf(mutation, build),
    task: { guid: null, name: null },
    memory_in_mb_per_instance: { current: STAGING_LIMITS.memoryMb, previous: STAGING_LIMITS.memoryMb },
    instance_count: { current: 1, previous: 1 },
  });
}

/** What made the droplet, or what was asked for while there is none: the last of several, which says how the app starts. */
async function buildpackOf({ db }: Mutation, build: Build): Promise<{ guid: string | null; name: string | null }> {
  const droplet = await db
    .selectFrom('droplets')
    .select('buildpacks_json')
    .where('guid', '=', build.droplet_guid ?? '')
    .executeTakeFirst();
  const used = droplet === undefined ? [] : (JSON.parse(droplet.buildpacks_json) as Array<{ name: string }>);
  const name = used.at(-1)?.name ?? (JSON.parse(build.buildpacks_json) as string[]).at(-1) ?? null;
  const row = await db.selectFrom('buildpacks').select('guid').where('name', '=', name).executeTakeFirst();
  return { guid: row?.guid ?? null, name };
}

/** Tasks of an app that is deleted: what has not ended ends with it. Call while their rows are there. */
export async function recordTasksGone(mutation: Mutation, app: ScopedApp): Promise<void> {
  const tasks = await mutation.db
    .selectFrom('tasks')
    .selectAll()
    .where('app_guid', '=', app.guid)
    .where('state', 'in', ['PENDING', 'RUNNING', 'CANCELING'])
    .orderBy('created_at')
    .execute();
  for (const task of tasks) await recordTaskUsage(mutation, task, 'TASK_STOPPED');
}

export async function recordServiceUsage(
  mutation: Mutation,
  instance: { guid: string; name: string; space_guid: string; organization_guid: string },
  state: 'CREATED' | 'UPDATED' | 'DELETED',
): Promise<void> {
  const space = await mutation.db
    .selectFrom('spaces')
    .select('name')
    .where('guid', '=', instance.space_guid)
    .executeTakeFirst();
  const nobody = { guid: null, name: null };
  await insertUsageEvent(mutation, 'service', {
    state,
    space: { guid: instance.space_guid, name: space?.name ?? '' },
    organization: { guid: instance.organization_guid },
    service_instance: { guid: instance.guid, name: instance.name, type: 'user_provided_service_instance' },
    service_plan: nobody,
    service_offering: nobody,
    service_broker: nobody,
  });
}

/** Forgets all that was, and begins with what is: a reader that starts anew misses nothing (CF: purge_and_reseed_started_apps!). */
export async function reseed(mutation: Mutation, kind: 'app' | 'service'): Promise<void> {
  const { db } = mutation;
  const old = await db.selectFrom('usage_events').select('guid').where('kind', '=', kind).execute();
  if (kind === 'app') {
    const apps = await db
      .selectFrom('apps')
      .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
      .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
      .where('apps.state', '=', 'STARTED')
      .selectAll('apps')
      .select(['spaces.name as space_name', 'spaces.organization_guid', 'organizations.name as organization_name'])
      .orderBy('apps.created_at')
      .execute();
    for (const app of apps) await recordAppState(mutation, { ...app, state: 'STOPPED' }, 'STARTED');
  } else {
    const instances = await db
      .selectFrom('service_instances')
      .innerJoin('spaces', 'spaces.guid', 'service_instances.space_guid')
      .selectAll('service_instances')
      .select('spaces.organization_guid')
      .orderBy('service_instances.created_at')
      .execute();
    for (const instance of instances) await recordServiceUsage(mutation, instance, 'CREATED');
  }
  // After the new ones, whose guids go on from theirs.
  for (const { guid } of old) await db.deleteFrom('usage_events').where('guid', '=', guid).execute();
}
