import { dropletAnswer } from '@cupola/contract/v3/build';
import { updateMetadata } from '@cupola/contract/v3/package';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { appScope, findApp, type ScopedApp } from '../apps/find-app.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { deleteMetadata, writeMetadata } from '../metadata/metadata.ts';
import { processOfType } from '../processes/change-process.ts';
import { openImage } from './image.ts';
import {
  type DropletRow,
  isVisibleDroplet,
  listDroplets,
  listDropletsOfApp,
  listDropletsOfPackage,
  presentDroplets,
} from './list-droplets.ts';

async function seenDroplet(
  db: Kysely<Database>,
  actor: Actor,
  guid: string,
): Promise<{ row: DropletRow; app: ScopedApp }> {
  const row = await db
    .selectFrom('droplets')
    .selectAll()
    .where('guid', '=', guid)
    .where(isVisibleDroplet)
    .executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Droplet');
  return { row, app };
}

const NOT_BUILT =
  'Droplets cannot be made without a package yet. Push the source; `cf copy-source` and `cf set-droplet` use what is staged.';

export const dropletEndpoints: Endpoint[] = [
  listDroplets,
  listDropletsOfApp,
  listDropletsOfPackage,
  endpoint({
    method: 'POST',
    path: '/v3/droplets',
    summary: 'Not supported yet',
    handle: async () => {
      throw new UnprocessableError(NOT_BUILT);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/droplets/:guid',
    summary: 'One droplet',
    responseSchema: dropletAnswer,
    handle: async (deps, { actor, params }) => {
      const { row } = await seenDroplet(deps.store.read, actor, params.guid ?? '');
      return { status: 200, body: (await presentDroplets(deps, [row]))[0] };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/droplets/:guid/image',
    summary: 'A droplet as an OCI image that docker load takes (an addition to Cloud Foundry)',
    query: z.strictObject({ name: z.string().exactOptional(), process_type: z.string().exactOptional() }),
    handle: async (deps, { actor, params, query }) => {
      const { row, app } = await seenDroplet(deps.store.read, actor, params.guid ?? '');
      requireDeveloper(actor, appScope(app), 'Droplet');
      const process = await processOfType(deps.store.read, app.guid, query.process_type ?? 'web');
      const body = await openImage(deps, {
        droplet: row,
        name: query.name ?? `${app.name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}:latest`,
        command: process?.command ?? null,
      });
      return { status: 200, body, contentType: 'application/x-tar' };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/droplets/:guid',
    summary: 'Label a droplet',
    bodySchema: updateMetadata,
    responseSchema: dropletAnswer,
    handle: async (deps, { actor, params, body }) => {
      const row = await deps.store.mutate(async mutation => {
        const found = await seenDroplet(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(found.app), 'Droplet');
        await writeMetadata(mutation, 'droplet', found.row.guid, body.metadata);
        return found.row;
      });
      return { status: 200, body: (await presentDroplets(deps, [row]))[0] };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/droplets/:guid',
    summary: 'Delete a droplet that its app does not use',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const { db, changed } = mutation;
        const { row, app } = await seenDroplet(db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(app), 'Droplet');
        if (app.current_droplet_guid === row.guid)
          throw new UnprocessableError('Unable to delete. The app uses this droplet: assign another one first.');
        await db.deleteFrom('droplets').where('guid', '=', row.guid).execute();
        await deleteMetadata(mutation, 'droplet', [row.guid]);
        changed('droplet', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
        await recordAppEvent(mutation, { actor, app, type: 'droplet.delete', data: { droplet_guid: row.guid } });
        return finishedJob(mutation, { operation: 'droplet.delete', resourceGuid: row.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
];
