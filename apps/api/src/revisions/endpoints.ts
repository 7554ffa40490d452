import { updateMetadata } from '@cupola/contract/v3/package';
import { pageOf } from '@cupola/contract/v3/parts';
import { type RevisionAnswer, revisionAnswer, revisionVariables } from '@cupola/contract/v3/revision';
import { ForbiddenError, NotFoundError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import { type Kysely, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { holdsInSpace, maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { appScope, findApp, type ScopedApp, seenApp } from '../apps/find-app.ts';
import type { ShownMetadata } from '../apps/present-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { contentOf, type RevisionRow } from './resolve-revision.ts';

async function presentRevisions(deps: ApiDeps, rows: readonly RevisionRow[]): Promise<RevisionAnswer[]> {
  const guids = rows.map(({ guid }) => guid);
  const metadata = await readMetadata(deps.store.read, 'revision', guids);
  const droplets = [...new Set(rows.map(row => row.droplet_guid))];
  const staged = await deps.store.read
    .selectFrom('droplets')
    .select('guid')
    .where(among('guid', droplets))
    .where('state', '=', 'STAGED')
    .execute();
  const deployable = new Set(staged.map(({ guid }) => guid));
  return rows.map(row =>
    presentRevision(deps, row, {
      metadata: metadata.get(row.guid) ?? NO_METADATA,
      isDeployable: deployable.has(row.droplet_guid),
    }),
  );
}

function presentRevision(
  { sealer, config }: Pick<ApiDeps, 'sealer' | 'config'>,
  row: RevisionRow,
  { metadata, isDeployable }: { metadata: ShownMetadata; isDeployable: boolean },
): RevisionAnswer {
  const { commands, sidecars } = contentOf(row, sealer);
  const self = `${config.publicUrl}/v3/revisions/${row.guid}`;
  return {
    guid: row.guid,
    version: row.version,
    droplet: { guid: row.droplet_guid },
    processes: Object.fromEntries(Object.entries(commands).map(([type, command]) => [type, { command }])),
    sidecars: sidecars.map(({ name, command, processTypes, memoryMb }) => ({
      name,
      command,
      memory_in_mb: memoryMb,
      process_types: [...processTypes],
    })),
    description: row.description,
    relationships: { app: { data: { guid: row.app_guid } } },
    created_at: isoTime(row.created_at),
    updated_at: isoTime(row.updated_at),
    links: {
      self: { href: self },
      app: { href: `${config.publicUrl}/v3/apps/${row.app_guid}` },
      environment_variables: { href: `${self}/environment_variables` },
    },
    metadata,
    deployable: isDeployable,
  };
}

async function show(deps: ApiDeps, row: RevisionRow): Promise<Reply> {
  return { status: 200, body: (await presentRevisions(deps, [row]))[0] };
}

async function seenRevision(
  db: Kysely<Database>,
  actor: Actor,
  guid: string,
): Promise<{ row: RevisionRow; app: ScopedApp }> {
  const row = await db.selectFrom('revisions').selectAll().where('guid', '=', guid).executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Revision');
  return { row, app };
}

const versions = commaList.exactOptional();
const deployable = z.enum(['true', 'false'], { error: 'Deployable must be a boolean' }).exactOptional();
const listOfApp = z.strictObject({ ...listQuery, versions, deployable, order_by: orderBy() });
const listDeployed = z.strictObject({ ...listQuery, order_by: orderBy() });

async function list(
  deps: ApiDeps,
  request: ApiRequest<z.output<typeof listOfApp>, undefined>,
  within: readonly Condition[],
): Promise<Reply> {
  const asked = request.query;
  const numbers = asked.versions?.flatMap(text => (/^\d{1,9}$/.test(text) ? [Number(text)] : []));
  const conditions = [
    ...within,
    ...commonConditions('revisions', asked),
    ...(numbers === undefined
      ? []
      : [numbers.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`revisions.version in (${sql.join(numbers)})`]),
    // As in CF, whatever its value: those that can be deployed.
    ...(asked.deployable === undefined
      ? []
      : [sql<SqlBool>`revisions.droplet_guid in (select guid from droplets where state = 'STAGED')`]),
    ...(asked.label_selector === undefined
      ? []
      : [labelSelectorCondition('revision', 'revisions.guid', asked.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'revisions', asked, { conditions });
  return { status: 200, body: pageBody(request, ask, { total, resources: await presentRevisions(deps, rows), after }) };
}

export const revisionEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/revisions',
    summary: 'Revisions of an app',
    query: listOfApp,
    responseSchema: pageOf(revisionAnswer),
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      return list(deps, request, [among('revisions.app_guid', [app.guid])]);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/revisions/deployed',
    summary: 'Revisions that the processes of a started app run',
    query: listDeployed,
    responseSchema: pageOf(revisionAnswer),
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      const running = sql<SqlBool>`revisions.guid in (select processes.revision_guid from processes
        join apps on apps.guid = processes.app_guid where apps.guid = ${app.guid} and apps.state = 'STARTED')`;
      return list(deps, request, [running]);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/revisions/:guid',
    summary: 'One revision',
    responseSchema: revisionAnswer,
    handle: async (deps, { actor, params }) =>
      show(deps, (await seenRevision(deps.store.read, actor, params.guid ?? '')).row),
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/revisions/:guid',
    summary: 'Label a revision',
    bodySchema: updateMetadata,
    responseSchema: revisionAnswer,
    handle: async (deps, { actor, params, body }) => {
      const changed = await deps.store.mutate(async mutation => {
        const { row, app } = await seenRevision(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(app), 'Revision');
        await writeMetadata(mutation, 'revision', row.guid, body.metadata);
        return row;
      });
      return show(deps, changed);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/revisions/:guid/environment_variables',
    summary: 'The environment variables of a revision',
    responseSchema: revisionVariables,
    handle: async (deps, { actor, params }) => {
      const row = await deps.store.mutate(async mutation => {
        const found = await seenRevision(mutation.db, actor, params.guid ?? '');
        if (!holdsInSpace(actor, found.app.space_guid, ['space_developer'])) throw new ForbiddenError();
        const data = { revision_guid: found.row.guid, revision_version: found.row.version };
        await recordAppEvent(mutation, { actor, app: found.app, type: 'revision.environment_variables.show', data });
        return found.row;
      });
      const self = `${deps.config.publicUrl}/v3/revisions/${row.guid}`;
      const links = {
        self: { href: `${self}/environment_variables` },
        revision: { href: self },
        app: { href: `${deps.config.publicUrl}/v3/apps/${row.app_guid}` },
      };
      return { status: 200, body: { var: contentOf(row, deps.sealer).environment, links } };
    },
  }),
];
