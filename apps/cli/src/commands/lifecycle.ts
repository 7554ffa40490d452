/** start, stop, restart, scale, delete: changing what runs. */

import { CfApiError } from '@cupola/client/errors';
import {
  type ReadApp,
  type ReadPackage,
  readApp,
  readPackage,
  readProcess,
  readRoute,
} from '@cupola/contract/v3/client-reads';
import { usageError, WordedError } from '@cupola/push/failures';
import { assignDroplet } from '@cupola/push/run-app';
import { stage } from '@cupola/push/stage';
import { waitUntilRunning } from '@cupola/push/start-wait';
import { harmless, megabytes } from '@cupola/push/text';
import { type CliContext, findApp } from '../context.ts';
import { question } from '../prompt.ts';
import { showApp } from './apps.ts';
import { hasDroplet } from './releases.ts';

export async function start(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  if (app.state !== 'STARTED') {
    await ensureDroplet(context, app);
    await act(context, app, 'start');
  }
  await waitUntilRunning(context.client(), app);
  await showApp(context, { ...app, state: 'STARTED' });
}

export async function stop(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  if (app.state !== 'STOPPED') await act(context, app, 'stop');
  context.result({ name, guid: app.guid, state: 'STOPPED' }, `${name} is stopped.`);
}

export async function restart(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  await ensureDroplet(context, app);
  await act(context, app, 'restart');
  await waitUntilRunning(context.client(), app);
  await showApp(context, { ...app, state: 'STARTED' });
}

function act(context: CliContext, app: ReadApp, action: 'start' | 'stop' | 'restart'): Promise<void> {
  return context.client().act({ method: 'POST', path: `/v3/apps/${app.guid}/actions/${action}` });
}

const NOT_FOUND = 404;

/** An app that was pushed with --no-start has a package, but nothing to run yet: stages it, as cf's start does. */
async function ensureDroplet(context: CliContext, app: ReadApp): Promise<void> {
  if (await hasDroplet(context, app)) return;
  const client = context.client();
  const newest: ReadPackage | null = await client.first(readPackage, '/v3/packages', {
    app_guids: app.guid,
    states: 'READY',
    order_by: '-created_at',
  });
  if (newest === null)
    throw new WordedError(`${app.name} has nothing to run.`, { next: `Push its files: cupola push ${app.name}` });
  context.say(`Staging ${app.name}`);
  const droplet = await stage(client, {
    appGuid: app.guid,
    appName: app.name,
    package: newest,
    show: line => context.say(harmless(line.text)),
  });
  await assignDroplet(client, app, droplet);
}

interface ScaleFlags {
  /** Its type. */
  process?: string;
  instances?: number;
  memory?: string;
  disk?: string;
}

/** New memory or disk needs new instances: the app is restarted then, as cf does after asking. */
export async function scale(
  context: CliContext,
  name: string,
  { process: type = 'web', instances, memory, disk }: ScaleFlags,
): Promise<void> {
  const app = await findApp(context, name);
  const change = {
    ...(instances === undefined ? {} : { instances }),
    ...(memory === undefined ? {} : { memory_in_mb: megabytes('-m', memory) }),
    ...(disk === undefined ? {} : { disk_in_mb: megabytes('-k', disk) }),
  };
  const client = context.client();
  if (Object.keys(change).length > 0) {
    await client
      .act({ method: 'POST', path: `/v3/apps/${app.guid}/processes/${type}/actions/scale`, json: change })
      .catch(async (error: unknown) => {
        if (!(error instanceof CfApiError) || error.status !== NOT_FOUND) throw error;
        const types = (await client.all(readProcess, `/v3/apps/${app.guid}/processes`)).map(process => process.type);
        throw new WordedError(`${name} has no process "${type}": it has ${types.join(', ')}.`, {
          next: `Name it in the Procfile, and push: cupola push ${name}`,
        });
      });
    if (app.state === 'STARTED') {
      const renewed = memory !== undefined || disk !== undefined;
      if (renewed) await act(context, app, 'restart');
      if (instances !== 0) await waitUntilRunning(context.client(), app, { all: !renewed });
    }
  }
  await showApp(context, app);
}

interface DeleteFlags {
  force?: boolean;
  routes?: boolean;
}

export async function remove(context: CliContext, name: string, { force, routes }: DeleteFlags): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const app = await client.first(readApp, '/v3/apps', { names: name, space_guids: space.guid });
  if (app === null) return context.result({ name, deleted: false }, `${name} does not exist.`);
  if (!force) {
    if (!context.isTerminal)
      throw usageError(
        `Deleting ${name} cannot be undone, and there is no terminal to ask.`,
        `cupola delete ${name} -f`,
      );
    const answer = await question(`Really delete ${name} and everything it runs? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) return context.result({ name, deleted: false }, `${name} was left as it is.`);
  }
  const mapped = routes ? await client.all(readRoute, `/v3/apps/${app.guid}/routes`) : [];
  await client.act({ method: 'DELETE', path: `/v3/apps/${app.guid}` });
  for (const route of mapped)
    await client.act({ method: 'DELETE', path: `/v3/routes/${route.guid}` }).catch((error: unknown) => {
      if (!(error instanceof CfApiError) || error.status !== NOT_FOUND) throw error;
    });
  context.result(
    { name, deleted: true },
    `${name} is deleted${mapped.length > 0 ? `, and ${mapped.map(({ url }) => url).join(', ')} with it` : ''}.`,
  );
}
