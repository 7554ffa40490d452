/**
 * Writing usage events, for who bills: API and scheduler both do. In the transaction that makes it so. Their guids rise, so that `after_guid` skips none of
 * those of one moment.
 */
import { randomUUID } from 'node:crypto';
import type { TasksTable, UsageEventsTable } from './schema.ts';
import type { Mutation } from './store.ts';

const SEQUENCE_DIGITS = 12;

/** Twelve hex digits of a number that rises, in the form of a guid. */
async function nextGuid({ db }: Mutation): Promise<string> {
  const last = await db.selectFrom('usage_events').select('guid').orderBy('guid', 'desc').limit(1).executeTakeFirst();
  const before = last === undefined ? 0 : Number.parseInt(last.guid.replace('-', '').slice(0, SEQUENCE_DIGITS), 16);
  const digits = (before + 1).toString(16).padStart(SEQUENCE_DIGITS, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}${randomUUID().slice(13)}`;
}

export async function insertUsageEvent(
  mutation: Mutation,
  kind: UsageEventsTable['kind'],
  data: Record<string, unknown>,
): Promise<void> {
  const { db, now } = mutation;
  const guid = await nextGuid(mutation);
  await db
    .insertInto('usage_events')
    .values({ guid, created_at: now, updated_at: now, kind, data_json: JSON.stringify(data) })
    .execute();
}

type Task = Pick<TasksTable, 'guid' | 'app_guid' | 'name' | 'memory_mb' | 'state'>;

/** One that begins or has ended (CF: AppUsageEventRepository#create_from_task). Nothing for an app that is gone. `task` as it was before. */
export async function recordTaskUsage(
  mutation: Mutation,
  task: Task,
  state: 'TASK_STARTED' | 'TASK_STOPPED',
): Promise<void> {
  const app = await mutation.db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.name', 'apps.space_guid', 'spaces.name as space_name', 'spaces.organization_guid'])
    .where('apps.guid', '=', task.app_guid)
    .executeTakeFirst();
  if (app === undefined) return;
  const nobody = { guid: null, name: null };
  await insertUsageEvent(mutation, 'app', {
    state: { current: state, previous: task.state },
    app: { guid: task.app_guid, name: app.name },
    process: { guid: null, type: null },
    space: { guid: app.space_guid, name: app.space_name },
    organization: { guid: app.organization_guid },
    buildpack: nobody,
    task: { guid: task.guid, name: task.name },
    memory_in_mb_per_instance: { current: task.memory_mb, previous: task.memory_mb },
    instance_count: { current: 1, previous: 1 },
  });
}
