/**
 * diff: what a push of this folder would change, and nothing is changed. Files against the last push of the folder, where the app still runs that; else by
 * which of their contents the platform knows. Settings as the API compares the manifest with the app as it is.
 */
import { statSync } from 'node:fs';
import type { CloudClient } from '@cupola/client/cloud-client';
import { CfApiError } from '@cupola/client/errors';
import { readApp, readDroplet } from '@cupola/contract/v3/client-reads';
import { manifestDiff } from '@cupola/contract/v3/manifest';
import { explain, WordedError } from '@cupola/push/failures';
import { fileChanges } from '@cupola/push/files/file-changes';
import { openFolderMemory } from '@cupola/push/files/pushed-folder';
import { walkFolder } from '@cupola/push/files/walk';
import { type ManifestPlan, type PushFlags, planManifest } from '@cupola/push/manifest/manifest';
import { matchFiles } from '@cupola/push/match-files';
import { configFolder } from '../config.ts';
import type { CliContext } from '../context.ts';
import { type AppDiff, diffText, isChanged, type ManifestChange } from '../diff-text.ts';
import { nameOfFolder } from '../push-plan.ts';

/** As diff(1) ends: what differs is no failure, and no success either. */
const DIFFERS = 1;
const TROUBLE = 2;
const NOT_FOUND = 404;

export interface DiffFlags extends PushFlags {
  route: boolean;
}

export async function diff(context: CliContext, name: string | undefined, flags: DiffFlags): Promise<void> {
  try {
    const plan = planManifest(name, { ...flags, noRoute: !flags.route, nameless: nameOfFolder }, process.cwd());
    const { space } = context.target();
    const client = context.client();
    const changes = await manifestChanges(client, space.guid, plan);
    const apps = await Promise.all(plan.apps.map((one, at) => diffOne(context, one, changes.get(at) ?? [])));
    const changed = apps.some(isChanged);
    context.result({ changed, apps }, apps.map(diffText).join('\n\n'));
    if (changed) process.exitCode = DIFFERS;
  } catch (error) {
    throw asTrouble(error);
  }
}

/** 1 means here that something differs. */
function asTrouble(error: unknown): unknown {
  const failure = explain(error);
  if (failure === null || failure.exitCode !== DIFFERS) return error;
  const { message, next, details, explained } = failure;
  return new WordedError(message, { exitCode: TROUBLE, next, details, explained });
}

/** By the app's place in the manifest. */
async function manifestChanges(
  client: CloudClient,
  spaceGuid: string,
  plan: ManifestPlan,
): Promise<Map<number, ManifestChange[]>> {
  const answer = await client.read(manifestDiff, {
    method: 'POST',
    path: `/v3/spaces/${spaceGuid}/manifest_diff`,
    raw: { contentType: 'application/x-yaml', body: () => plan.body },
  });
  const found = new Map<number, ManifestChange[]>();
  for (const { op, path, was, value } of answer.diff) {
    const [, , at = '', ...rest] = path.split('/');
    const change = { op, path: rest.join('/'), was: was ?? null, value: value ?? null };
    found.set(Number(at), [...(found.get(Number(at)) ?? []), change]);
  }
  return found;
}

type Planned = ManifestPlan['apps'][number];

async function diffOne(context: CliContext, planned: Planned, settings: ManifestChange[]): Promise<AppDiff> {
  const client = context.client();
  const { space } = context.target();
  const { name, image } = planned;
  const app = await client.first(readApp, '/v3/apps', { names: name, space_guids: space.guid });
  const droplet = app === null ? null : await currentDroplet(client, app.guid);
  // A default route is made for an app that has none: nothing else is said by the flag.
  const known = settings.filter(({ path }) => app === null || path.replaceAll('_', '-') !== 'default-route');
  const facts = { name, isNew: app === null, settings: known };
  if (image !== null)
    return {
      ...facts,
      image: droplet?.image === image.name ? null : { was: droplet?.image ?? null, value: image.name },
      files: null,
    };
  return { ...facts, image: null, files: await diffFiles(context, planned, droplet) };
}

async function diffFiles(
  context: CliContext,
  { name, folder }: Planned,
  droplet: { packageGuid: string | null } | null,
): Promise<AppDiff['files']> {
  const client = context.client();
  if (!statSync(folder).isDirectory())
    return { folder, against: 'nothing', added: [], changed: [], removed: [], unknown: [folder] };
  const former = openFolderMemory(configFolder(context.environment), {
    folder,
    place: [client.endpoints.api, context.target().space.guid, name],
  }).recall();
  const walked = walkFolder(folder, former?.files);
  if (former?.package != null && former.package.guid === droplet?.packageGuid)
    return { folder, against: 'last push', ...fileChanges(former, walked), unknown: [] };
  const matched = new Set((await matchFiles(client, walked.files)).map(({ path }) => path));
  // Empty files are never matched: they would be named each time.
  const unknown = walked.files.filter(({ path, sizeBytes }) => sizeBytes > 0 && !matched.has(path));
  return { folder, against: 'contents', added: [], changed: [], removed: [], unknown: unknown.map(({ path }) => path) };
}

async function currentDroplet(
  client: CloudClient,
  appGuid: string,
): Promise<{ image: string | null; packageGuid: string | null } | null> {
  try {
    const { image, links } = await client.read(readDroplet, { path: `/v3/apps/${appGuid}/droplets/current` });
    return { image: image ?? null, packageGuid: links?.package?.href.split('/').at(-1) ?? null };
  } catch (error) {
    if (error instanceof CfApiError && error.status === NOT_FOUND) return null; // Never staged.
    throw error;
  }
}
