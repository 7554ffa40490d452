import {
  app as appAnswer,
  type CreateApp,
  createApp as createBody,
  type UpdateApp,
  updateApp as updateBody,
} from '@cupola/contract/v3/app';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import { unmapAll } from '../routes/map-routes.ts';
import { actionEndpoints } from './action-endpoints.ts';
import { recordAppEvent } from './app-events.ts';
import { createApp, requireFreeName, updateAppRow } from './change-app.ts';
import { deleteApp } from './delete-app.ts';
import { currentDropletEndpoints } from './droplet-endpoints.ts';
import { mergeVariables, variableErrors } from './environment.ts';
import { environmentEndpoints } from './environment-endpoints.ts';
import { featureEndpoints } from './feature-endpoints.ts';
import { type ScopedApp, seenApp, writableApp } from './find-app.ts';
import { homeOfNew } from './home-of-new.ts';
import { includedSpaces } from './include-spaces.ts';
import { checkBuildpacks, lifecycleOf, resolveLifecycle } from './lifecycle.ts';
import { includeOfApps, listApps, presentApps } from './list-apps.ts';
import { HIDDEN, logApi, rubyText } from './log-line.ts';

async function showApp(deps: ApiDeps, app: ScopedApp) {
  return (await presentApps(deps, [app]))[0];
}

async function create(mutation: Mutation, deps: ApiDeps, actor: Actor, body: CreateApp) {
  const space = await homeOfNew(mutation.db, actor, body.relationships.space.data.guid);
  const { type, buildpacks, stack, warnings } = await resolveLifecycle(mutation.db, body.lifecycle);
  if (type === 'docker') await requireFlag(mutation.db, actor, 'diego_docker');
  await checkBuildpacks(mutation.db, buildpacks);
  const variables = body.environment_variables ?? {};
  const errors = variableErrors(variables, 'Environment variables');
  if (errors.length > 0) throw new UnprocessableError(errors.join(', '));
  const environment = mergeVariables({}, variables);
  const app = await createApp(mutation, deps, space, { name: body.name, type, buildpacks, stack, environment });
  await writeMetadata(mutation, 'app', app.guid, body.metadata);
  const request = {
    ...body,
    ...(body.environment_variables === undefined ? {} : { environment_variables: HIDDEN }),
  };
  await recordAppEvent(mutation, { actor, app, type: 'create', data: { request } });
  return { app, warnings };
}

async function update(mutation: Mutation, actor: Actor, app: ScopedApp, body: UpdateApp) {
  const name = body.name ?? app.name;
  if (name !== app.name) await requireFreeName(mutation, app.space_guid, name, app.guid);
  const { buildpacks, stack, warnings } = await resolveLifecycle(mutation.db, body.lifecycle, lifecycleOf(app));
  if (body.lifecycle?.data.buildpacks !== undefined) await checkBuildpacks(mutation.db, buildpacks);
  const row = { name, stack, buildpacks_json: JSON.stringify(buildpacks) };
  const updated = await updateAppRow(mutation, app, row);
  await writeMetadata(mutation, 'app', app.guid, body.metadata);
  await recordAppEvent(mutation, { actor, app: updated, type: 'update', data: { request: body } });
  return { app: updated, warnings };
}

export const appEndpoints: Endpoint[] = [
  listApps,
  endpoint({
    method: 'POST',
    path: '/v3/apps',
    summary: 'Make an app',
    bodySchema: createBody,
    responseSchema: appAnswer,
    handle: async (deps, { actor, body }) => {
      const { app, warnings } = await deps.store.mutate(mutation => create(mutation, deps, actor, body));
      await logApi(deps, app.guid, `Created app with guid ${app.guid}`);
      return { status: 201, body: await showApp(deps, app), warnings };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid',
    summary: 'One app',
    query: z.strictObject({ include: includeOfApps }),
    responseSchema: appAnswer,
    handle: async (deps, { actor, params, query: { include } }) => {
      const app = await seenApp(deps.store.read, actor, params.guid ?? '');
      const included = include === undefined ? {} : { included: await includedSpaces(deps, [app], { actor, include }) };
      return { status: 200, body: { ...(await showApp(deps, app)), ...included } };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/apps/:guid',
    summary: 'Rename or label an app, or say how it is staged',
    bodySchema: updateBody,
    responseSchema: appAnswer,
    handle: async (deps, { actor, params, body }) => {
      const { app, warnings } = await deps.store.mutate(async mutation =>
        update(mutation, actor, await writableApp(mutation.db, actor, params.guid ?? ''), body),
      );
      await logApi(deps, app.guid, `Updated app with guid ${app.guid} (${rubyText(body)})`);
      return { status: 200, body: await showApp(deps, app), warnings };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/apps/:guid',
    summary: 'Delete an app with all that is its own; its routes stay',
    handle: async (deps, { actor, params }) => {
      const guid = params.guid ?? '';
      const job = await deps.store.mutate(async mutation => {
        const app = await writableApp(mutation.db, actor, guid);
        await unmapAll(mutation, app, { actor, config: deps.config });
        await recordAppEvent(mutation, { actor, app, type: 'delete-request' });
        await deleteApp(mutation, app);
        return finishedJob(mutation, { operation: 'app.delete', resourceGuid: app.guid, actor });
      });
      await logApi(deps, guid, `Deleted app with guid ${guid}`);
      return accepted(deps, job);
    },
  }),
  ...actionEndpoints,
  ...currentDropletEndpoints,
  ...environmentEndpoints,
  ...featureEndpoints,
];
