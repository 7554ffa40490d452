/** A push from the browser: the same calls of the API as those of a CLI. What was chosen is sent whole; matching of files that are there already is the CLI's. */
import { readBuild, readPackage } from '@cupola/contract/v3/client-reads';
import { carryOut } from '../app/do.ts';
import { ApiError, ask, read } from '../data/http.ts';
import { listOf, app as readApp } from '../data/read.ts';
import { manifestOf } from './manifest.ts';
import type { Chosen } from './read-files.ts';

export interface PushAsk {
  name: string;
  spaceGuid: string;
  chosen: Chosen;
  /** Told what it is at, for people. */
  say(text: string): void;
}

/** @returns the app's guid, once its new version has been asked to start. @throws ApiError */
export async function runPush({ name, spaceGuid, chosen, say }: PushAsk): Promise<string> {
  say('Making the app and its route');
  await applyManifest(spaceGuid, await manifestOf(chosen, name));
  const found = await read(listOf(readApp), `/v3/apps?${new URLSearchParams({ names: name, space_guids: spaceGuid })}`);
  const app = found.resources[0];
  if (app === undefined) throw new ApiError(404, `${name} was made, and is not there any more.`);
  const bits = await bitsOf(chosen, say);
  say(`Sending ${(bits.size / 1e6).toFixed(1)} MB`);
  const packageGuid = await upload(app.guid, bits);
  say('Staging: its log is on the page of the app');
  const dropletGuid = await stage(packageGuid);
  say('Starting');
  await run(app.guid, dropletGuid, app.state === 'STARTED');
  return app.guid;
}

function applyManifest(spaceGuid: string, manifest: unknown): Promise<void> {
  const path = `/v3/spaces/${spaceGuid}/actions/apply_manifest`;
  // A JSON text is YAML too, and quotes any name.
  return carryOut({ cf: null, cupola: '', api: { method: 'POST', path, yaml: JSON.stringify(manifest) } });
}

async function bitsOf(chosen: Chosen, say: (text: string) => void): Promise<Blob> {
  if (chosen.kind === 'archive') return chosen.file;
  const { zipOf } = await import('./zip.ts');
  const { files } = chosen;
  return zipOf(files, done => {
    if (done % 50 === 0 || done === files.length) say(`Packing ${done} of ${files.length} files`);
  });
}

async function upload(appGuid: string, bits: Blob): Promise<string> {
  const json = { type: 'bits', relationships: { app: { data: { guid: appGuid } } } };
  const made = await read(readPackage, '/v3/packages', { method: 'POST', json });
  const body = new FormData();
  body.set('bits', bits, 'app.zip');
  await ask(`/v3/packages/${made.guid}/upload`, { method: 'POST', body });
  const { state, data } = await untilOver(readPackage, `/v3/packages/${made.guid}`, ({ state }) =>
    ['READY', 'FAILED', 'EXPIRED'].includes(state),
  );
  if (state !== 'READY') throw new ApiError(422, data?.error ?? 'What was sent could not be used.');
  return made.guid;
}

async function stage(packageGuid: string): Promise<string> {
  const json = { package: { guid: packageGuid } };
  const made = await read(readBuild, '/v3/builds', { method: 'POST', json });
  const { state, error, droplet } = await untilOver(
    readBuild,
    `/v3/builds/${made.guid}`,
    ({ state }) => state !== 'STAGING',
  );
  if (state !== 'STAGED' || !droplet) throw new ApiError(422, error ?? 'Staging failed.');
  return droplet.guid;
}

/** What runs is replaced without a dropped request; what is stopped is started. */
async function run(appGuid: string, dropletGuid: string, isStarted: boolean): Promise<void> {
  if (isStarted) {
    const json = {
      droplet: { guid: dropletGuid },
      strategy: 'rolling',
      relationships: { app: { data: { guid: appGuid } } },
    };
    await ask('/v3/deployments', { method: 'POST', json });
    return;
  }
  await ask(`/v3/apps/${appGuid}/relationships/current_droplet`, {
    method: 'PATCH',
    json: { data: { guid: dropletGuid } },
  });
  await ask(`/v3/apps/${appGuid}/actions/start`, { method: 'POST' });
}

const PAUSE_MS = 500;

/** The API holds each of these reads until there is something new, or for 20 s; the pause is for another that does not. */
async function untilOver<T>(
  schema: { parse(value: unknown): T },
  path: string,
  isOver: (value: T) => boolean,
): Promise<T> {
  for (;;) {
    const value = await read(schema, path, { headers: { prefer: 'wait=20' } });
    if (isOver(value)) return value;
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
  }
}
