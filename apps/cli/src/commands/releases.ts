/** restage, revisions, rollback, events: what an app ran, and going back to it. */
import { CfApiError } from '@cupola/client/errors';
import {
  type ReadApp,
  type ReadRevision,
  readAuditEvent,
  readDeployment,
  readDroplet,
  readPackage,
  readRevision,
} from '@cupola/contract/v3/client-reads';
import { readCode } from '@cupola/model/causes';
import { WordedError } from '@cupola/push/failures';
import { type DeploymentChoice, deploy, runDroplet } from '@cupola/push/run-app';
import { stage } from '@cupola/push/stage';
import { harmless } from '@cupola/push/text';
import { type CliContext, findApp } from '../context.ts';
import { confirm } from '../prompt.ts';
import { showApp } from './apps.ts';

interface RestageFlags {
  strategy?: string;
}

/** Stages the newest package anew: for what changes a build, such as variables, buildpacks, a new stack. */
export async function restage(context: CliContext, name: string, { strategy }: RestageFlags): Promise<void> {
  const app = await findApp(context, name);
  const client = context.client();
  const newest = await client.first(readPackage, '/v3/packages', {
    app_guids: app.guid,
    states: 'READY',
    order_by: '-created_at',
  });
  if (newest === null)
    throw new WordedError(`${name} has nothing to stage.`, { next: `Push its files: cupola push ${name}` });
  context.say(`Staging ${name}`);
  const dropletGuid = await stage(client, {
    appGuid: app.guid,
    appName: name,
    package: newest,
    show: line => context.say(harmless(line.text)),
  });
  await runDroplet(context.client(), { app, dropletGuid, deployment: chosen(strategy), startTimeout: null });
  await showApp(context, { ...app, state: 'STARTED' });
}

function chosen(strategy: string | undefined): DeploymentChoice | null {
  return strategy === undefined || strategy === 'null' ? null : { strategy };
}

export async function revisions(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  const client = context.client();
  const [all, deployed] = await Promise.all([
    client.all(readRevision, `/v3/apps/${app.guid}/revisions`, { order_by: '-created_at' }),
    client.all(readRevision, `/v3/apps/${app.guid}/revisions/deployed`).catch(() => []),
  ]);
  const running = new Set(deployed.map(({ guid }) => guid));
  const rows = all.map(({ guid, version, description, deployable, created_at }) => [
    `${version}${running.has(guid) ? ' (runs)' : ''}`,
    created_at,
    deployable === false ? 'no' : 'yes',
    description ?? '',
  ]);
  context.result(
    { revisions: all.map(revision => ({ ...revision, deployed: running.has(revision.guid) })) },
    all.length === 0
      ? `${name} has no revisions yet.`
      : context.table([['version', 'made', 'can be run', 'what changed'], ...rows]),
  );
}

interface RollbackFlags {
  version?: number;
  force?: boolean;
}

/** A rolling deployment of an older revision: the newest that served before the one that serves, unless one is named. */
export async function rollback(context: CliContext, name: string, { version, force }: RollbackFlags): Promise<void> {
  const app = await findApp(context, name);
  const all = await context.client().all(readRevision, `/v3/apps/${app.guid}/revisions`, { order_by: '-created_at' });
  const revision =
    version === undefined ? await servedBefore(context, app, all) : all.find(one => one.version === version);
  if (revision === undefined)
    throw new WordedError(
      version === undefined ? `${name} has no older revision to go back to.` : `${name} has no revision ${version}.`,
      { next: `See which there are: cupola revisions ${name}` },
    );
  const isSure = await confirm(context, {
    force,
    what: `Rolling ${name} back to revision ${revision.version}`,
    command: `cupola rollback ${name} --version ${revision.version} -f`,
  });
  if (!isSure) return context.result({ name, rolledBack: false }, `${name} was left as it is.`);
  await deploy(context.client(), {
    app,
    what: { revision: { guid: revision.guid } },
    choice: { strategy: 'rolling' },
    startTimeout: null,
  });
  context.result(
    { name, guid: app.guid, revision: revision.version, rolledBack: true },
    `${name} runs revision ${revision.version} again, as a new revision.`,
  );
}

/** Revisions whose deployment was cancelled never served: going back to one would break what runs. */
async function servedBefore(
  context: CliContext,
  app: ReadApp,
  all: readonly ReadRevision[],
): Promise<ReadRevision | undefined> {
  const client = context.client();
  const [deployed, deployments] = await Promise.all([
    client.all(readRevision, `/v3/apps/${app.guid}/revisions/deployed`).catch(() => []),
    client.all(readDeployment, '/v3/deployments', { app_guids: app.guid }).catch(() => []),
  ]);
  const cancelled = new Set(
    deployments
      .filter(({ status: { value, reason } }) => value === 'FINALIZED' && reason !== 'DEPLOYED')
      .map(one => one.revision?.guid),
  );
  const now = Math.max(...deployed.map(one => one.version), Number.NEGATIVE_INFINITY);
  const newest = Number.isFinite(now) ? now : (all[0]?.version ?? 0);
  return all.find(one => one.version < newest && one.deployable !== false && !cancelled.has(one.guid));
}

const EVENTS = 50;

export async function events(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  const list: Awaited<ReturnType<typeof newest>> = await newest(context, app);
  const rows = list.map(({ created_at, type, actor, data }) => [
    created_at,
    type.replace(/^audit\./, ''),
    [actor?.name ?? '', harmless(data?.client ?? '')].filter(word => word !== '').join(', '),
    harmless(readCode(data?.exit_description ?? data?.reason ?? '').text),
  ]);
  context.result(
    { events: list },
    list.length === 0
      ? `nothing has happened to ${name}`
      : context.table([['time', 'event', 'by', 'description'], ...rows]),
  );
}

async function newest(context: CliContext, app: ReadApp) {
  const list = [];
  const query = { target_guids: app.guid, order_by: '-created_at', per_page: String(EVENTS) };
  for await (const event of context.client().list(readAuditEvent, '/v3/audit_events', query)) {
    list.push(event);
    if (list.length === EVENTS) break;
  }
  return list;
}

/** Whether an app has anything to run. */
export async function hasDroplet(context: CliContext, app: ReadApp): Promise<boolean> {
  try {
    await context.client().read(readDroplet, { path: `/v3/apps/${app.guid}/droplets/current` });
    return true;
  } catch (error) {
    if (!(error instanceof CfApiError) || error.status !== NOT_FOUND) throw error;
    return false;
  }
}

const NOT_FOUND = 404;
