/** A droplet as an OCI image that `docker load` takes: streamed, never kept. The stack's layer below it is made once for each state of this machine. */
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { type ImageLayer, type ImageRequest, saveImage } from '@cupola/images/oci-image';
import { readStacks } from '@cupola/images/rootfs/installed-stacks';
import { openStackLayer } from '@cupola/images/stack-layer';
import { InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import { HOST_STACK } from '@cupola/model/host-stack';
import type { Layer } from '@cupola/model/run-spec';
import type { ApiDeps } from '../deps.ts';
import type { DropletRow } from './list-droplets.ts';

/** What Docker takes for a name and a tag. */
const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-][a-z0-9]+)*)*:[\w][\w.-]{0,127}$/;

/**
 * No variable of the app's is in the image: whoever gets the file would have its secrets. They are given at `docker run`.
 * @throws UnprocessableError as `imageOf`.
 */
export async function openImage(
  deps: ApiDeps,
  { droplet, name, command }: { droplet: DropletRow; name: string; command: string | null },
): Promise<Readable> {
  if (!NAME.test(name))
    throw new InvalidRequestError(
      `"${name}" is no name of an image: use lower-case letters and a tag, as in hello:latest.`,
    );
  const request = await imageOf(deps, { droplet, name, command });
  const out = new PassThrough();
  saveImage(request, out).catch((error: unknown) => out.destroy(error as Error));
  return out;
}

/**
 * What the image is made of. No layer of the droplet's is read.
 * @throws UnprocessableError for a droplet that is not staged, is somebody else's image, or where the machine cannot tell its stack's parts.
 */
export async function imageOf(
  deps: ApiDeps,
  { droplet, name, command }: { droplet: DropletRow; name: string; command: string | null },
): Promise<ImageRequest> {
  if (droplet.docker_image !== null)
    throw new UnprocessableError(`This app runs the image ${droplet.docker_image}: pull it from its own registry.`);
  if (droplet.state !== 'STAGED')
    throw new UnprocessableError('Only a droplet that is STAGED can be saved as an image.');
  const commands = JSON.parse(droplet.process_types_json) as Record<string, string>;
  const starts = command ?? commands.web ?? Object.values(commands)[0];
  if (starts === undefined)
    throw new UnprocessableError(
      'The droplet names no command. Set one for the app (cf push -c COMMAND), then save again.',
    );
  const stack = await openStackLayer({
    folder: deps.config.stackFolder,
    digest: droplet.stack_digest ?? 'unknown',
    added: droplet.stack === HOST_STACK ? null : addedRoot(deps, droplet),
  }).catch((error: unknown) => {
    throw new UnprocessableError((error as Error).message);
  });
  const own = (JSON.parse(droplet.layers_json) as Layer[]).map(layer => blobLayer(deps, layer));
  return {
    name,
    layers: [stack, ...own],
    command: starts,
    environment: {},
    architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
  };
}

/** The very filesystem that the droplet was built on. @throws UnprocessableError when it was removed, or became another. */
function addedRoot({ config }: ApiDeps, { stack, stack_digest: digest }: DropletRow): string {
  const found = readStacks(config.addedStacks).find(added => added.name === stack && added.digest === digest);
  if (found === undefined)
    throw new UnprocessableError(
      `The stack '${stack}' that the droplet was built on is not here any more. Stage the app again, then save it.`,
    );
  return join(config.addedStacks, found.folder);
}

function blobLayer({ blobs }: ApiDeps, { digest, sizeBytes }: Layer): ImageLayer {
  return {
    digest,
    sizeBytes,
    open: () => {
      const out = new PassThrough();
      blobs.openVerified(digest).then(
        source => {
          source.once('error', error => out.destroy(error));
          source.pipe(out);
        },
        (error: unknown) => out.destroy(error as Error),
      );
      return out;
    },
  };
}
