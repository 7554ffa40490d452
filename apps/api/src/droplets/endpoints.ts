import { createDroplet, dropletAnswer } from '@cupola/contract/v3/build';
import { updateMetadata } from '@cupola/contract/v3/package';
import { UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import { recordAppEvent } from '../apps/app-events.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob, jobLocation } from '../jobs/jobs.ts';
import { deleteMetadata, writeMetadata } from '../metadata/metadata.ts';
import { processOfType } from '../processes/change-process.ts';
import { copyDroplet } from './copy-droplet.ts';
import { openDroplet } from './download.ts';
import { seenDroplet, writableDroplet } from './find-droplet.ts';
import { openImage } from './image.ts';
import { listDroplets, listDropletsOfApp, listDropletsOfPackage, presentDroplets } from './list-droplets.ts';
import { createEmptyDroplet, uploadDroplet } from './upload-droplet.ts';

export const dropletEndpoints: Endpoint[] = [
  listDroplets,
  listDropletsOfApp,
  listDropletsOfPackage,
  endpoint({
    method: 'POST',
    path: '/v3/droplets',
    summary: 'Make a droplet for bits to come, or copy one to another app',
    query: z.strictObject({ source_guid: z.string().exactOptional() }),
    bodySchema: createDroplet,
    responseSchema: dropletAnswer,
    handle: async (deps, { actor, query, body }) => {
      const { source_guid: sourceGuid } = query;
      const appGuid = body.relationships.app.data.guid;
      const row =
        sourceGuid === undefined
          ? await createEmptyDroplet(deps, actor, body)
          : await deps.store.mutate(mutation => copyDroplet(mutation, actor, { sourceGuid, appGuid }));
      return { status: 201, body: (await presentDroplets(deps, [row]))[0] };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/droplets/:guid/upload',
    summary: "Send a droplet's bits, as a gzipped tar",
    auth: 'upload',
    body: 'multipart',
    responseSchema: dropletAnswer,
    handle: async (deps, request) => {
      const { droplet, job } = await uploadDroplet(deps, request);
      const headers = { Location: jobLocation(deps.config.publicUrl, job) };
      return { status: 202, headers, body: (await presentDroplets(deps, [droplet]))[0] };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/droplets/:guid/download',
    summary: 'A droplet as a gzipped tar',
    handle: async (deps, { actor, params }) => {
      const { row } = await writableDroplet(deps.store.read, actor, params.guid ?? '');
      return { status: 200, body: await openDroplet(deps, row), contentType: 'application/gzip' };
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
      const { row, app } = await writableDroplet(deps.store.read, actor, params.guid ?? '');
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
        const found = await writableDroplet(mutation.db, actor, params.guid ?? '');
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
        const { row, app } = await writableDroplet(db, actor, params.guid ?? '');
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
