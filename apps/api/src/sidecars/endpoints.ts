import { pageOf } from '@cupola/contract/v3/parts';
import {
  createSidecar as createBody,
  type SidecarAnswer,
  sidecarAnswer,
  updateSidecar as updateBody,
} from '@cupola/contract/v3/sidecar';
import { NotFoundError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import { type Kysely, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { appScope, findApp, seenApp, writableApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { among, type Condition, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { pageBody, pageQuery } from '../pages/page.ts';
import { seenProcess } from '../processes/find-process.ts';
import { createSidecar, type SidecarRow, typesOf, updateSidecar } from './change-sidecar.ts';

function presentSidecar(row: SidecarRow): SidecarAnswer {
  return {
    guid: row.guid,
    created_at: isoTime(row.created_at),
    updated_at: isoTime(row.updated_at),
    name: row.name,
    command: row.command,
    process_types: typesOf(row),
    memory_in_mb: row.memory_mb,
    origin: row.origin,
    relationships: { app: { data: { guid: row.app_guid } } },
  };
}

async function seenSidecar(
  db: Kysely<Database>,
  actor: Actor,
  { guid, toChange }: { guid: string; toChange: boolean },
): Promise<SidecarRow> {
  const row = await db.selectFrom('sidecars').selectAll().where('guid', '=', guid).executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Sidecar');
  if (toChange) requireDeveloper(actor, appScope(app), 'Sidecar');
  return row;
}

const query = z.strictObject({ ...pageQuery, order_by: orderBy() });

async function list(
  deps: ApiDeps,
  request: ApiRequest<z.output<typeof query>, undefined>,
  conditions: readonly Condition[],
): Promise<Reply> {
  const { ask, total, rows, after } = await listRows(deps.store.read, 'sidecars', request.query, { conditions });
  return { status: 200, body: pageBody(request, ask, { total, resources: rows.map(presentSidecar), after }) };
}

export const sidecarEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/sidecars',
    summary: 'Sidecars of an app',
    query,
    responseSchema: pageOf(sidecarAnswer),
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      return list(deps, request, [among('sidecars.app_guid', [app.guid])]);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/apps/:guid/sidecars',
    summary: 'Run a second command beside some processes of an app, from its next start on',
    bodySchema: createBody,
    responseSchema: sidecarAnswer,
    handle: async ({ store }, { actor, params, body }) => {
      const row = await store.mutate(async mutation => {
        const app = await writableApp(mutation.db, actor, params.guid ?? '');
        return createSidecar(mutation, app.guid, body);
      });
      return { status: 201, body: presentSidecar(row) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/processes/:guid/sidecars',
    summary: 'Sidecars of a process',
    query,
    responseSchema: pageOf(sidecarAnswer),
    handle: async (deps, request) => {
      const { process, app } = await seenProcess(deps.store.read, request.actor, { guid: request.params.guid ?? '' });
      // The cf CLI's summary begins with them: its stats are not held any more.
      deps.holds.summaryBegins(request, app.guid, process.guid);
      const type = sql<SqlBool>`sidecars.process_types_json like ${`%${JSON.stringify(process.type)}%`}`;
      return list(deps, request, [among('sidecars.app_guid', [app.guid]), type]);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/sidecars/:guid',
    summary: 'One sidecar',
    responseSchema: sidecarAnswer,
    handle: async ({ store }, { actor, params }) => {
      const row = await seenSidecar(store.read, actor, { guid: params.guid ?? '', toChange: false });
      return { status: 200, body: presentSidecar(row) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/sidecars/:guid',
    summary: 'Change a sidecar; counts from the next start on',
    bodySchema: updateBody,
    responseSchema: sidecarAnswer,
    handle: async ({ store }, { actor, params, body }) => {
      const row = await store.mutate(async mutation => {
        const present = await seenSidecar(mutation.db, actor, { guid: params.guid ?? '', toChange: true });
        return updateSidecar(mutation, present, body);
      });
      return { status: 200, body: presentSidecar(row) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/sidecars/:guid',
    summary: 'Do without a sidecar from the next start on',
    handle: async ({ store }, { actor, params }) => {
      await store.mutate(async mutation => {
        const { guid } = await seenSidecar(mutation.db, actor, { guid: params.guid ?? '', toChange: true });
        await mutation.db.deleteFrom('sidecars').where('guid', '=', guid).execute();
      });
      return NO_CONTENT;
    },
  }),
];
