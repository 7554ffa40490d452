/**
 * Layers of droplets on this cell: fetched once, checked against their digest while they are laid out, then shared by every copy that needs them.
 *
 *     layers/NAME/content   the tar's files; NAME is DIGEST for a toolchain, DIGEST-UID for an app's, which is owned by that app's user id
 *     layers/NAME/facts     size, and the boot it was written in: after a power cut a file may be there and empty, so layers of another boot are fetched again
 *     layers/image-*        the layers of an image laid over each other: one root filesystem, owned by its app's user id
 *     layers/.new-*         being laid out; whatever is left of one when we start is removed
 *
 * Layers that no copy names are kept while they are few: the next push of the app, or of another one, mostly shares its toolchain.
 */
import { createHash, type Hash, randomUUID } from 'node:crypto';
import {
  createWriteStream,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { untar } from '@cupola/archive/untar';
import { IMAGE_LIMITS } from '@cupola/model/limits';
import type { Layer } from '@cupola/model/run-spec';
import { SandboxError } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { LayerSource } from './layer-source.ts';
import { readSmallFile, writeSmallFile } from './small-file.ts';

const facts = z.object({ boot: z.string(), sizeBytes: z.number() });

/** What unused layers may take in all; the least recently used go first (ours: about eight runtimes). */
const UNUSED_MAX_BYTES = 1024 * 1024 * 1024;

export interface Layers {
  /**
   * Where the layer's files for its mount path lie. Laid out now if it is not there.
   * @param ownerUid owner of an app's layer; null: we ourselves.
   * @throws SandboxError when it cannot be had, or is not what its digest says.
   */
  ensure(layer: Layer, ownerUid: number | null): Promise<string>;
  /** Where the root filesystem of an image lies that is made of these layers, from the bottom. Laid out now if it is not there. @throws SandboxError as above. */
  ensureImage(layers: readonly Layer[], ownerUid: number | null): Promise<string>;
  /** What all of them take. */
  sizeBytes(): number;
  /** Removes unused layers beyond the budget. `used` is asked right before each removal. */
  collect(used: () => ReadonlySet<string>): Promise<void>;
}

/** The names under which a droplet's layers lie here. */
export function layerNames(layers: readonly Layer[], ownerUid: number | null): string[] {
  const ofImage = layers.filter(isOfImage);
  return [
    ...layers.filter(layer => !isOfImage(layer)).map(layer => layerName(layer, ownerUid)),
    ...(ofImage.length === 0 ? [] : [imageName(ofImage, ownerUid)]),
  ];
}

export function isOfImage({ kind }: Layer): boolean {
  return kind === 'image';
}

function layerName({ digest, kind }: Layer, ownerUid: number | null): string {
  return kind === 'toolchain' || ownerUid === null ? digest : `${digest}-${ownerUid}`;
}

/** The same layers in another order are another image. */
function imageName(layers: readonly Layer[], ownerUid: number | null): string {
  const digest = createHash('sha256')
    .update(layers.map(layer => layer.digest).join())
    .digest('hex');
  return ownerUid === null ? `image-${digest}` : `image-${digest}-${ownerUid}`;
}

interface Deps {
  folder: string;
  /** The layer's tar. */
  fetch: LayerSource['fetch'];
  log: Logger;
  now(): number;
}

export function openLayers(deps: Deps): Layers {
  const root = join(deps.folder, 'layers');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const boot = bootId();
  /** The tail of what is done, or waits to be done, with each name: one at a time. */
  const busy = new Map<string, Promise<unknown>>();
  const locked = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const before = busy.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    busy.set(name, mine);
    const forget = (): void => {
      if (busy.get(name) === mine) busy.delete(name);
    };
    mine.then(forget, forget);
    return mine;
  };
  const swept = sweep(root, boot);

  /** Laid out by `fill` if it is not there; used now. */
  const here = async (name: string, what: string, fill: Fill): Promise<string> => {
    await swept;
    await locked(name, async () => {
      if (readFacts(join(root, name)) === null) await layOut(deps, root, { name, what, boot, fill });
      const seconds = deps.now() / 1000;
      utimesSync(join(root, name), seconds, seconds);
    });
    return join(root, name, 'content');
  };

  return {
    ensure: async (layer, ownerUid) => {
      const what = `layer ${layer.digest.slice(0, 12)} of the droplet`;
      const content = await here(layerName(layer, ownerUid), what, (place, fetch) =>
        unpackOne(fetch, layer, { ...place, ownerUid }),
      );
      return mountSource(content, layer);
    },
    ensureImage: (layers, ownerUid) =>
      here(imageName(layers, ownerUid), 'the image', (place, fetch) =>
        unpackImage(fetch, layers, { ...place, ownerUid }),
      ),
    sizeBytes: () => unused(root, new Set()).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    collect: async used => {
      await swept;
      let keptBytes = 0;
      for (const { name, sizeBytes } of unused(root, used())) {
        keptBytes += sizeBytes;
        if (keptBytes <= UNUSED_MAX_BYTES) continue;
        await locked(name, async () => {
          if (used().has(name)) return;
          deps.log.info({ layer: name, sizeBytes }, 'unused layer removed');
          await removeLayer(root, name);
        });
      }
    },
  };
}

interface FreshPlace {
  /** Ours alone, and gone afterwards. */
  work: string;
  /** Empty; what is laid out. */
  content: string;
}

