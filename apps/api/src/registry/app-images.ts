/** Apps as repositories, droplets as images: nothing is kept for it, since what an image is follows from its droplet (`@cupola/images/oci-image`). */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { type DescribedImage, describeImage } from '@cupola/images/oci-image';
import { NotFoundError } from '@cupola/model/errors';
import type { Layer } from '@cupola/model/run-spec';
import { holdsInSpace } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { findApp, type ScopedApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { imageOf } from '../droplets/image.ts';
import { type DropletRow, isVisibleDroplet } from '../droplets/list-droplets.ts';
import { processOfType } from '../processes/change-process.ts';

/** Of an app that are offered: more of them than a platform keeps staged for one (ours). */
const DROPLETS_MAX = 100;

export interface RepositoryName {
  organization: string;
  space: string;
  app: string;
}

/** Each part is a name, whatever its case, or a guid: not every name of Cloud Foundry's is one that a registry knows. Null: there is none. */
export async function findRepository(deps: ApiDeps, name: RepositoryName): Promise<ScopedApp | null> {
  const row = await deps.store.read
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select('apps.guid')
    .where(({ and, or, eb, fn }) => {
      const is = (table: 'apps' | 'spaces' | 'organizations', text: string) =>
        or([eb(`${table}.guid`, '=', text), eb(fn<string>('lower', [`${table}.name`]), '=', text.toLowerCase())]);
      return and([is('organizations', name.organization), is('spaces', name.space), is('apps', name.app)]);
    })
    .executeTakeFirst();
  return row === undefined ? null : ((await findApp(deps.store.read, row.guid)) ?? null);
}

/** An image holds the app's files: whoever may download its droplets. */
export function mayPull(actor: Actor, { space_guid }: ScopedApp): boolean {
  return holdsInSpace(actor, space_guid, ['space_developer']);
}

interface AppImage {
  droplet: DropletRow;
  described: DescribedImage;
}

/** `reference`: `latest` is the current droplet, a droplet's guid that one, a digest any of them. @throws NotFoundError, UnprocessableError */
export async function findImage(deps: ApiDeps, app: ScopedApp, reference: string): Promise<AppImage> {
  const rows = await readDroplets(deps, app);
  if (!reference.startsWith('sha256:')) {
    const guid = reference === 'latest' ? app.current_droplet_guid : reference;
    const droplet = rows.find(row => row.guid === guid);
    if (droplet === undefined) throw new NotFoundError('Image');
    return describe(deps, app, droplet);
  }
  for await (const image of imagesOf(deps, app, rows))
    if (`sha256:${image.described.manifest.digest}` === reference) return image;
  throw new NotFoundError('Image');
}

/** `latest`, where the app has a current droplet, and the guids of all. */
export async function tagsOf(deps: ApiDeps, app: ScopedApp): Promise<string[]> {
  const rows = await readDroplets(deps, app);
  return [...(app.current_droplet_guid === null ? [] : ['latest']), ...rows.map(({ guid }) => guid)];
}

export interface OpenBlob {
  sizeBytes: number;
  open(range?: { start: number; end: number }): Promise<Readable>;
}

/** A part of one of the app's images; of no other's, whatever is stored here. @throws NotFoundError */
export async function findBlob(deps: ApiDeps, app: ScopedApp, digest: string): Promise<OpenBlob> {
  const rows = await readDroplets(deps, app);
  const own = rows
    .flatMap(row => JSON.parse(row.layers_json) as Layer[])
    .find(layer => `sha256:${layer.digest}` === digest);
  if (own !== undefined)
    return {
      sizeBytes: own.sizeBytes,
      open: range => (range === undefined ? deps.blobs.openVerified(own.digest) : deps.blobs.open(own.digest, range)),
    };
  for await (const { described } of imagesOf(deps, app, rows)) {
    const text = [described.config, described.manifest].find(blob => `sha256:${blob.digest}` === digest);
    if (text !== undefined)
      return {
        sizeBytes: text.bytes.length,
        open: async range => Readable.from([text.bytes.subarray(range?.start, range?.end)]),
      };
    const layer = described.layers.find(one => `sha256:${one.digest}` === digest);
    if (layer !== undefined) return { sizeBytes: layer.sizeBytes, open: async range => partOf(layer.open(), range) };
  }
  throw new NotFoundError('Blob');
}

/** Of a file the part is read alone; of what is made on the way, what lies before it is passed over. */
function partOf(source: Readable, range: { start: number; end: number } | undefined): Readable {
  if (range === undefined) return source;
  const { path } = source as Readable & { path?: unknown };
  if (typeof path === 'string') {
    source.destroy();
    return createReadStream(path, { start: range.start, end: range.end - 1 });
  }
  return Readable.from(between(source, range), { objectMode: false });
}

async function* between(source: Readable, { start, end }: { start: number; end: number }): AsyncIterable<Buffer> {
  let at = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    yield chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += chunk.length;
    if (at >= end) return;
  }
}

/** The current one first: it is what is mostly asked for. */
async function* imagesOf(deps: ApiDeps, app: ScopedApp, rows: readonly DropletRow[]): AsyncIterable<AppImage> {
  const isCurrent = (row: DropletRow): number => (row.guid === app.current_droplet_guid ? 0 : 1);
  for (const droplet of [...rows].sort((a, b) => isCurrent(a) - isCurrent(b)))
    try {
      yield await describe(deps, app, droplet);
    } catch {
      // It cannot be an image here: its stack is gone, say. Others can.
    }
}

async function describe(deps: ApiDeps, app: ScopedApp, droplet: DropletRow): Promise<AppImage> {
  const process = await processOfType(deps.store.read, app.guid, 'web');
  const request = await imageOf(deps, { droplet, name: `${app.guid}:latest`, command: process?.command ?? null });
  return { droplet, described: describeImage(request) };
}

async function readDroplets({ store }: ApiDeps, app: ScopedApp): Promise<DropletRow[]> {
  return store.read
    .selectFrom('droplets')
    .selectAll()
    .where('app_guid', '=', app.guid)
    .where('state', '=', 'STAGED')
    .where(isVisibleDroplet)
    .orderBy('created_at', 'desc')
    .limit(DROPLETS_MAX)
    .execute();
}
