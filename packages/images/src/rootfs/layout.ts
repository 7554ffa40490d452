/**
 * An image on disk: an OCI layout, or what `docker save` wrote, as a folder or as one tar. Which layers make it up, from the bottom, is read from its own
 * index; every blob's digest is checked before it is unpacked.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

const descriptor = z.object({
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is no sha256 digest'),
  size: z.number().int().nonnegative(),
  mediaType: z.string().optional(),
  platform: z.object({ os: z.string(), architecture: z.string() }).optional(),
});
export type Descriptor = z.infer<typeof descriptor>;
/** An index of images, or one image. Docker's own types have the same members. */
const manifest = z.object({ config: descriptor, layers: z.array(descriptor) });
export type Manifest = z.infer<typeof manifest>;
export const manifestOrIndex = z.union([z.object({ manifests: z.array(descriptor).min(1) }), manifest]);
export type ManifestOrIndex = z.infer<typeof manifestOrIndex>;

const dockerManifest = z.array(z.object({ Layers: z.array(z.string()) })).min(1);

/** Files of layers, from the bottom; `digest` names the whole image, hex. */
export interface ImageLayers {
  digest: string;
  files: string[];
}

/** As in images: amd64, arm64. */
export const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** @throws Error where there is no image for this kind of machine among them. */
export function chooseImage(manifests: readonly Descriptor[]): Descriptor {
  const fitting = manifests.find(
    ({ platform }) => platform === undefined || (platform.os === 'linux' && platform.architecture === ARCHITECTURE),
  );
  if (fitting !== undefined) return fitting;
  const there = manifests.map(({ platform }) => `${platform?.os}/${platform?.architecture}`).join(', ');
  throw new Error(`it has no image for linux/${ARCHITECTURE}, only for ${there}`);
}

/** Whether the folder holds an image rather than a root filesystem. */
export function isLayout(folder: string): boolean {
  return existsSync(join(folder, 'index.json')) || existsSync(join(folder, 'manifest.json'));
}

/** @throws Error saying what is wrong with it. */
export async function readLayout(folder: string): Promise<ImageLayers> {
  if (existsSync(join(folder, 'index.json'))) return await ociLayers(folder);
  const text = readFileSync(join(folder, 'manifest.json'));
  const [first] = dockerManifest.parse(JSON.parse(text.toString('utf8')));
  return {
    digest: createHash('sha256').update(text).digest('hex'),
    files: (first?.Layers ?? []).map(name => within(folder, name)),
  };
}

async function ociLayers(folder: string): Promise<ImageLayers> {
  const blob = ({ digest }: Descriptor): string => join(folder, 'blobs', ...digest.split(':'));
  let read = manifestOrIndex.parse(JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')));
  let digest = '';
  while ('manifests' in read) {
    const chosen = chooseImage(read.manifests);
    await checkDigest(blob(chosen), chosen.digest);
    digest = chosen.digest.slice('sha256:'.length);
    read = manifestOrIndex.parse(JSON.parse(readFileSync(blob(chosen), 'utf8')));
  }
  for (const layer of read.layers) await checkDigest(blob(layer), layer.digest);
  return { digest, files: read.layers.map(blob) };
}

/** @throws Error when the file's bytes are others. */
async function checkDigest(file: string, digest: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  if (`sha256:${hash.digest('hex')}` !== digest) throw new Error(`${digest} has other bytes than its name says`);
}

function within(folder: string, name: string): string {
  const path = resolve(folder, name);
  if (!path.startsWith(`${resolve(folder)}${sep}`)) throw new Error(`its layer "${name}" lies outside of it`);
  return path;
}