type Fetch = (digest: string) => Promise<Readable>;
/** Answers how much it takes. */
type Fill = (place: FreshPlace, fetch: Fetch) => Promise<number>;

interface LayOut {
  name: string;
  /** For people. */
  what: string;
  boot: string;
  fill: Fill;
}

async function layOut({ fetch, log, now }: Deps, root: string, { name, what, boot, fill }: LayOut): Promise<void> {
  const fresh = join(root, `.new-${randomUUID()}`);
  const place = { content: join(fresh, 'content'), work: join(fresh, 'work') };
  mkdirSync(place.content, { recursive: true, mode: 0o755 });
  try {
    const sizeBytes = await twice(place, fill, { fetch, log, what });
    await rm(place.work, { recursive: true, force: true });
    writeSmallFile(join(fresh, 'facts'), JSON.stringify({ boot, sizeBytes, at: now() }));
    renameSync(fresh, join(root, name));
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw new SandboxError(`${what} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

/** What came past the API and was wrong is fetched through it: it checks what it sends, and takes a damaged blob out of use. */
async function twice(
  place: FreshPlace,
  fill: LayOut['fill'],
  { fetch, log, what }: Pick<Deps, 'fetch' | 'log'> & { what: string },
): Promise<number> {
  let isDirect = false;
  const first: Fetch = async digest => {
    const fetched = await fetch(digest, { direct: true });
    isDirect ||= fetched.isDirect;
    return fetched.stream;
  };
  try {
    return await fill(place, first);
  } catch (error) {
    if (!isDirect) throw error;
    log.warn({ err: error }, `${what} is fetched again, through the API`);
    for (const folder of [place.content, place.work]) await rm(folder, { recursive: true, force: true });
    mkdirSync(place.content, { mode: 0o755 });
    return fill(place, async digest => (await fetch(digest, { direct: false })).stream);
  }
}

interface Unpacking extends FreshPlace {
  ownerUid: number | null;
}

async function unpackOne(fetch: Fetch, layer: Layer, { content, ownerUid }: Unpacking): Promise<number> {
  const hash = createHash('sha256');
  const owner = layer.kind === 'app' && ownerUid !== null ? { owner: { uid: ownerUid, gid: ownerUid } } : {};
  await untar(Readable.from(hashed(await fetch(layer.digest), hash)), content, owner);
  if (hash.digest('hex') !== layer.digest) throw new Error('its bytes are not what its digest says');
  return layer.sizeBytes;
}

/** Each layer lies in a file first: nothing of it is unpacked before its digest is what it should be. */
async function unpackImage(
  fetch: Fetch,
  layers: readonly Layer[],
  { content, work, ownerUid }: Unpacking,
): Promise<number> {
  const { unpackImageLayer } = await import('./image-layer.ts');
  mkdirSync(work, { mode: 0o700 });
  let leftBytes: number = IMAGE_LIMITS.unpackedMaxBytes;
  for (const { digest } of layers) {
    const file = join(work, digest);
    const hash = createHash('sha256');
    await pipeline(hashed(await fetch(digest), hash), createWriteStream(file, { mode: 0o600 }));
    if (hash.digest('hex') !== digest) throw new Error(`the bytes of its layer ${digest} are not what that says`);
    leftBytes -= await unpackImageLayer(file, { content, ownerUid, maxBytes: leftBytes });
    await rm(file);
  }
  return IMAGE_LIMITS.unpackedMaxBytes - leftBytes;
}

/** As it passes. */
export async function* hashed(source: AsyncIterable<Buffer>, hash: Hash): AsyncIterable<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

/** No part of the mount path may be a link of the tar's: it would lead out of the layer. */
function mountSource(content: string, { mountPath, digest }: Layer): string {
  let at = content;
  for (const part of mountPath.split('/').filter(Boolean)) {
    at = join(at, part);
    const seen = lstatSync(at, { throwIfNoEntry: false });
    if (part === '..' || seen === undefined || !seen.isDirectory())
      throw new SandboxError(`layer ${digest.slice(0, 12)} of the droplet has nothing at ${mountPath}`);
  }
  return at;
}

function readFacts(folder: string): z.infer<typeof facts> | null {
  const text = readSmallFile(join(folder, 'facts'));
  return text === null ? null : facts.parse(JSON.parse(text));
}

/** Least recently used last, so that the newest are kept. */
function unused(root: string, used: ReadonlySet<string>): Array<{ name: string; sizeBytes: number }> {
  return readdirSync(root)
    .filter(name => !name.startsWith('.') && !used.has(name))
    .map(name => ({
      name,
      sizeBytes: readFacts(join(root, name))?.sizeBytes ?? 0,
      usedAt: statSync(join(root, name)).mtimeMs,
    }))
    .sort((a, b) => b.usedAt - a.usedAt);
}

/** Out of the way first, so that a kill in the middle leaves no layer that looks whole. */
async function removeLayer(root: string, name: string): Promise<void> {
  const aside = join(root, `.old-${randomUUID()}`);
  renameSync(join(root, name), aside);
  await rm(aside, { recursive: true, force: true });
}

/** What a former agent, or a former boot, has left half done. */
async function sweep(root: string, boot: string): Promise<void> {
  for (const name of readdirSync(root)) {
    if (name.startsWith('.')) await rm(join(root, name), { recursive: true, force: true });
    else if (readFacts(join(root, name))?.boot !== boot) await removeLayer(root, name);
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return ''; // Not Linux: there is no such name for a boot, and no power cut is recognized.
  }
}
