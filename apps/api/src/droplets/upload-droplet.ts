/**
 * A droplet that somebody brings: `cf push --droplet FILE`. What was downloaded here, or made by a Cloud Foundry's builder for this stack, becomes layers like
 * those of a build (docs/decisions/0002); nothing of it is run or unpacked here. STAGED when the answer is sent, so its job is complete at once.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { type SplitDroplet, type SplitLayer, splitDroplet } from '@cupola/archive/split-droplet';
import type { createDroplet } from '@cupola/contract/v3/build';
import { ArchiveRefusedError, UnprocessableError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import type { Layer } from '@cupola/model/run-spec';
import { z } from 'zod';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { appScope, findApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { whenFull } from '../packages/free-space.ts';
import { receiveUpload } from '../packages/receive-upload.ts';
import { writableDroplet } from './find-droplet.ts';
import type { DropletRow } from './list-droplets.ts';

const ONLY_ONCE = 'Droplet may be uploaded only once. Create a new droplet to upload bits.';
const STACK = 'host';

/** For bits to come. @throws UnprocessableError for an app that the actor may not see. */
export async function createEmptyDroplet(
  { store }: ApiDeps,
  actor: Actor,
  body: z.output<typeof createDroplet>,
): Promise<DropletRow> {
  return store.mutate(async mutation => {
    const { db, now, changed } = mutation;
    const app = await findApp(db, body.relationships.app.data.guid);
    if (app === undefined || !maySeeSpace(actor, appScope(app)))
      throw new UnprocessableError(
        `App with guid "${body.relationships.app.data.guid}" does not exist, or you do not have access to it.`,
      );
    requireDeveloper(actor, appScope(app), 'App');
    if (app.lifecycle_type === 'docker')
      throw new UnprocessableError('Droplet creation is not available for apps with docker lifecycles.');
    const row: DropletRow = {
      guid: randomUUID(),
      created_at: now,
      updated_at: now,
      app_guid: app.guid,
      package_guid: null,
      build_guid: null,
      state: 'AWAITING_UPLOAD',
      error: null,
      stack: app.stack ?? STACK,
      stack_digest: null,
      abi_key: null,
      layers_json: '[]',
      buildpacks_json: '[]',
      process_types_json: JSON.stringify(body.process_types ?? {}),
      execution_metadata: '',
      image_digest: null,
      sidecars_json: null,
      docker_image: null,
      image_config_json: null,
    };
    await db.insertInto('droplets').values(row).execute();
    changed('droplet', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
    await recordAppEvent(mutation, { actor, app, type: 'droplet.create', data: { droplet_guid: row.guid } });
    return row;
  });
}

/** @throws UnprocessableError, ArchiveRefusedError: what is wrong with the file, which also makes the droplet FAILED. */
export async function uploadDroplet(deps: ApiDeps, request: ApiRequest): Promise<{ droplet: DropletRow; job: string }> {
  const guid = request.params.guid ?? '';
  requireAwaiting((await writableDroplet(deps.store.read, request.actor, guid)).row);
  await using received = await receiveUpload(deps, request);
  const { zip: file, filename } = received;
  if (file === null) throw new UnprocessableError("A droplet tgz file must be uploaded as 'bits'");
  if (filename !== null && !/\.(tgz|tar\.gz)$/.test(filename)) throw new UnprocessableError(`${filename} is not a tgz`);
  const folder = join(deps.config.uploadFolder, randomUUID());
  await mkdir(folder, { mode: 0o700 });
  try {
    const split = await splitDroplet(gunzipped(file), { folder, unpackedMaxBytes: PUSH_LIMITS.unpackedMaxBytes });
    for (const { file: tar, digest, sizeBytes } of split.layers) await deps.blobs.adopt(tar, { digest, sizeBytes });
    return await keep(deps, request, { guid, split });
  } catch (error) {
    if (error instanceof ArchiveRefusedError) await fail(deps, guid, error.message);
    throw whenFull(error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function requireAwaiting({ state }: DropletRow): void {
  if (state !== 'AWAITING_UPLOAD') throw new UnprocessableError(ONLY_ONCE);
}

async function* gunzipped(file: string): AsyncIterable<Buffer> {
  const source = createReadStream(file);
  const gunzip = createGunzip();
  source.on('error', error => gunzip.destroy(error));
  source.pipe(gunzip);
  try {
    yield* gunzip as AsyncIterable<Buffer>;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

async function keep(
  { store }: ApiDeps,
  { actor }: ApiRequest,
  { guid, split }: { guid: string; split: SplitDroplet },
): Promise<{ droplet: DropletRow; job: string }> {
  return store.mutate(async mutation => {
    const { db, now, changed } = mutation;
    const { row, app } = await writableDroplet(db, actor, guid);
    requireAwaiting(row);
    const given = JSON.parse(row.process_types_json) as Record<string, string>;
    const staged = {
      state: 'STAGED' as const,
      layers_json: JSON.stringify(split.layers.map(layerOf)),
      process_types_json: JSON.stringify(Object.keys(given).length > 0 ? given : processTypes(split.stagingInfo)),
      updated_at: now,
    };
    await db.updateTable('droplets').set(staged).where('guid', '=', guid).execute();
    changed('droplet', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
    await recordAppEvent(mutation, { actor, app, type: 'droplet.upload', data: { droplet_guid: guid } });
    const job = await finishedJob(mutation, { operation: 'droplet.upload', resourceGuid: guid, actor });
    return { droplet: { ...row, ...staged }, job };
  });
}

function layerOf({ digest, sizeBytes, kind, mountPath }: SplitLayer): Layer {
  return { digest, sizeBytes, kind, mountPath };
}

const stagingInfo = z.object({ start_command: z.string().min(1) });

/** Builders write JSON into this YAML file. What names no command needs one of the app's own. */
function processTypes(text: string | null): Record<string, string> {
  if (text === null) return {};
  try {
    const parsed = stagingInfo.safeParse(JSON.parse(text));
    return parsed.success ? { web: parsed.data.start_command } : {};
  } catch {
    return {}; // Not JSON: somebody's own.
  }
}

async function fail({ store }: ApiDeps, guid: string, error: string): Promise<void> {
  await store.mutate(async ({ db, now, changed }) => {
    await db
      .updateTable('droplets')
      .set({ state: 'FAILED', error, updated_at: now })
      .where('guid', '=', guid)
      .where('state', '=', 'AWAITING_UPLOAD')
      .execute();
    changed('droplet', guid);
  });
}
