import { createDeployment as createBody, deploymentAnswer } from '@cupola/contract/v3/deployment';
import { updateMetadata } from '@cupola/contract/v3/package';
import { pageOf } from '@cupola/contract/v3/parts';
import { deploymentStatus, isCancelable, leftMs } from '@cupola/model/deployments';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { holdsInSpace, maySeeSpace, requireActive, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { assignDroplet } from '../apps/assign-droplet.ts';
import { appScope, findApp, type ScopedApp } from '../apps/find-app.ts';
import { logApi } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { among, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { scopeOf } from '../pages/scope.ts';
import { continueDeployment } from './canary.ts';
import { createDeployment } from './create-deployment.ts';
import type { DeploymentRow } from './in-flight.ts';
import { presentDeployment } from './present-deployment.ts';

interface Found {
  row: DeploymentRow;
  app: ScopedApp;
}

async function seenDeployment(db: Kysely<Database>, actor: Actor, guid: string): Promise<Found> {
  const row = await db.selectFrom('deployments').selectAll().where('guid', '=', guid).executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app)))
    throw new NotFoundError('Deployment');
  return { row, app };
}

/** Who may not act on it is told that it is not there, as in CF. */
async function managedDeployment(db: Kysely<Database>, actor: Actor, guid: string): Promise<Found> {
  const found = await seenDeployment(db, actor, guid);
  if (!holdsInSpace(actor, found.app.space_guid, ['space_developer', 'space_supporter']))
    throw new NotFoundError('Deployment');
  requireActive(actor, found.app.organization_guid);
  return found;
}

/** It has come to its end, or to a pause. */
function isOver({ status_value, status_reason }: DeploymentRow): boolean {
  return status_value === 'FINALIZED' || status_reason === 'PAUSED';
}

/** Whether it goes on for longer than the cf CLI sleeps between two polls. Our own clients, which do not sleep, are not asked about. */
async function goesOnForLong(db: Kysely<Database>, row: DeploymentRow): Promise<boolean> {
  const process =
    row.strategy === 'rolling' && row.process_guid !== null && row.last_healthy_at !== null
      ? await db.selectFrom('processes').select('instances').where('guid', '=', row.process_guid).executeTakeFirst()
      : undefined;
  if (process === undefined) return false;
  const wanted = row.web_instances ?? row.original_instances;
  const times = { beganAt: row.created_at, lastHealthyAt: row.last_healthy_at };
  const left = leftMs(times, { instances: process.instances, maxInFlight: row.max_in_flight, wanted });
  return left !== null && left > HOLD_LIMITS.cliSleepMs;
}

export async function presentDeployments({ store, config }: ApiDeps, rows: readonly DeploymentRow[]) {
  const guids = rows.map(({ guid }) => guid);
  const metadata = await readMetadata(store.read, 'deployment', guids);
  return rows.map(row => presentDeployment(row, metadata.get(row.guid) ?? NO_METADATA, config.publicUrl));
}

async function show(deps: ApiDeps, status: number, row: DeploymentRow): Promise<Reply> {
  return { status, body: (await presentDeployments(deps, [row]))[0] };
}

