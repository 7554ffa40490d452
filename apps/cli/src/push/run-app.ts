/** Makes a droplet the running version: by restart, or by a deployment where a strategy was asked for. */
import { type ReadApp, readDeployment } from '@cupola/contract/v3/client-reads';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { CliContext } from '../context.ts';
import { CliError } from '../failures.ts';
import { waitUntilRunning } from '../start-wait.ts';

interface Run {
  readonly app: ReadApp;
  readonly dropletGuid: string;
  readonly strategy: string | null;
  /** Start timeout that the user gave, seconds. */
  readonly startTimeout: number | null;
}

export async function runDroplet(
  context: CliContext,
  { app, dropletGuid, strategy, startTimeout }: Run,
): Promise<void> {
  if (strategy !== null) return deploy(context, { app, dropletGuid, strategy, startTimeout });
  const client = context.client();
  await client.act({
    method: 'PATCH',
    path: `/v3/apps/${app.guid}/relationships/current_droplet`,
    json: { data: { guid: dropletGuid } },
  });
  await client.act({ method: 'POST', path: `/v3/apps/${app.guid}/actions/restart` });
  await waitUntilRunning(context, app);
}

async function deploy(
  context: CliContext,
  { app, dropletGuid, strategy, startTimeout }: Run & { strategy: string },
): Promise<void> {
  const client = context.client();
  const made = await client.read(readDeployment, {
    method: 'POST',
    path: '/v3/deployments',
    json: { droplet: { guid: dropletGuid }, strategy, relationships: { app: { data: { guid: app.guid } } } },
  });
  // A version that never gets healthy would stay DEPLOYING for ever: after twice its start timeout we end it, and the old one keeps serving.
  const limitMs = 2 * (startTimeout === null ? INSTANCE_LIMITS.startTimeoutMs : startTimeout * 1_000);
  try {
    const done = await client.poll({
      path: `/v3/deployments/${made.guid}`,
      schema: readDeployment,
      what: `the deployment of ${app.name}`,
      limitMs,
      isDone: ({ status: { value, reason } }) =>
        value === 'FINALIZED' || (value === 'ACTIVE' && reason === 'PAUSED' && strategy === 'canary'),
    });
    if (done.status.value === 'FINALIZED' && done.status.reason !== 'DEPLOYED')
      throw new CliError(
        `The deployment of ${app.name} ended as ${done.status.reason ?? 'unknown'}; the former version serves.`,
        { next: `See why: cupola logs ${app.name} --recent` },
      );
  } catch (error) {
    if ((error as Error).name === 'WaitedTooLongError') {
      await client.act({ method: 'POST', path: `/v3/deployments/${made.guid}/actions/cancel` });
      throw new CliError(
        `The new version of ${app.name} did not get healthy within ${limitMs / 1_000} s; the deployment was cancelled and the former version serves.`,
        {
          next: `See why: cupola logs ${app.name} --recent`,
        },
      );
    }
    throw error;
  }
}
