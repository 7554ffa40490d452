/** The droplet that an app runs from its next start on (CF: apps_controller.rb, app_assign_droplet.rb). */
import { appDropletRelationship, assignDroplet as assignBody } from '@cupola/contract/v3/app';
import { dropletAnswer } from '@cupola/contract/v3/build';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { isDeploying } from '../deployments/in-flight.ts';
import type { ApiDeps } from '../deps.ts';
import { presentDroplets } from '../droplets/list-droplets.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { recordAppEvent } from './app-events.ts';
import { assignDroplet } from './assign-droplet.ts';
import { APP_MANAGERS, seenApp, writableApp } from './find-app.ts';
import { logApi, rubyText } from './log-line.ts';

function presentRelationship({ config }: Pick<ApiDeps, 'config'>, appGuid: string, dropletGuid: string) {
  const app = `${config.publicUrl}/v3/apps/${appGuid}`;
  return {
    data: { guid: dropletGuid },
    links: {
      self: { href: `${app}/relationships/current_droplet` },
      related: { href: `${app}/droplets/current` },
    },
  };
}

export const currentDropletEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/droplets/current',
    summary: 'The droplet that an app runs',
    responseSchema: dropletAnswer,
    handle: async (deps, { actor, params }) => {
      const app = await seenApp(deps.store.read, actor, params.guid ?? '');
      const droplet =
        app.current_droplet_guid === null
          ? undefined
          : await deps.store.read
              .selectFrom('droplets')
              .selectAll()
              .where('guid', '=', app.current_droplet_guid)
              .executeTakeFirst();
      // The cf CLI looks for these words: an app without a droplet is no error to it.
      if (droplet === undefined) throw new NotFoundError('Droplet');
      return { status: 200, body: (await presentDroplets(deps, [droplet]))[0] };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/relationships/current_droplet',
    summary: 'Which droplet an app runs',
    responseSchema: appDropletRelationship,
    handle: async (deps, { actor, params }) => {
      const app = await seenApp(deps.store.read, actor, params.guid ?? '');
      if (app.current_droplet_guid === null) throw new NotFoundError('Droplet');
      return { status: 200, body: presentRelationship(deps, app.guid, app.current_droplet_guid) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/apps/:guid/relationships/current_droplet',
    summary: 'Choose the droplet that an app runs from its next start on',
    bodySchema: assignBody,
    responseSchema: appDropletRelationship,
    handle: async (deps, { actor, params, body }) => {
      const { data } = body;
      if (data === null)
        throw new UnprocessableError('Current droplet cannot be removed. Replace it with a preferred droplet.');
      const { app, made } = await deps.store.mutate(async mutation => {
        const present = await writableApp(mutation.db, actor, params.guid ?? '', APP_MANAGERS);
        if (await isDeploying(mutation.db, present.guid))
          throw new UnprocessableError(
            'Unable to assign droplet while the app has a deployment in progress. Wait for the deployment to complete or cancel it.',
          );
        const processes = await assignDroplet(mutation, present, data.guid);
        const request = { droplet_guid: data.guid };
        await recordAppEvent(mutation, { actor, app: present, type: 'droplet.mapped', data: { request } });
        for (const { guid, type } of processes) {
          const facts = { process_guid: guid, process_type: type };
          await recordAppEvent(mutation, { actor, app: present, type: 'process.create', data: facts });
        }
        return { app: present, made: processes };
      });
      await logApi(
        deps,
        app.guid,
        `Updated app with guid ${app.guid} (${rubyText({ droplet_guid: data.guid })})`,
        ...made.map(({ type }) => `Added process: "${type}"`),
      );
      return { status: 200, body: presentRelationship(deps, app.guid, data.guid) };
    },
  }),
];
