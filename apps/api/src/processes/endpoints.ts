/** Each endpoint of one process is there twice: by the process's guid, and as a type of an app. */
import {
  process as processAnswer,
  processInstances,
  processStats,
  scaleProcess as scaleBody,
  updateProcess as updateBody,
} from '@cupola/contract/v3/process';
import { z } from 'zod';
import { holdsInSpace } from '../access/access.ts';
import { logApi } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { type Acted, scale, terminateInstance, update } from './act.ts';
import { type ProcessPath, type ProcessRow, seenProcess } from './find-process.ts';
import { embedInstances, presentProcesses, processLists } from './list-processes.ts';
import { presentInstances } from './present-process.ts';
import { heldStats, readProcessInstances } from './stats.ts';

type Options = { secrets: 'shown' | 'hidden'; embed: boolean };

async function show(deps: ApiDeps, process: ProcessRow, { secrets, embed }: Options) {
  return (await presentProcesses(deps, [process], { secrets, embed }))[0];
}

/** Who changed it may read it whole. */
async function changed(deps: ApiDeps, status: number, { app, process, line }: Acted): Promise<Reply> {
  await logApi(deps, app.guid, line);
  return { status, body: await show(deps, process, { secrets: 'shown', embed: false }) };
}

function endpointsAt(base: '/v3/processes/:guid' | '/v3/apps/:app/processes/:type', whose: string): Endpoint[] {
  const pathOf = (params: Record<string, string>): ProcessPath => params;
  return [
    endpoint({
      method: 'GET',
      path: base,
      summary: `One process${whose}`,
      query: z.strictObject({ embed: embedInstances }),
      responseSchema: processAnswer,
      handle: async (deps, { actor, params, query }) => {
        const { process, app } = await seenProcess(deps.store.read, actor, pathOf(params));
        const secrets = holdsInSpace(actor, app.space_guid, ['space_developer']) ? 'shown' : 'hidden';
        return { status: 200, body: await show(deps, process, { secrets, embed: query.embed !== undefined }) };
      },
    }),
    endpoint({
      method: 'PATCH',
      path: base,
      summary: `Set command and health checks of a process${whose}; counts from the next start on`,
      bodySchema: updateBody,
      responseSchema: processAnswer,
      handle: async (deps, { actor, params, body }) => {
        const by = { actor, path: pathOf(params) };
        return changed(deps, 200, await deps.store.mutate(mutation => update(mutation, by, body)));
      },
    }),
    endpoint({
      method: 'POST',
      path: `${base}/actions/scale`,
      summary: `Scale a process${whose}: instances at once, memory, disk and log rate from the next start on`,
      bodySchema: scaleBody,
      responseSchema: processAnswer,
      handle: async (deps, request) => {
        const by = { actor: request.actor, path: pathOf(request.params) };
        const scaled = await deps.store.mutate(mutation => scale(mutation, deps, by, request.body));
        // The cf CLI polls the stats of what it has scaled.
        deps.holds.own(request, 'stats', scaled.app.guid);
        return changed(deps, 202, scaled);
      },
    }),
    endpoint({
      method: 'GET',
      path: `${base}/stats`,
      summary: `What became of each instance of a process${whose}, and what it uses`,
      responseSchema: processStats,
      handle: async (deps, request) => {
        const found = await seenProcess(deps.store.read, request.actor, pathOf(request.params));
        return { status: 200, body: await heldStats(deps, request, found) };
      },
    }),
    endpoint({
      method: 'GET',
      path: `${base}/process_instances`,
      summary: `States of the instances of a process${whose}`,
      responseSchema: processInstances,
      handle: async (deps, { actor, params }) => {
        const found = await seenProcess(deps.store.read, actor, pathOf(params));
        const self = `${deps.config.publicUrl}/v3/processes/${found.process.guid}`;
        const resources = presentInstances(await readProcessInstances(deps, found), deps.now());
        const links = { self: { href: `${self}/process_instances` }, process: { href: self } };
        return { status: 200, body: { resources, links } };
      },
    }),
    endpoint({
      method: 'DELETE',
      path: `${base}/instances/:index`,
      summary: `Replace one instance of a process${whose}`,
      handle: async (deps, { actor, params }) => {
        const by = { actor, path: pathOf(params) };
        const { app, line } = await deps.store.mutate(mutation => terminateInstance(mutation, by, params.index ?? ''));
        await logApi(deps, app.guid, line);
        return NO_CONTENT;
      },
    }),
  ];
}

export const processEndpoints: Endpoint[] = [
  ...processLists,
  ...endpointsAt('/v3/processes/:guid', ''),
  ...endpointsAt('/v3/apps/:app/processes/:type', ' of an app, by its type'),
];
