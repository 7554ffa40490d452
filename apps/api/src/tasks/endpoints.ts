import { updateMetadata } from '@cupola/contract/v3/package';
import { pageOf } from '@cupola/contract/v3/parts';
import { createTask as createBody, type TaskAnswer, taskAnswer } from '@cupola/contract/v3/task';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { isTaskCancelable } from '@cupola/model/tasks';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { type Kysely, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { holdsInSpace, maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { APP_MANAGERS, appScope, findApp, type ScopedApp, seenApp, writableApp } from '../apps/find-app.ts';
import type { ShownMetadata } from '../apps/present-app.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { type Scope, scopeOf } from '../pages/scope.ts';
import { createTask, eventData, type TaskRow } from './create-task.ts';

const USER = 'vcap';

interface Found {
  row: TaskRow;
  app: ScopedApp;
}

async function seenTask(db: Kysely<Database>, actor: Actor, guid: string): Promise<Found> {
  const row = await db.selectFrom('tasks').selectAll().where('guid', '=', guid).executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Task');
  return { row, app };
}

const mayReadSecrets = (actor: Actor, app: ScopedApp): boolean =>
  holdsInSpace(actor, app.space_guid, ['space_developer']);

interface Shown {
  metadata: ShownMetadata;
  showsCommand: boolean;
}

function presentTask(
  { config, sealer }: Pick<ApiDeps, 'config' | 'sealer'>,
  row: TaskRow,
  { metadata, showsCommand }: Shown,
): TaskAnswer {
  const href = (path: string) => ({ href: `${config.publicUrl}/v3/${path}` });
  return {
    guid: row.guid,
    created_at: isoTime(row.created_at),
    updated_at: isoTime(row.updated_at),
    sequence_id: row.sequence_id,
    name: row.name,
    ...(showsCommand ? { command: sealer.open(row.command_sealed) } : {}),
    user: USER,
    state: row.state,
    memory_in_mb: row.memory_mb,
    disk_in_mb: row.disk_mb,
    log_rate_limit_in_bytes_per_second: row.log_rate_limit_bytes,
    result: { failure_reason: row.failure_reason },
    droplet_guid: row.droplet_guid,
    relationships: { app: { data: { guid: row.app_guid } } },
    metadata,
    links: {
      self: href(`tasks/${row.guid}`),
      app: href(`apps/${row.app_guid}`),
      cancel: { ...href(`tasks/${row.guid}/actions/cancel`), method: 'POST' },
      droplet: href(`droplets/${row.droplet_guid}`),
    },
  };
}

export async function presentTasks(
  deps: ApiDeps,
  rows: readonly TaskRow[],
  showsCommand: boolean,
): Promise<TaskAnswer[]> {
  const guids = rows.map(({ guid }) => guid);
  const metadata = await readMetadata(deps.store.read, 'task', guids);
  return rows.map(row => presentTask(deps, row, { metadata: metadata.get(row.guid) ?? NO_METADATA, showsCommand }));
}

async function show(deps: ApiDeps, status: number, { row, showsCommand }: { row: TaskRow; showsCommand: boolean }) {
  return { status, body: (await presentTasks(deps, [row], showsCommand))[0] };
}

/** A task that has a cell or waits for one is CANCELING until nothing of it is left; asking again does no harm. */
async function cancel(mutation: Mutation, actor: Actor, guid: string): Promise<Found> {
  const { db, now, changed } = mutation;
  const { row, app } = await seenTask(db, actor, guid);
  requireDeveloper(actor, appScope(app), 'Task', APP_MANAGERS);
  if (!isTaskCancelable(row.state))
    throw new UnprocessableError(`Task state is ${row.state} and therefore cannot be canceled`);
  await db.updateTable('tasks').set({ state: 'CANCELING', updated_at: now }).where('guid', '=', guid).execute();
  changed('task', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  await recordAppEvent(mutation, { actor, app, type: 'task.cancel', data: eventData(row) });
  return { row: { ...row, state: 'CANCELING', updated_at: now }, app };
}

const common = {
  ...listQuery,
  names: commaList.exactOptional(),
  states: commaList.exactOptional(),
  order_by: orderBy(),
};
const ofAppQuery = z.strictObject({ ...common, sequence_ids: commaList.exactOptional() });
const allQuery = z.strictObject({
  ...common,
  app_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
});
type ListQuery = z.output<typeof ofAppQuery> & z.output<typeof allQuery>;

async function list(
  deps: ApiDeps,
  request: ApiRequest<Partial<ListQuery>, undefined>,
  { within = [], scope, showsCommand }: { within?: Condition[]; scope?: Scope; showsCommand: boolean },
): Promise<Reply> {
  const asked = request.query;
  const numbers = asked.sequence_ids?.flatMap(text => (/^\d{1,9}$/.test(text) ? [Number(text)] : []));
  const conditions = [
    ...within,
    ...commonConditions('tasks', asked),
    ...(asked.names === undefined ? [] : [among('tasks.name', asked.names)]),
    ...(asked.states === undefined ? [] : [among('tasks.state', asked.states)]),
    ...(asked.app_guids === undefined ? [] : [among('tasks.app_guid', asked.app_guids)]),
    ...(numbers === undefined
      ? []
      : [numbers.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`tasks.sequence_id in (${sql.join(numbers)})`]),
    ...(asked.label_selector === undefined ? [] : [labelSelectorCondition('task', 'tasks.guid', asked.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'tasks', asked, {
    conditions,
    ...(scope === undefined ? {} : { scope }),
  });
  const resources = await presentTasks(deps, rows, showsCommand);
  return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
}

/** The cf CLI's is a PUT; CF's own documentation has a POST. */
const cancelEndpoints: Endpoint[] = (
  [
    ['PUT', '/v3/tasks/:guid/cancel'],
    ['POST', '/v3/tasks/:guid/actions/cancel'],
  ] as const
).map(([method, path]) =>
  endpoint({
    method,
    path,
    summary: 'Cancel a task',
    responseSchema: taskAnswer,
    handle: async (deps, { actor, params }) => {
      const { row, app } = await deps.store.mutate(mutation => cancel(mutation, actor, params.guid ?? ''));
      return show(deps, 202, { row, showsCommand: mayReadSecrets(actor, app) });
    },
  }),
);

export const taskEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/tasks',
    summary: 'Tasks that the asker may see, without their commands',
    query: allQuery,
    responseSchema: pageOf(taskAnswer),
    handle: async (deps, request) => {
      const scope = await scopeOf(deps.store.read, request.actor, { asked: request.query });
      return list(deps, request, { scope, showsCommand: false });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/tasks',
    summary: 'Tasks of an app',
    query: ofAppQuery,
    responseSchema: pageOf(taskAnswer),
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      const within = [among('tasks.app_guid', [app.guid])];
      return list(deps, request, { within, showsCommand: mayReadSecrets(request.actor, app) });
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/apps/:guid/tasks',
    summary: 'Run a command once, with the droplet and the environment of an app',
    bodySchema: createBody,
    responseSchema: taskAnswer,
    handle: async (deps, { actor, params, body }) => {
      const row = await deps.store.mutate(async mutation => {
        const app = await writableApp(mutation.db, actor, params.guid ?? '');
        await requireFlag(mutation.db, actor, 'task_creation');
        return createTask(mutation, deps, { actor, app, body });
      });
      return show(deps, 202, { row, showsCommand: true });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/tasks/:guid',
    summary: 'One task',
    responseSchema: taskAnswer,
    handle: async (deps, { actor, params }) => {
      const { row, app } = await seenTask(deps.store.read, actor, params.guid ?? '');
      return show(deps, 200, { row, showsCommand: mayReadSecrets(actor, app) });
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/tasks/:guid',
    summary: 'Label a task',
    bodySchema: updateMetadata,
    responseSchema: taskAnswer,
    handle: async (deps, { actor, params, body }) => {
      const row = await deps.store.mutate(async mutation => {
        const found = await seenTask(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(found.app), 'Task');
        await writeMetadata(mutation, 'task', found.row.guid, body.metadata);
        return found.row;
      });
      return show(deps, 200, { row, showsCommand: true });
    },
  }),
  ...cancelEndpoints,
];
