/** Processes as lists show them: commands hidden, and with `embed=process_instances` what became of each instance (CF: process_list_fetcher.rb). */
import { pageOf } from '@cupola/contract/v3/parts';
import { process as processAnswer } from '@cupola/contract/v3/process';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { type Scope, scopeOf } from '../pages/scope.ts';
import type { ProcessRow } from './find-process.ts';
import { readInstances } from './instances.ts';
import { presentProcess } from './present-process.ts';
import { readSnapshot } from './read-snapshot.ts';

export const embedInstances = z
  .string()
  .refine(text => text.split(',').every(name => name === 'process_instances'), {
    error: "Invalid embedded resource. Valid embedded resources are: 'process_instances'",
  })
  .exactOptional();

const ofApp = { ...listQuery, types: commaList.exactOptional(), embed: embedInstances, order_by: orderBy() };
const appQuery = z.strictObject(ofApp);
const listAllQuery = z.strictObject({
  ...ofApp,
  app_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
});
type ListQuery = z.infer<typeof listAllQuery>;

interface Home {
  guid: string;
  state: string;
  space_guid: string;
}

/** The apps of a page, for their states and spaces. */
async function readHomes(db: Kysely<Database>, processes: readonly ProcessRow[]): Promise<Map<string, Home>> {
  const guids = [...new Set(processes.map(process => process.app_guid))];
  const rows = await inChunks(guids, some =>
    db.selectFrom('apps').select(['guid', 'state', 'space_guid']).where(among('guid', some)).execute(),
  );
  return new Map(rows.map(row => [row.guid, row]));
}

export async function presentProcesses(
  { store, config, now }: ApiDeps,
  processes: readonly ProcessRow[],
  { secrets, embed }: { secrets: 'shown' | 'hidden' | 'hidden in list'; embed: boolean },
) {
  const db = store.read;
  const guids = processes.map(process => process.guid);
  const homes = await readHomes(db, processes);
  const metadata = await readMetadata(db, 'process', guids);
  const snapshot = embed ? await readSnapshot(db, guids) : null;
  return processes.map(process => {
    const home = homes.get(process.app_guid);
    const facts = { ...process, isStarted: home?.state === 'STARTED' };
    const shown = {
      ...process,
      space_guid: home?.space_guid ?? '',
      metadata: metadata.get(process.guid) ?? NO_METADATA,
      secrets,
      ...(snapshot === null ? {} : { embedded: readInstances(facts, snapshot, now()) }),
    };
    return presentProcess(shown, config.publicUrl, now());
  });
}

function filters(asked: ListQuery): Condition[] {
  const conditions = commonConditions('processes', asked);
  if (asked.types !== undefined) conditions.push(among('processes.type', asked.types));
  if (asked.app_guids !== undefined) conditions.push(among('processes.app_guid', asked.app_guids));
  if (asked.label_selector !== undefined)
    conditions.push(labelSelectorCondition('process', 'processes.guid', asked.label_selector));
  return conditions;
}

async function reply(
  deps: ApiDeps,
  request: ApiRequest<ListQuery, unknown>,
  within: { conditions: readonly Condition[]; scope?: Scope },
): Promise<Reply> {
  const { ask, total, rows, after } = await listRows(deps.store.read, 'processes', request.query, within);
  const embed = request.query.embed !== undefined;
  const resources = await presentProcesses(deps, rows, { secrets: 'hidden in list', embed });
  return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
}

export const processLists: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/processes',
    summary: 'Processes of apps that the asker may see',
    query: listAllQuery,
    responseSchema: pageOf(processAnswer),
    handle: async (deps, request) => {
      const scope = await scopeOf(deps.store.read, request.actor, { asked: request.query });
      return reply(deps, request, { scope, conditions: filters(request.query) });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/processes',
    summary: 'Processes of an app',
    query: appQuery,
    responseSchema: pageOf(processAnswer),
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      const conditions = [among('processes.app_guid', [app.guid]), ...filters(request.query)];
      return reply(deps, request, { conditions });
    },
  }),
];
