/**
 * Takes the steps of deployments that are on their way (`@cupola/model/deployments`): decided from the pass's snapshot first, so that a pass without any
 * writes nothing, then once more in the writing transaction. The API wrote what is to run; here are only counts and the end.
 */
import type { ClusterState, DesiredProcess } from '@cupola/model/cluster-state';
import {
  type CanaryPlan,
  canaryStep,
  countProcess,
  type DeploymentFacts,
  type DeploymentStep,
  decideDeployment,
  deploymentStatus,
  type ProcessCount,
} from '@cupola/model/deployments';
import { unreachable } from '@cupola/model/errors';
import type { DeploymentState } from '@cupola/model/states';
import type { Database, DeploymentsTable } from '@cupola/store/schema';
import type { ChangeScope, Mutation, Store } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import type { Leadership } from './leadership.ts';
import { readState } from './read-state.ts';

interface Deps {
  store: Store;
  leadership: Leadership;
}

/** What was done, a sentence each. @throws FencedError under another leader. */
export async function moveDeployments({ store, leadership }: Deps, read: ClusterState): Promise<string[]> {
  const rows = await activeDeployments(store.read);
  const said: string[] = [];
  for (const row of rows) {
    if (decideDeployment(await readFacts(store.read, row, read)).length === 0) continue;
    said.push(...(await store.mutate(mutation => move(mutation, leadership, row.guid))));
  }
  return said;
}

async function move(mutation: Mutation, leadership: Leadership, guid: string): Promise<string[]> {
  const { db } = mutation;
  await leadership.check(db);
  const row = (await activeDeployments(db)).find(deployment => deployment.guid === guid);
  if (row === undefined) return [];
  const steps = decideDeployment(await readFacts(db, row, await readState(db)));
  const scope = await scopeOf(db, row);
  for (const step of steps) await take(mutation, { row, step, scope });
  return steps.filter(({ do: what }) => what !== 'note-health').map(step => say(row, step));
}

/** Of apps that are started: while its app is stopped a deployment waits, unless it is to be cancelled. */
async function activeDeployments(db: Kysely<Database>): Promise<DeploymentsTable[]> {
  return db
    .selectFrom('deployments')
    .innerJoin('apps', 'apps.guid', 'deployments.app_guid')
    .selectAll('deployments')
    .where('deployments.status_value', '=', 'ACTIVE')
    .where(({ or, eb }) => or([eb('apps.state', '=', 'STARTED'), eb('deployments.state', '=', 'CANCELING')]))
    .orderBy('deployments.created_at')
    .execute();
}

async function readFacts(db: Kysely<Database>, row: DeploymentsTable, state: ClusterState): Promise<DeploymentFacts> {
  const processes = await db
    .selectFrom('processes')
    .select(['guid', 'instances'])
    .where('app_guid', '=', row.app_guid)
    .where('type', '=', row.process_type)
    .orderBy('created_at')
    .orderBy('guid')
    .execute();
  const former = await db
    .selectFrom('deployments')
    .select(['process_guid', 'state'])
    .where('app_guid', '=', row.app_guid)
    .where('status_reason', '=', 'SUPERSEDED')
    .execute();
  const endedAs = (end: DeploymentState): Set<string> =>
    new Set(
      former.flatMap(({ process_guid, state }) => (state === end && process_guid !== null ? [process_guid] : [])),
    );
  const desired = new Map(state.processes.map(process => [process.guid, process]));
  const counts = processes.map(process => count(process, desired.get(process.guid), state));
  return {
    state: row.state,
    wanted: row.web_instances ?? row.original_instances,
    original: row.original_instances,
    maxInFlight: row.max_in_flight,
    canary: row.canary_step === null ? null : canaryStep(canariesOf(row), row.canary_step),
    deploying: counts.find(({ guid }) => guid === row.process_guid) ?? null,
    others: counts.filter(({ guid }) => guid !== row.process_guid),
    superseded: endedAs('DEPLOYED'),
    abandoned: endedAs('CANCELED'),
  };
}

function canariesOf(row: DeploymentsTable): CanaryPlan {
  const weights = row.canary_weights_json === null ? null : (JSON.parse(row.canary_weights_json) as number[]);
  return { weights, original: row.original_instances, webInstances: row.web_instances };
}

