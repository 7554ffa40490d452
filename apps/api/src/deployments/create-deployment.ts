/**
 * Makes a deployment inside a mutation (CF: deployment_create.rb): the app gets its droplet and environment, a second `web` process is made beside the one
 * that serves, with a run spec of its own, and the scheduler moves instances from one to the other. All that the app will run is fixed here, so that what
 * somebody sets meanwhile does not leak into it. A stopped app is simply started.
 */
import { randomUUID } from 'node:crypto';
import type { CreateDeployment } from '@cupola/contract/v3/deployment';
import { canaryStep, deploymentStatus, supersededState } from '@cupola/model/deployments';
import { InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import type { DeploymentState } from '@cupola/model/states';
import type { DropletsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import { requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { assignDroplet } from '../apps/assign-droplet.ts';
import { APP_MANAGERS, appScope, findApp, type ScopedApp, seenApp } from '../apps/find-app.ts';
import { startRevision } from '../apps/run-app.ts';
import type { ApiDeps } from '../deps.ts';
import { copyMetadata, writeMetadata } from '../metadata/metadata.ts';
import { checkDisk, processOfType } from '../processes/change-process.ts';
import type { ProcessRow } from '../processes/find-process.ts';
import { checkQuota, quotaUse } from '../processes/quota.ts';
import { contentOf, type RevisionRow, resolveRevision, rollbackRevision } from '../revisions/resolve-revision.ts';
import { openSpecs } from '../run-specs/fix.ts';
import { restoreSidecars } from '../sidecars/restore-sidecars.ts';
import { activeDeployment, type DeploymentRow } from './in-flight.ts';

type Deps = Pick<ApiDeps, 'sealer' | 'config'>;

interface Asked {
  actor: Actor;
  body: CreateDeployment;
}

export interface MadeDeployment {
  row: DeploymentRow;
  app: ScopedApp;
}

export async function createDeployment(
  mutation: Mutation,
  deps: Deps,
  { actor, body }: Asked,
): Promise<MadeDeployment> {
  const { db } = mutation;
  refuseMixed(body);
  const before = await usableApp(mutation, actor, body.relationships.app.data.guid);
  if (body.revision != null && before.revisions_enabled === 0)
    throw new UnprocessableError('Cannot create deployment from a revision for an app without revisions enabled');
  const target = await chooseTarget(mutation, before, body);
  await assignDroplet(mutation, before, target.droplet.guid);
  if (target.revision !== null) await takeOver(mutation, deps, before, target.revision);
  const app = (await findApp(db, before.guid)) ?? before;
  const revision =
    target.revision === null
      ? await resolveRevision(mutation, deps, { app, actor })
      : await rollbackRevision(mutation, deps, { app, actor }, target.revision);
  const plan: Plan = { app, actor, body, revision, target, previousDropletGuid: before.current_droplet_guid };
  const row = app.state === 'STOPPED' ? await startInstead(mutation, deps, plan) : await roll(mutation, deps, plan);
  await writeMetadata(mutation, 'deployment', row.guid, body.metadata);
  await recordAppEvent(mutation, {
    actor,
    app,
    type: 'deployment.create',
    data: {
      deployment_guid: row.guid,
      droplet_guid: row.droplet_guid,
      type: target.revision === null ? null : 'rollback',
      revision_guid: row.revision_guid,
      request: body,
      strategy: row.strategy,
    },
  });
  return { row, app };
}

function refuseMixed({ strategy, options, droplet, revision }: CreateDeployment): void {
  if (options?.canary != null && strategy !== 'canary')
    throw new UnprocessableError('Options.canary are only valid for Canary deployments');
  if (droplet != null && revision != null)
    throw new UnprocessableError("Droplet Cannot set both fields 'droplet' and 'revision'");
}

async function usableApp({ db }: Mutation, actor: Actor, guid: string): Promise<ScopedApp> {
  const refused = 'Unable to use app. Ensure that the app exists and you have access to it.';
  const app = await seenApp(db, actor, guid).catch(() => {
    throw new UnprocessableError(refused);
  });
  try {
    requireDeveloper(actor, appScope(app), 'App', APP_MANAGERS);
  } catch {
    throw new UnprocessableError(refused);
  }
  return app;
}

interface Target {
  droplet: Selectable<DropletsTable>;
  /** To go back to. */
  revision: RevisionRow | null;
}

async function chooseTarget(
  { db }: Mutation,
  app: ScopedApp,
  { droplet, revision }: CreateDeployment,
): Promise<Target> {
  const find = async (guid: string): Promise<Selectable<DropletsTable> | undefined> =>
    db.selectFrom('droplets').selectAll().where('guid', '=', guid).where('app_guid', '=', app.guid).executeTakeFirst();
  if (revision != null) {
    const row = await db
      .selectFrom('revisions')
      .selectAll()
      .where('guid', '=', revision.guid)
      .where('app_guid', '=', app.guid)
      .executeTakeFirst();
    if (row === undefined) throw new UnprocessableError('The revision does not exist');
    const found = await find(row.droplet_guid);
    if (found?.state !== 'STAGED')
      throw new UnprocessableError('Unable to deploy this revision, the droplet for this revision no longer exists.');
    return { droplet: found, revision: row };
  }
  const guid = droplet?.guid ?? app.current_droplet_guid;
  if (guid === null)
    throw new UnprocessableError(
      'Invalid droplet. Please specify a droplet in the request or set a current droplet for the app.',
    );
  const found = await find(guid);
  if (found?.state !== 'STAGED')
    throw new UnprocessableError(
      'Unable to assign current droplet. Ensure the droplet exists and belongs to this app.',
    );
  return { droplet: found, revision: null };
}

/** What else the app was in that revision; commands of its processes follow when it serves. */
async function takeOver(mutation: Mutation, { sealer }: Deps, app: ScopedApp, revision: RevisionRow): Promise<void> {
  await mutation.db
    .updateTable('apps')
    .set({ environment_sealed: revision.environment_sealed })
    .where('guid', '=', app.guid)
    .execute();
  await restoreSidecars(mutation, app, contentOf(revision, sealer).sidecars);
}

interface Plan {
  app: ScopedApp;
  actor: Actor;
  body: CreateDeployment;
  revision: RevisionRow | null;
  target: Target;
  previousDropletGuid: string | null;
}

function sizesOf({ options }: CreateDeployment, process: ProcessRow): Partial<ProcessRow> {
  const disk = options?.disk_in_mb ?? process.disk_mb;
  checkDisk(disk);
  return {
    memory_mb: options?.memory_in_mb ?? process.memory_mb,
    disk_mb: disk,
    log_rate_limit_bytes: options?.log_rate_limit_in_bytes_per_second ?? process.log_rate_limit_bytes,
  };
}

async function webOf({ db }: Mutation, app: ScopedApp): Promise<ProcessRow> {
  const web = await processOfType(db, app.guid, 'web');
  if (web === undefined) throw new UnprocessableError('The app has no process of type web to deploy.');
  return web;
}

async function startInstead(mutation: Mutation, deps: Deps, plan: Plan): Promise<DeploymentRow> {
  const { db, now } = mutation;
  const { app, body, revision, target } = plan;
  const web = await webOf(mutation, app);
  const instances = body.options?.web_instances ?? web.instances;
  await db
    .updateTable('processes')
    .set({ ...sizesOf(body, web), instances, updated_at: now })
    .where('guid', '=', web.guid)
    .execute();
  if (target.revision !== null) {
    const { commands } = contentOf(target.revision, deps.sealer);
    for (const [type, command] of Object.entries(commands))
      await db
        .updateTable('processes')
        .set({ command })
        .where('app_guid', '=', app.guid)
        .where('type', '=', type)
        .execute();
  }
  await startRevision(mutation, deps, app, revision?.guid ?? null);
  return insertDeployment(mutation, plan, {
    state: 'DEPLOYED',
    processGuid: null,
    original: web.instances,
    others: [],
  });
}

/** What a process of another type runs once the deployment is done. */
export interface OtherProcess {
  processGuid: string;
  runSpecGuid: string;
  command: string | null;
}

async function roll(mutation: Mutation, deps: Deps, plan: Plan): Promise<DeploymentRow> {
  const { db } = mutation;
  const { app, body, revision } = plan;
  const before = await quotaUse(db, app.organization_guid);
  const previous = await activeDeployment(db, app.guid);
  const web = await webOf(mutation, app);
  const original = previous?.original_instances ?? web.instances;
  const wanted = body.options?.web_instances ?? original;
  const commands = revision === null ? null : contentOf(revision, deps.sealer).commands;
  const isCanary = body.strategy === 'canary';
  const canaries = { weights: askedWeights(body), original, webInstances: body.options?.web_instances ?? null };
  const upTo = isCanary ? canaryStep(canaries, 1).canaries : wanted;
  const starting = Math.min(body.options?.max_in_flight ?? 1, upTo);
  const deploying = await makeProcess(mutation, app, {
    web,
    sizes: sizesOf(body, web),
    // At most this many more than now: what the quota has to allow.
    instances: Math.max(starting, wanted - original + starting),
    command: commands === null ? web.command : (commands.web ?? null),
    revisionGuid: revision?.guid ?? null,
  });
  await checkRollingQuota(mutation, app, before);
  const specs = await openSpecs(mutation, deps, app.guid);
  await db
    .updateTable('processes')
    .set({ run_spec_guid: await specs.process(deploying), start_sequence: 1, instances: starting })
    .where('guid', '=', deploying.guid)
    .execute();
  const others: OtherProcess[] = [];
  const processes = await db.selectFrom('processes').selectAll().where('app_guid', '=', app.guid).execute();
  for (const process of processes.filter(({ type }) => type !== 'web')) {
    const command = commands === null ? process.command : (commands[process.type] ?? null);
    const runSpecGuid = await specs.process({ ...process, command });
    others.push({ processGuid: process.guid, runSpecGuid, command });
  }
  if (previous !== undefined) await supersede(mutation, previous);
  return insertDeployment(mutation, plan, {
    state: isCanary ? 'PREPAUSED' : 'DEPLOYING',
    processGuid: deploying.guid,
    original,
    others,
  });
}

/** Null: one canary, and then all. */
function askedWeights({ options }: CreateDeployment): number[] | null {
  return options?.canary?.steps?.map(({ instance_weight }) => instance_weight) ?? null;
}

interface NewProcess {
  web: ProcessRow;
  sizes: Partial<ProcessRow>;
  instances: number;
  command: string | null;
  revisionGuid: string | null;
}

async function makeProcess(mutation: Mutation, app: ScopedApp, given: NewProcess): Promise<ProcessRow> {
  const { db, now, changed } = mutation;
  const { web, sizes, instances, command, revisionGuid } = given;
  const row: ProcessRow = {
    ...web,
    ...sizes,
    guid: randomUUID(),
    // The newest of its type is what users see of it: never two of one moment.
    created_at: Math.max(now, web.created_at + 1),
    updated_at: now,
    instances,
    command,
    run_spec_guid: null,
    start_sequence: 0,
    index_starts_json: '{}',
    planned_at: now,
    revision_guid: revisionGuid,
  };
  await db.insertInto('processes').values(row).execute();
  await copyMetadata(mutation, 'process', { from: web.guid, to: row.guid });
  changed('process', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return row;
}

/** CF's sentence after the quota's own: a rolling deployment runs more than before for a while. */
async function checkRollingQuota(
  { db }: Mutation,
  app: ScopedApp,
  before: Awaited<ReturnType<typeof quotaUse>>,
): Promise<void> {
  try {
    await checkQuota(db, { organizationGuid: app.organization_guid, appGuid: app.guid, before });
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new UnprocessableError(
      `${error.message} for organization ${app.organization_name}. This organization's quota may not be large enough to support rolling deployments or your configured max-in-flight.`,
    );
  }
}

async function supersede({ db, now, changed }: Mutation, { guid, state }: DeploymentRow): Promise<void> {
  await db
    .updateTable('deployments')
    .set({
      state: supersededState(state),
      status_value: 'FINALIZED',
      status_reason: 'SUPERSEDED',
      status_changed_at: now,
      updated_at: now,
    })
    .where('guid', '=', guid)
    .execute();
  changed('deployment', guid);
}

interface Outline {
  state: DeploymentState;
  processGuid: string | null;
  original: number;
  others: readonly OtherProcess[];
}

async function insertDeployment(
  { db, now, changed }: Mutation,
  { app, body, revision, target, previousDropletGuid }: Plan,
  { state, processGuid, original, others }: Outline,
): Promise<DeploymentRow> {
  const { value, reason } = deploymentStatus(state);
  const { options } = body;
  const weights = askedWeights(body);
  const row: DeploymentRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    app_guid: app.guid,
    state,
    status_value: value,
    status_reason: reason,
    status_changed_at: now,
    strategy: body.strategy ?? 'rolling',
    droplet_guid: target.droplet.guid,
    previous_droplet_guid: previousDropletGuid,
    revision_guid: revision?.guid ?? null,
    revision_version: revision?.version ?? null,
    process_guid: processGuid,
    process_type: 'web',
    original_instances: original,
    max_in_flight: options?.max_in_flight ?? 1,
    canary_weights_json: weights === null ? null : JSON.stringify(weights),
    canary_step: body.strategy === 'canary' ? 1 : null,
    web_instances: options?.web_instances ?? null,
    memory_mb: options?.memory_in_mb ?? null,
    disk_mb: options?.disk_in_mb ?? null,
    log_rate_limit_bytes: options?.log_rate_limit_in_bytes_per_second ?? null,
    others_json: JSON.stringify(others),
    last_healthy_at: null,
    error: null,
  };
  await db.insertInto('deployments').values(row).execute();
  changed('deployment', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return row;
}
