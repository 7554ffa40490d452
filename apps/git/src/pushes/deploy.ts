/** A tree that git has received becomes the app's running version, by the same steps as `cupola push`, as the user who pushed. */
import { join } from 'node:path';
import type { CloudClient } from '@cupola/client/cloud-client';
import type { Explanation } from '@cupola/contract/causes';
import { type ReadApp, readApp, readDeployment, readProcess, readRoute } from '@cupola/contract/v3/client-reads';
import type { GitTarget } from '@cupola/contract/v3/git';
import { explain, WordedError } from '@cupola/push/failures';
import { openFolderMemory } from '@cupola/push/files/pushed-folder';
import { planManifest } from '@cupola/push/manifest/manifest';
import { applyManifest, idleTypes, type PushState, pushPhases } from '@cupola/push/push-app';
import type { DeploymentChoice } from '@cupola/push/run-app';
import { explanationText, harmless, seconds } from '@cupola/push/text';
import { urlsOf } from '@cupola/push/urls';

export interface Deployment {
  readonly appGuid: string;
  readonly name: string;
  readonly spaceGuid: string;
  /** Whose manifest it is, where the app is a preview: it has its own name, route and size. */
  readonly preview: GitTarget['preview'];
  /** With the pushed files. */
  readonly folder: string;
  /** Of this part: what was pushed last is remembered there. */
  readonly home: string;
  readonly startedMs: number;
  say(line: string): void;
  /** Ends it; nothing that was not yet running is started, and what is being started is taken back. */
  readonly signal: AbortSignal;
}

/** Returns when the new version serves. @throws WordedError with why not; the former version serves then, where there was one. */
export async function deploy(client: CloudClient, deployment: Deployment): Promise<void> {
  const { name, folder, say, signal, appGuid, spaceGuid, preview } = deployment;
  const plan =
    preview === null
      ? planManifest(name, { within: folder }, folder)
      : planManifest(preview.of.name, { within: folder, preview: { name, isFork: preview.is_fork } }, folder);
  const [one] = plan.apps;
  if (one === undefined)
    throw new WordedError('The manifest names no app.', { next: 'Add one, commit, and push again.' });
  for (const note of plan.notes) say(`manifest.yml: ${note}`);
  const finding = applyManifest(client, { spaceGuid, onlyApp: appGuid }, plan).then(() =>
    client.read(readApp, { path: `/v3/apps/${appGuid}` }),
  );
  finding.catch(() => undefined); // Thrown where a phase awaits it.
  const memory = openFolderMemory(deployment.home, { folder: appGuid, place: [client.endpoints.api] });
  const state: PushState = { staging: [] };
  const phases = pushPhases(
    client,
    {
      ...{ name: one.name, folder: one.folder, image: one.image, finding, goal: 'start', memory, environment: {} },
      deployment: app => withoutGap(client, app),
      startTimeout: null,
    },
    state,
  );
  const took: string[] = [];
  for (const { title, run } of phases) {
    signal.throwIfAborted();
    const startedMs = performance.now();
    const phase = title.split(' ')[0] ?? title;
    if (phase === 'Stage') say('Staging');
    const text = await interruptible(client, {
      running: run(line => say(`  ${line}`)),
      appGuid,
      signal: phase === 'Start' ? signal : null,
    });
    const ms = performance.now() - startedMs;
    took.push(`${phase.toLowerCase()} ${seconds(ms)}`);
    say(`${text} (${seconds(ms)})`);
    if (phase === 'Upload') for (const note of state.notes ?? []) say(note);
  }
  const urls = await urlsOf(client, await client.all(readRoute, `/v3/apps/${appGuid}/routes`));
  for (const type of idleTypes(state.ran?.processes ?? []))
    say(`${type} has no instance. Start one: cupola scale ${name} --process ${type} -i 1`);
  say(`${name} runs: done in ${seconds(performance.now() - deployment.startedMs)} (${took.join(', ')})`);
  for (const url of urls.slice(1)) say(`also ${url}`);
  say(urls[0] ?? 'it has no route');
}

/** A version that serves is replaced without a gap; else the new one is simply started. */
async function withoutGap(client: CloudClient, app: ReadApp): Promise<DeploymentChoice | null> {
  if (app.state !== 'STARTED') return null;
  const processes = await client.all(readProcess, `/v3/apps/${app.guid}/processes`);
  return processes.some(({ type, instances }) => type === 'web' && instances > 0) ? { strategy: 'rolling' } : null;
}

interface Running {
  readonly running: Promise<string>;
  readonly appGuid: string;
  /** Null: it is not interrupted, since its end is near and changes nothing that runs. */
  readonly signal: AbortSignal | null;
}

async function interruptible(client: CloudClient, { running, appGuid, signal }: Running): Promise<string> {
  if (signal === null) return running;
  const interrupted = Promise.withResolvers<never>();
  const interrupt = (): void => interrupted.reject(signal.reason);
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    return await Promise.race([running, interrupted.promise]);
  } catch (error) {
    if (signal.aborted) {
      running.catch(() => undefined); // It ends by itself, and nobody waits for it.
      await cancelDeployment(client, appGuid);
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}

async function cancelDeployment(client: CloudClient, appGuid: string): Promise<void> {
  const active = await client.first(readDeployment, '/v3/deployments', { app_guids: appGuid, status_values: 'ACTIVE' });
  if (active !== null) await client.act({ method: 'POST', path: `/v3/deployments/${active.guid}/actions/cancel` });
}

/** Why it did not work, line by line, and never with a path of this machine. */
export function failureLines(error: unknown, { name, folder }: { name: string; folder: string }): string[] | null {
  const failure = explain(error, name);
  if (failure === null) return null;
  const { details, message, next, explained } = failure;
  return [...details, message, ...(next === null ? [] : [next]), ...explanation(explained)]
    .flatMap(text => text.split('\n'))
    .map(line => harmless(line.replaceAll(join(folder, '/'), '').replaceAll(folder, 'the tree')));
}

function explanation(explained: Explanation | null): string[] {
  return explained === null ? [] : [explanationText(explained)];
}
