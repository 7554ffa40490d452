/**
 * Staging of an image: its tag becomes a digest, what it says of itself is read, and its layers are fetched into the platform's own store, so that an instance
 * starts, heals and scales whether its registry is there or not. Nothing of it is unpacked or run here. The login is used here and nowhere else: cells get layers
 * from the platform.
 */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildOrder, StagedResult } from '@cupola/contract/internal';
import { RegistryError, type RegistryTrouble } from '@cupola/images/registry/errors';
import { type ImageFacts, readImageConfig } from '@cupola/images/registry/image-config';
import type { RegistryPolicy } from '@cupola/images/registry/policy';
import { parseImage, pinned } from '@cupola/images/registry/reference';
import { imageManifest, openRepository, type Repository } from '@cupola/images/registry/repository';
import { chooseImage, type Descriptor } from '@cupola/images/rootfs/layout';
import type { CauseCode } from '@cupola/model/causes';
import { HOST_STACK } from '@cupola/model/host-stack';
import { IMAGE_LIMITS } from '@cupola/model/limits';
import type { Layer } from '@cupola/model/run-spec';
import type { InternalClient } from './internal-client.ts';

/** An image that cannot be run: told to whoever pushed it. */
export class ImageRefusedError extends Error {
  override readonly name = 'ImageRefusedError';
  readonly code: CauseCode;
  constructor(code: CauseCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A registry that does not answer is asked again after these pauses: what it told once, a tag's digest, need not be asked again. */
const PAUSES_MS = [500, 2_000];

interface Deps {
  client: InternalClient;
  /** Which registries may be asked. */
  registries: RegistryPolicy;
}
interface Staging {
  work: string;
  say(text: string): void;
  signal: AbortSignal;
}

/** @throws ImageRefusedError for what whoever pushed it can mend; whatever else is ours. */
export async function stageImage(
  { client, registries }: Deps,
  order: BuildOrder & { image: NonNullable<BuildOrder['image']> },
  { work, say, signal }: Staging,
): Promise<StagedResult> {
  const { name, login, known } = order.image;
  const reference = parseImage(name);
  if (reference === null)
    throw new ImageRefusedError('image-unfit', `"${name}" is no name of an image: write HOST/NAME:TAG, in lower case.`);
  const repository = openRepository(reference, { policy: registries, login, signal });
  try {
    say(`Resolving ${name}...`);
    const { body, digest } = await patiently(signal, () =>
      imageManifest(repository, reference.reference, manifests => chosen(manifests)),
    );
    const facts = readImageConfig(await patiently(signal, () => repository.read(body.config)));
    say(`${name} is ${digest}`);
    checkLayers(body.layers);
    const layers = new Map<string, Layer>();
    for (const layer of body.layers) {
      const hex = layer.digest.slice('sha256:'.length);
      if (!layers.has(hex) && !(known.includes(hex) && (await client.hasLayer(hex)))) {
        say(`Fetching layer ${layers.size + 1} of ${body.layers.length} (${inMb(layer.size)})`);
        await keepLayer(client, { order, repository, layer, work, signal });
      }
      layers.set(hex, { digest: hex, sizeBytes: layer.size, kind: 'image', mountPath: '/' });
    }
    say('Staging Complete');
    return staged(pinned(name, digest), {
      facts,
      layers: body.layers.map(({ digest: of }) => layers.get(of.slice(7)) as Layer),
    });
  } catch (error) {
    if (error instanceof RegistryError) throw refusal(error, name, { hasLogin: login !== null });
    throw error;
  }
}

/** A registry that is away for a moment is no reason to fail; what it says is. */
async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (const pauseMs of PAUSES_MS)
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RegistryError) || error.trouble !== 'unreachable' || signal.aborted) throw error;
      await new Promise(resolve => setTimeout(resolve, pauseMs));
    }
  return await work();
}

function chosen(manifests: readonly Descriptor[]): Descriptor {
  try {
    return chooseImage(manifests);
  } catch (error) {
    throw new RegistryError('unfit', (error as Error).message, { cause: error });
  }
}

/** OCI's and Docker's, packed or not; those that may not be passed on among them. */
const LAYER_TYPE =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)$/;

function checkLayers(layers: readonly Descriptor[]): void {
  const strange = layers.find(({ mediaType }) => mediaType !== undefined && !LAYER_TYPE.test(mediaType));
  if (strange !== undefined)
    throw new RegistryError(
      'unfit',
      `it has a part of the kind ${strange.mediaType}, which is no layer of a root filesystem`,
    );
  const bytes = layers.reduce((sum, { size }) => sum + size, 0);
  if (layers.length > IMAGE_LIMITS.layersMax)
    throw new RegistryError('unfit', `it has ${layers.length} layers, and ${IMAGE_LIMITS.layersMax} at most are taken`);
  if (bytes > IMAGE_LIMITS.packedMaxBytes)
    throw new RegistryError(
      'unfit',
      `it has ${inMb(bytes)}, and ${inMb(IMAGE_LIMITS.packedMaxBytes)} at most are taken`,
    );
}

interface OneLayer {
  order: BuildOrder;
  repository: Repository;
  layer: Descriptor;
  work: string;
  signal: AbortSignal;
}

/** By way of a file: the store takes a layer whole, and may ask for it again. */
async function keepLayer(client: InternalClient, { order, repository, layer, work, signal }: OneLayer): Promise<void> {
  const digest = layer.digest.slice('sha256:'.length);
  const file = join(work, digest);
  await patiently(signal, () => repository.save(layer, file));
  await client.putLayer({ digest, sizeBytes: layer.size, open: () => createReadStream(file) }, order, signal);
  await rm(file);
}

function staged(name: string, { facts, layers }: { facts: ImageFacts; layers: Layer[] }): StagedResult {
  const { config } = facts;
  const command = [...config.entrypoint, ...config.command].join(' ');
  return {
    layers,
    buildpacks: [],
    // As Diego's builder says it (dockerapplifecycle: helpers.go), for people; what runs are the words themselves.
    processTypes: { web: command },
    sidecars: [],
    executionMetadata: JSON.stringify({
      cmd: config.command,
      entrypoint: config.entrypoint,
      workdir: config.folder,
      user: config.user,
      ports: config.ports.map(port => ({ Port: port, Protocol: 'tcp' })),
    }),
    stack: HOST_STACK,
    stackDigest: '',
    abiKey: '',
    imageDigest: name.slice(name.lastIndexOf('sha256:') + 'sha256:'.length),
    image: { name, config },
  };
}

const CODES: Readonly<Record<RegistryTrouble, CauseCode>> = {
  unreachable: 'image-registry-unreachable',
  refused: 'image-registry-refused',
  login: 'image-login',
  'not-found': 'image-not-found',
  unfit: 'image-unfit',
};

/** With what comes next, in one sentence. */
function refusal(error: RegistryError, name: string, { hasLogin }: { hasLogin: boolean }): ImageRefusedError {
  const next: Record<RegistryTrouble, string> = {
    unreachable: 'Push again when it answers.',
    refused: 'Or push an image of a public registry.',
    login: hasLogin
      ? 'Push again with the right CF_DOCKER_PASSWORD.'
      : 'Push with --docker-username NAME and its password in CF_DOCKER_PASSWORD, or check the name.',
    'not-found': 'Check its name and tag.',
    unfit: 'Push another image.',
  };
  return new ImageRefusedError(
    CODES[error.trouble],
    `The image ${name} cannot be used: ${error.message}. ${next[error.trouble]}`,
    { cause: error },
  );
}

const inMb = (bytes: number): string => `${Math.ceil(bytes / 1_048_576)} MB`;
