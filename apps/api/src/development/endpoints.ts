/** Development apps: made or kept alive, changed, looked at, ended. What `cupola dev` asks for; nothing of it is in Cloud Foundry. */
import {
  type DevelopmentApp,
  developmentApp,
  developmentChange,
  developmentChangeQuery,
  developmentQuery,
  postDevelopmentApp,
} from '@cupola/contract/v3/development';
import { NotFoundError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { endApp } from '../apps/end-app.ts';
import { seenApp, writableApp } from '../apps/find-app.ts';
import { homeOfNew } from '../apps/home-of-new.ts';
import { logApi } from '../apps/log-line.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { keepDevelopmentApp, requireDevelopment } from './development-apps.ts';
import { takeChange } from './take-change.ts';

const PATH = '/v3/apps/:guid/development';

async function show(read: Kysely<Database>, guid: string): Promise<DevelopmentApp> {
  const row = await read
    .selectFrom('development_apps')
    .innerJoin('apps', 'apps.guid', 'development_apps.app_guid')
    .leftJoin('users', 'users.guid', 'development_apps.user_guid')
    .select(['apps.guid', 'apps.name', 'apps.current_droplet_guid', 'users.username'])
    .select(['development_apps.expires_at', 'development_apps.created_at'])
    .where('apps.guid', '=', guid)
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError('Development app');
  const newest = await read
    .selectFrom('development_changes')
    .select(({ fn }) => fn.max('sequence').as('sequence'))
    .where('droplet_guid', '=', row.current_droplet_guid ?? '')
    .executeTakeFirstOrThrow();
  const copies = await read
    .selectFrom('copies')
    .innerJoin('processes', 'processes.guid', 'copies.process_guid')
    .select(['processes.type', 'copies.index_number', 'copies.state', 'copies.applied_change'])
    .where('processes.app_guid', '=', guid)
    .orderBy('processes.type')
    .orderBy('copies.index_number')
    .execute();
  return {
    ...{ guid, name: row.name, user: row.username },
    ...{ expires_at: isoTime(row.expires_at), created_at: isoTime(row.created_at) },
    droplet_guid: row.current_droplet_guid,
    sequence: Number(newest.sequence ?? 0),
    instances: copies.map(({ type, index_number, state, applied_change }) => ({
      ...{ process_type: type, index: index_number, state, applied: applied_change ?? 0 },
    })),
  };
}

/** Every instance that runs has it. Where none is there, none will say so. */
function hasTaken({ instances }: DevelopmentApp, sequence: number): boolean {
  const running = instances.filter(({ state }) => state === 'RUNNING');
  return instances.length === 0 || (running.length > 0 && running.every(({ applied }) => applied >= sequence));
}

export const developmentEndpoints: Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v3/development_apps',
    summary: 'Make a development app, or let it live on (an addition to Cloud Foundry)',
    bodySchema: postDevelopmentApp,
    responseSchema: developmentApp,
    handle: async (deps, { actor, body }) => {
      const answer = await deps.store.mutate(async mutation => {
        const home = await homeOfNew(mutation.db, actor, body.relationships.space.data.guid);
        const asked = { actor, home, name: body.name, hours: body.hours ?? null };
        return show(mutation.db, (await keepDevelopmentApp(mutation, deps, asked)).guid);
      });
      return { status: 200, body: answer };
    },
  }),
  endpoint({
    method: 'GET',
    path: PATH,
    summary: 'A development app, and which change each instance has taken; held until they have taken one',
    query: developmentQuery,
    responseSchema: developmentApp,
    handle: async (deps, request) => {
      const { guid = '' } = request.params;
      const { sequence } = request.query;
      await seenApp(deps.store.read, request.actor, guid);
      const read = () => show(deps.store.read, guid);
      if (sequence === undefined) return { status: 200, body: await read() };
      const body = await deps.holds.wait(request, {
        kind: 'development',
        guid,
        // Which copies are the app's changes while it waits: all are looked at, by one small query.
        concerns: kind => kind === 'copy',
        read,
        isFinal: app => hasTaken(app, sequence),
      });
      return { status: 200, body };
    },
  }),
  endpoint({
    method: 'POST',
    path: `${PATH}/changes`,
    summary: 'Change files of a development app where it runs: a tar of `removed`, `restart` and `files/`',
    auth: 'upload',
    body: 'stream',
    query: developmentChangeQuery,
    responseSchema: developmentChange,
    handle: async (deps, request) => {
      const { guid = '' } = request.params;
      const { droplet_guid = '' } = request.query;
      const taken = await takeChange(deps, request, { appGuid: guid, dropletGuid: droplet_guid });
      return { status: 201, body: { ...taken, droplet_guid } };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: PATH,
    summary: 'End a development app: the app, and the routes that lead to nothing else',
    handle: async (deps, { actor, params: { guid = '' } }) => {
      await deps.store.mutate(async mutation => {
        await writableApp(mutation.db, actor, guid);
        await requireDevelopment(mutation.db, guid);
        await endApp(mutation, guid, actor);
      });
      await logApi(deps, guid, `Deleted app with guid ${guid}`);
      return { status: 204 };
    },
  }),
];
