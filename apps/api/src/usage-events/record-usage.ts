/**
 * Usage events, for who bills: what began or ceased to use how much, in the transaction that made it so (CF: app_usage_event_repository.rb). Their guids
 * rise, so that `after_guid` skips none of those of one moment.
 */
import { randomUUID } from 'node:crypto';
import type { ProcessesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { ScopedApp } from '../apps/find-app.ts';

type Process = Selectable<ProcessesTable>;
type Size = Pick<Process, 'memory_mb' | 'instances'>;
type State = 'STARTED' | 'STOPPED';

const SEQUENCE_DIGITS = 12;

/** Twelve hex digits of a number that rises, in the form of a guid. */
async function nextGuid({ db }: Mutation): Promise<string> {
  const last = await db.selectFrom('usage_events').select('guid').orderBy('guid', 'desc').limit(1).executeTakeFirst();
  const before = last === undefined ? 0 : Number.parseInt(last.guid.replace('-', '').slice(0, SEQUENCE_DIGITS), 16);
  const digits = (before + 1).toString(16).padStart(SEQUENCE_DIGITS, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}${randomUUID().slice(13)}`;
}

async function insert(mutation: Mutation, kind: 'app' | 'service', data: Record<string, unknown>): Promise<void> {
  const { db, now } = mutation;
  const guid = await nextGuid(mutation);
  await db
    .insertInto('usage_events')
    .values({ guid, created_at: now, updated_at: now, kind, data_json: JSON.stringify(data) })
    .execute();
}

async function recordProcess(
  mutation: Mutation,
  app: ScopedApp,
  process: Process,
  { state, previous }: { state: [current: State, previous: State]; previous: Size },
): Promise<void> {
  await insert(mutation, 'app', {
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
  await insert(mutation, 'service', {
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
