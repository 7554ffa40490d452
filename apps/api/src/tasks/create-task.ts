/**
 * Makes a task inside a mutation (CF: task_create.rb): with the droplet and the environment of this moment in a run spec of its own, so that it runs like an
 * instance of a process, under the same limits, but once.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { CreateTask } from '@cupola/contract/v3/task';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { TasksTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { recordTaskUsage } from '@cupola/store/usage-events';
import type { Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import type { ScopedApp } from '../apps/find-app.ts';
import { HIDDEN } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import type { ProcessRow } from '../processes/find-process.ts';
import { openSpecs } from '../run-specs/fix.ts';
import { checkTaskQuota } from './task-quota.ts';

export type TaskRow = Selectable<TasksTable>;

const NO_COMMAND = 'Command No command or template provided';

export async function createTask(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer' | 'config'>,
  { actor, app, body }: { actor: Actor; app: ScopedApp; body: CreateTask },
): Promise<TaskRow> {
  const { db, now, changed } = mutation;
  const template = await templateOf(mutation, app, body);
  const command = body.command ?? template?.command ?? template?.detected_command ?? null;
  if (command === null) throw new UnprocessableError(NO_COMMAND);
  const dropletGuid = await dropletOf(mutation, app, body);
  const sizes = sizesOf(body, template);
  const last = await db
    .selectFrom('tasks')
    .select('sequence_id')
    .where('app_guid', '=', app.guid)
    .orderBy('sequence_id', 'desc')
    .executeTakeFirst();
  const guid = randomUUID();
  const name = body.name ?? randomBytes(4).toString('hex');
  const specs = await openSpecs(mutation, deps, app.guid, dropletGuid);
  const row: TaskRow = {
    guid,
    created_at: now,
    updated_at: now,
    app_guid: app.guid,
    droplet_guid: dropletGuid,
    sequence_id: (last?.sequence_id ?? 0) + 1,
    name,
    command_sealed: deps.sealer.seal(command),
    state: 'PENDING',
    ...sizes,
    failure_reason: null,
    run_spec_guid: await specs.task({ guid, name, command, ...sizes }),
    ended_at: null,
  };
  await checkTaskQuota(db, app, row);
  await db.insertInto('tasks').values(row).execute();
  await recordTaskUsage(mutation, row, 'TASK_STARTED');
  await writeMetadata(mutation, 'task', guid, body.metadata);
  changed('task', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  await recordAppEvent(mutation, { actor, app, type: 'task.create', data: eventData(row) });
  return row;
}

/** What events say of a task, without what it runs. */
export function eventData({ guid, name, memory_mb }: TaskRow): Record<string, unknown> {
  return { task_guid: guid, request: { name, memory_in_mb: memory_mb, command: HIDDEN } };
}

async function templateOf({ db }: Mutation, app: ScopedApp, { template }: CreateTask): Promise<ProcessRow | null> {
  if (template == null) return null;
  const process = await db
    .selectFrom('processes')
    .selectAll()
    .where('guid', '=', template.process.guid)
    .where('app_guid', '=', app.guid)
    .executeTakeFirst();
  if (process === undefined) throw new NotFoundError('Process');
  return process;
}

async function dropletOf({ db }: Mutation, app: ScopedApp, { droplet_guid }: CreateTask): Promise<string> {
  if (droplet_guid == null) {
    if (app.current_droplet_guid !== null) return app.current_droplet_guid;
    throw new UnprocessableError('Task must have a droplet. Specify droplet or assign current droplet to app.');
  }
  const droplet = await db
    .selectFrom('droplets')
    .select('guid')
    .where('guid', '=', droplet_guid)
    .where('app_guid', '=', app.guid)
    .where('state', '=', 'STAGED')
    .executeTakeFirst();
  if (droplet === undefined) throw new NotFoundError('Droplet');
  return droplet.guid;
}

function sizesOf(
  { memory_in_mb, disk_in_mb, log_rate_limit_in_bytes_per_second }: CreateTask,
  template: ProcessRow | null,
): Pick<TaskRow, 'memory_mb' | 'disk_mb' | 'log_rate_limit_bytes'> {
  if (disk_in_mb != null && disk_in_mb > INSTANCE_LIMITS.diskMaxMb)
    throw new UnprocessableError(`Cannot request disk_in_mb greater than ${INSTANCE_LIMITS.diskMaxMb}`);
  return {
    memory_mb: memory_in_mb ?? template?.memory_mb ?? INSTANCE_LIMITS.memoryDefaultMb,
    disk_mb: disk_in_mb ?? template?.disk_mb ?? INSTANCE_LIMITS.diskDefaultMb,
    log_rate_limit_bytes:
      log_rate_limit_in_bytes_per_second ?? template?.log_rate_limit_bytes ?? INSTANCE_LIMITS.logRateBytesPerSecond,
  };
}