/** One that was never started has nothing that could serve. */
function count(
  { guid, instances }: { guid: string; instances: number },
  desired: DesiredProcess | undefined,
  state: ClusterState,
): ProcessCount {
  if (desired === undefined) return { guid, instances, starting: instances, crashed: 0, serving: 0, servingAt: [] };
  return { ...countProcess(desired, state), instances };
}

async function scopeOf(db: Kysely<Database>, { app_guid }: DeploymentsTable): Promise<ChangeScope> {
  const home = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.space_guid', 'spaces.organization_guid'])
    .where('apps.guid', '=', app_guid)
    .executeTakeFirst();
  return { spaceGuid: home?.space_guid ?? null, organizationGuid: home?.organization_guid ?? null };
}

interface Taken {
  row: DeploymentsTable;
  step: DeploymentStep;
  scope: ChangeScope;
}

async function take(mutation: Mutation, { row, step, scope }: Taken): Promise<void> {
  const { db, now, changed } = mutation;
  switch (step.do) {
    case 'scale':
      await db
        .updateTable('processes')
        .set({ instances: step.instances, updated_at: now })
        .where('guid', '=', step.processGuid)
        .execute();
      return changed('process', step.processGuid, scope);
    case 'remove':
      await removeProcess(mutation, step.processGuid);
      changed('process', step.processGuid, scope);
      // Who watches the app's routes cannot look up any more whose process it was.
      return changed('app', row.app_guid, scope);
    case 'note-health':
      await db.updateTable('deployments').set({ last_healthy_at: now }).where('guid', '=', row.guid).execute();
      return;
    case 'pause':
      return pause(mutation, row, scope);
    case 'finish':
      return finish(mutation, { row, state: step.state, scope });
    default:
      return unreachable(step);
  }
}

/** Its placements are withdrawn by the pass that follows; its run specs stay until nothing runs by them. */
async function removeProcess({ db }: Mutation, guid: string): Promise<void> {
  await db.deleteFrom('processes').where('guid', '=', guid).execute();
  await db.deleteFrom('placement_errors').where('process_guid', '=', guid).execute();
  for (const table of ['labels', 'annotations'] as const)
    await db.deleteFrom(table).where('kind', '=', 'process').where('resource_guid', '=', guid).execute();
}

async function pause({ db, now, changed }: Mutation, row: DeploymentsTable, scope: ChangeScope): Promise<void> {
  const { value, reason } = deploymentStatus('PAUSED');
  await db
    .updateTable('deployments')
    .set({ state: 'PAUSED', status_value: value, status_reason: reason, status_changed_at: now, updated_at: now })
    .where('guid', '=', row.guid)
    .execute();
  changed('deployment', row.guid, scope);
}

async function finish(
  { db, now, changed }: Mutation,
  { row, state, scope }: { row: DeploymentsTable; state: 'DEPLOYED' | 'CANCELED'; scope: ChangeScope },
): Promise<void> {
  const { value, reason } = deploymentStatus(state);
  await db
    .updateTable('deployments')
    .set({ state, status_value: value, status_reason: reason, status_changed_at: now, updated_at: now, error: null })
    .where('guid', '=', row.guid)
    .execute();
  changed('deployment', row.guid, scope);
  if (state !== 'DEPLOYED') return;
  const others = JSON.parse(row.others_json) as Array<{
    processGuid: string;
    runSpecGuid: string;
    command: string | null;
  }>;
  for (const { processGuid, runSpecGuid, command } of others) {
    await db
      .updateTable('processes')
      .set(set => ({
        run_spec_guid: runSpecGuid,
        command,
        revision_guid: row.revision_guid,
        start_sequence: set('start_sequence', '+', 1),
        planned_at: now,
        updated_at: now,
      }))
      .where('guid', '=', processGuid)
      .execute();
    changed('process', processGuid, scope);
  }
}

function say({ guid, canary_step }: DeploymentsTable, step: DeploymentStep): string {
  switch (step.do) {
    case 'scale':
      return `deployment ${guid}: ${step.processGuid} has ${step.instances} instances from now on`;
    case 'remove':
      return `deployment ${guid}: ${step.processGuid} is not needed any more`;
    case 'note-health':
      return `deployment ${guid}: more of it is ready`;
    case 'pause':
      return `deployment ${guid} waits at its step ${canary_step}`;
    case 'finish':
      return `deployment ${guid} is ${step.state}`;
  }
}
