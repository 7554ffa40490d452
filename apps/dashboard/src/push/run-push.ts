/** A push from the browser: the same calls of the API as those of a CLI, and like these it sends only what the platform does not have yet. */
import { type ResourceMatch, readBuild, readPackage } from '@cupola/contract/v3/client-reads';
import { carryOut } from '../app/do.ts';
import { ApiError, ask, read, upload } from '../data/http.ts';
import { type App, listOf, app as readApp } from '../data/read.ts';
import { manifestOf } from './manifest.ts';
import { matchFiles } from './match-files.ts';
import type { Say } from './pushes.ts';
import type { Chosen } from './read-files.ts';

/** The app, made or changed as its manifest says, with a route. @throws ApiError, or Error with a sentence for the user. */
export async function makeApp(
  name: string,
  { spaceGuid, chosen }: { spaceGuid: string; chosen: Chosen },
): Promise<App> {
  const manifest = await manifestOf(chosen, name);
  const path = `/v3/spaces/${spaceGuid}/actions/apply_manifest`;
  // A JSON text is YAML too, and quotes any name.
  await carryOut({ cf: null, cupola: '', api: { method: 'POST', path, yaml: JSON.stringify(manifest) } });
  const found = await read(listOf(readApp), `/v3/apps?${new URLSearchParams({ names: name, space_guids: spaceGuid })}`);
  const [app] = found.resources;
  if (app === undefined) throw new ApiError(404, `${name} was made, and is not there any more.`);
  return app;
}

export interface Carrying {
  chosen: Chosen;
  signal: AbortSignal;
  say: Say;
}

/** Resolves once the new version has been asked to start. @throws ApiError */
export async function pushTo(app: App, { chosen, signal, say }: Carrying): Promise<void> {
  const packageGuid = await uploadTo(app.guid, { chosen, signal, say });
  say('stage', '');
  const dropletGuid = await stage(packageGuid, signal);
  signal.throwIfAborted();
  say('start', '');
  await run(app.guid, dropletGuid, app.state === 'STARTED');
}

async function uploadTo(appGuid: string, carrying: Carrying): Promise<string> {
  const { chosen, signal, say } = carrying;
  if (chosen.kind === 'folder') say('upload', 'looking for what has changed');
  const matched = chosen.kind === 'folder' ? await matchFiles(chosen.files, signal) : [];
  try {
    return await send(appGuid, matched, carrying);
  } catch (error) {
    // A matched file may have been swept since it was asked for.
    if (matched.length === 0 || !(error instanceof ApiError) || error.status !== 400) throw error;
    return send(appGuid, [], carrying);
  }
}

async function send(
  appGuid: string,
  matched: readonly ResourceMatch[],
  { chosen, signal, say }: Carrying,
): Promise<string> {
  const bits = await bitsOf(chosen, new Set(matched.map(({ path }) => path)), { signal, say });
  const json = { type: 'bits', relationships: { app: { data: { guid: appGuid } } } };
  const made = await read(readPackage, '/v3/packages', { method: 'POST', json, signal });
  const path = `/v3/packages/${made.guid}`;
  const body = new FormData();
  if (matched.length > 0) body.set('resources', JSON.stringify(matched));
  body.set('bits', bits, 'app.zip');
  try {
    const has =
      matched.length === 0 ? '' : `, ${matched.length} ${matched.length === 1 ? 'file is' : 'files are'} there`;
    const progress = (sent: number, total: number): void => say('upload', `${sizeOf(sent)} of ${sizeOf(total)}${has}`);
    progress(0, bits.size);
    await upload(`${path}/upload`, { body, signal, progress });
  } catch (error) {
    // Nobody will send its files any more.
    await ask(path, { method: 'DELETE' }).catch(() => undefined);
    throw error;
  }
  const isOver = ({ state }: { state: string }): boolean => ['READY', 'FAILED', 'EXPIRED'].includes(state);
  const { state, data } = await untilOver(readPackage, path, { isOver, signal });
  if (state !== 'READY') throw new ApiError(422, data?.error ?? 'What was sent could not be used.');
  return made.guid;
}

async function bitsOf(
  chosen: Chosen,
  without: ReadonlySet<string>,
  { signal, say }: Pick<Carrying, 'signal' | 'say'>,
): Promise<Blob> {
  if (chosen.kind === 'archive') return chosen.file;
  const { zipOf } = await import('./zip.ts');
  const files = chosen.files.filter(({ path }) => !without.has(path));
  return zipOf(files, {
    signal,
    progress: done => {
      if (done % 50 === 0 || done === files.length) say('upload', `packing ${done} of ${files.length} files`);
    },
  });
}

async function stage(packageGuid: string, signal: AbortSignal): Promise<string> {
  const json = { package: { guid: packageGuid } };
  const made = await read(readBuild, '/v3/builds', { method: 'POST', json, signal });
  const isOver = ({ state }: { state: string }): boolean => state !== 'STAGING';
  const { state, error, droplet } = await untilOver(readBuild, `/v3/builds/${made.guid}`, { isOver, signal });
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

const sizeOf = (bytes: number): string =>
  bytes < 100_000 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const PAUSE_MS = 500;

/** The API holds each of these reads until there is something new, or for 20 s; the pause is for another that does not. */
async function untilOver<T>(
  schema: { parse(value: unknown): T },
  path: string,
  { isOver, signal }: { isOver(value: NoInfer<T>): boolean; signal: AbortSignal },
): Promise<T> {
  for (;;) {
    const value = await read(schema, path, { signal, headers: { prefer: 'wait=20' } });
    if (isOver(value)) return value;
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
  }
}