async function cancel(mutation: Mutation, actor: Actor, guid: string): Promise<ScopedApp> {
  const { db, now, changed } = mutation;
  const { row, app } = await managedDeployment(db, actor, guid);
  if (!isCancelable(row.state))
    throw new UnprocessableError(
      `Cannot cancel a deployment with status: ${row.status_value} and reason: ${row.status_reason}`,
    );
  await assignDroplet(mutation, app, row.previous_droplet_guid ?? '');
  const { value, reason } = deploymentStatus('CANCELING');
  await db
    .updateTable('deployments')
    .set({
      state: 'CANCELING',
      status_value: value,
      status_reason: reason,
      status_changed_at: row.state === 'CANCELING' ? row.status_changed_at : now,
      updated_at: now,
    })
    .where('guid', '=', row.guid)
    .execute();
  changed('deployment', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  const data = { deployment_guid: row.guid, droplet_guid: row.droplet_guid };
  await recordAppEvent(mutation, { actor, app, type: 'deployment.cancel', data });
  return app;
}

const query = z.strictObject({
  ...listQuery,
  app_guids: commaList.exactOptional(),
  states: commaList.exactOptional(),
  status_reasons: commaList.exactOptional(),
  status_values: commaList.exactOptional(),
  order_by: orderBy(),
});
const FILTERS = {
  app_guids: 'app_guid',
  states: 'state',
  status_reasons: 'status_reason',
  status_values: 'status_value',
} as const;

export const deploymentEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/deployments',
    summary: 'Deployments that the asker may see',
    query,
    responseSchema: pageOf(deploymentAnswer),
    handle: async (deps, request) => {
      const asked = request.query;
      const conditions = [
        ...commonConditions('deployments', asked),
        ...Object.entries(FILTERS).flatMap(([key, column]) => {
          const values = asked[key as keyof typeof FILTERS];
          return values === undefined ? [] : [among(`deployments.${column}`, values)];
        }),
        ...(asked.label_selector === undefined
          ? []
          : [labelSelectorCondition('deployment', 'deployments.guid', asked.label_selector)]),
      ];
      const { ask, total, rows, after } = await listRows(deps.store.read, 'deployments', asked, {
        conditions,
        scope: await scopeOf(deps.store.read, request.actor),
      });
      const resources = await presentDeployments(deps, rows);
      return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/deployments',
    summary: 'Move an app to a droplet or back to a revision, a few instances at a time',
    bodySchema: createBody,
    responseSchema: deploymentAnswer,
    handle: async (deps, request) => {
      const { actor, body } = request;
      const { row, app } = await deps.store.mutate(mutation => createDeployment(mutation, deps, { actor, body }));
      deps.holds.own(request, 'deployment', row.guid);
      deps.holds.own(request, 'stats', app.guid);
      await logApi(deps, app.guid, `Creating deployment for app with guid ${app.guid}`);
      return show(deps, 201, row);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/deployments/:guid',
    summary: 'One deployment',
    responseSchema: deploymentAnswer,
    handle: async (deps, request) => {
      const guid = request.params.guid ?? '';
      let processGuid: string | null = null;
      const { row } = await deps.holds.wait(request, {
        kind: 'deployment',
        guid,
        concerns: (kind, changed) =>
          (kind === 'deployment' && changed === guid) || (kind === 'process' && changed === processGuid),
        read: async () => {
          const { row } = await seenDeployment(deps.store.read, request.actor, guid);
          processGuid = row.process_guid;
          const isLong = request.preferWaitSeconds === null && (await goesOnForLong(deps.store.read, row));
          return { row, isLong };
        },
        isFinal: ({ row: read, isLong }) => isOver(read) || isLong,
      });
      return show(deps, 200, row);
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/deployments/:guid',
    summary: 'Label a deployment',
    bodySchema: updateMetadata,
    responseSchema: deploymentAnswer,
    handle: async (deps, { actor, params, body }) => {
      const changed = await deps.store.mutate(async mutation => {
        const { row, app } = await seenDeployment(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(app), 'Deployment');
        await writeMetadata(mutation, 'deployment', row.guid, body.metadata);
        return row;
      });
      return show(deps, 200, changed);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/deployments/:guid/actions/cancel',
    summary: 'Go back to what served before',
    handle: async (deps, { actor, params }) => {
      const app = await deps.store.mutate(mutation => cancel(mutation, actor, params.guid ?? ''));
      await logApi(deps, app.guid, `Cancelling deployment for app with guid ${app.guid}`);
      return { status: 200 };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/deployments/:guid/actions/continue',
    summary: 'Let a canary deployment that has paused go on, to its next step or to the end',
    handle: async (deps, request) => {
      const { actor, params } = request;
      const { row, app } = await deps.store.mutate(async mutation => {
        const found = await managedDeployment(mutation.db, actor, params.guid ?? '');
        await continueDeployment(mutation, found.row);
        const { space_guid: spaceGuid, organization_guid: organizationGuid } = found.app;
        mutation.changed('deployment', found.row.guid, { organizationGuid, spaceGuid });
        const data = { deployment_guid: found.row.guid, droplet_guid: found.row.droplet_guid };
        await recordAppEvent(mutation, { actor, app: found.app, type: 'deployment.continue', data });
        return found;
      });
      deps.holds.own(request, 'deployment', row.guid);
      await logApi(deps, app.guid, `Continuing deployment for app with guid ${app.guid}`);
      return { status: 200 };
    },
  }),
];
