/** Makes a droplet the running version: by restart, or by a deployment where a strategy was asked for. */
import type { CloudClient } from '@cupola/client/cloud-client';
import {
  type ReadApp,
  type ReadDeployment,
  type ReadProcess,
  readDeployment,
  readProcess,
  readStats,
} from '@cupola/contract/v3/client-reads';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { areHopeless, startFailure, startTrouble } from './explain-failure.ts';
import { WordedError } from './failures.ts';
import { waitUntilRunning } from './start-wait.ts';

/** As the API's: `rolling` or `canary`, and how. */
export interface DeploymentChoice {
  readonly strategy: string;
  readonly maxInFlight?: number;
  /** Percent of the instances, for each step. */
  readonly instanceSteps?: readonly number[];
}

interface Run {
  readonly app: ReadApp;
  readonly dropletGuid: string;
  /** Null: a restart. */
  readonly deployment: DeploymentChoice | null;
  /** Start timeout that the user gave, seconds. */
  readonly startTimeout: number | null;
}

/** How a deployment left the app: all on the new version, or a canary beside the former one, which waits for a word. */
export type Deployed = 'whole' | 'canary';

export interface RanDroplet {
  readonly deployed: Deployed;
  /** Of the app, as they are now. */
  readonly processes: readonly ReadProcess[];
}

export async function runDroplet(
  client: CloudClient,
  { app, dropletGuid, deployment, startTimeout }: Run,
): Promise<RanDroplet> {
  if (deployment !== null) {
    const what = { droplet: { guid: dropletGuid } };
    const deployed = await deploy(client, { app, what, choice: deployment, startTimeout });
    return { deployed, processes: await client.all(readProcess, `/v3/apps/${app.guid}/processes`) };
  }
  await assignDroplet(client, app, dropletGuid);
  await client.act({ method: 'POST', path: `/v3/apps/${app.guid}/actions/restart`, isRepeatable: true });
  return { deployed: 'whole', processes: await waitUntilRunning(client, app) };
}

/** What the app runs from its next start on, and its tasks from now on. */
export function assignDroplet(client: CloudClient, app: ReadApp, dropletGuid: string): Promise<void> {
  return client.act({
    method: 'PATCH',
    path: `/v3/apps/${app.guid}/relationships/current_droplet`,
    json: { data: { guid: dropletGuid } },
  });
}

interface Deploy {
  readonly app: ReadApp;
  readonly what: { droplet: { guid: string } } | { revision: { guid: string } };
  readonly choice: DeploymentChoice;
  readonly startTimeout: number | null;
}

/** Makes a deployment and follows it, see followDeployment(). */
export async function deploy(
  client: CloudClient,
  { app, what, choice: { strategy, maxInFlight, instanceSteps }, startTimeout }: Deploy,
): Promise<Deployed> {
  const options = {
    ...(maxInFlight === undefined ? {} : { max_in_flight: maxInFlight }),
    ...(instanceSteps === undefined
      ? {}
      : { canary: { steps: instanceSteps.map(percent => ({ instance_weight: percent })) } }),
  };
  const made = await client.read(readDeployment, {
    method: 'POST',
    path: '/v3/deployments',
    isRepeatable: true,
    json: {
      ...what,
      strategy,
      ...(Object.keys(options).length === 0 ? {} : { options }),
      relationships: { app: { data: { guid: app.guid } } },
    },
  });
  return followDeployment(client, app, { deployment: made, startTimeout });
}

/**
 * Until it has ended, or has paused after a canary. A version that never gets healthy would stay DEPLOYING for ever: it is ended as soon as its first
 * instance has given up, or after twice its start timeout without progress, and the old version keeps serving. Throws with the cause.
 */
export async function followDeployment(
  client: CloudClient,
  app: ReadApp,
  { deployment, startTimeout }: { deployment: ReadDeployment; startTimeout: number | null },
): Promise<Deployed> {
  const limitMs = 2 * (startTimeout === null ? INSTANCE_LIMITS.startTimeoutMs : startTimeout * 1_000);
  const over = new AbortController();
  const ended = client.poll({
    path: `/v3/deployments/${deployment.guid}`,
    schema: readDeployment,
    what: `the deployment of ${app.name}`,
    limitMs,
    isDone: ({ status: { value, reason } }) => value === 'FINALIZED' || reason === 'PAUSED',
    signal: over.signal,
  });
  const failed = failureOf(client, app, {
    processes: deployment.new_processes ?? [],
    limitMs,
    signal: over.signal,
  });
  try {
    const done = await Promise.race([ended, failed]);
    if (done instanceof WordedError) throw await cancelled(client, app, { guid: deployment.guid, failure: done });
    if (done.status.reason === 'PAUSED') return 'canary';
    if (done.status.reason !== 'DEPLOYED')
      throw new WordedError(
        `The deployment of ${app.name} ended as ${done.status.reason ?? 'unknown'}; the former version serves.`,
        { next: `See why: cupola doctor ${app.name}` },
      );
    return 'whole';
  } catch (error) {
    if ((error as Error).name !== 'WaitedTooLongError') throw error;
    throw await cancelled(client, app, {
      guid: deployment.guid,
      failure: new WordedError(`${app.name} did not get healthy within ${limitMs / 1_000} s.`, {
        next: `See why: cupola doctor ${app.name}`,
      }),
    });
  } finally {
    over.abort();
    ended.catch(() => undefined); // Given up, or told already.
  }
}

interface NewProcesses {
  processes: readonly { guid: string; type: string }[];
  limitMs: number;
  signal: AbortSignal;
}

/** Resolves when the new version will not come up; else never. */
async function failureOf(
  client: CloudClient,
  app: ReadApp,
  { processes, limitMs, signal }: NewProcesses,
): Promise<WordedError> {
  const [first] = processes;
  const never = new Promise<never>(() => undefined);
  if (first === undefined) return never;
  const startedMs = performance.now();
  try {
    const { resources } = await client.poll({
      path: `/v3/processes/${first.guid}/stats`,
      schema: readStats,
      what: `the new version of ${app.name}`,
      limitMs,
      isDone: stats =>
        stats.resources.some(({ state }) => state === 'CRASHED') ||
        areHopeless(stats.resources, performance.now() - startedMs),
      signal,
    });
    const process = await client.read(readProcess, { path: `/v3/processes/${first.guid}` });
    return startFailure(app, process, await startTrouble(client, app, { process, instances: resources }));
  } catch {
    return never; // It is over, or its process is gone: the deployment's own end says more.
  }
}

/** Ends the deployment; the failure then says so. */
async function cancelled(
  client: CloudClient,
  app: ReadApp,
  { guid, failure }: { guid: string; failure: WordedError },
): Promise<WordedError> {
  await client.act({ method: 'POST', path: `/v3/deployments/${guid}/actions/cancel`, isRepeatable: true });
  return new WordedError(
    `The new version of ${failure.message} The deployment was cancelled, and the former version of ${app.name} serves.`,
    { details: failure.details, explained: failure.explained, next: failure.next },
  );
}
