/** A droplet as one archive, as `cf download-droplet` gets it: its layers joined (docs/decisions/0002), the app's files where Cloud Foundry has them. */
import type { Readable } from 'node:stream';
import { constants, createGzip } from 'node:zlib';
import { joinTars } from '@cupola/archive/join-tars';
import { UnprocessableError } from '@cupola/model/errors';
import type { Layer } from '@cupola/model/run-spec';
import type { ApiDeps } from '../deps.ts';
import type { DropletRow } from './list-droplets.ts';

/** What a droplet of Cloud Foundry takes for its root: `./app`, `./deps`, `./profile.d` lie below. */
const ROOT = 'home/vcap';

/**
 * The droplet as a gzipped tar, streamed; it ends with the error of a layer that is damaged.
 * @throws UnprocessableError for a droplet that is not staged, or of which a part is gone.
 */
export async function openDroplet(
  { blobs }: ApiDeps,
  { state, layers_json, docker_image }: DropletRow,
): Promise<Readable> {
  if (docker_image !== null) throw new UnprocessableError("Cannot download droplets with 'docker' lifecycle.");
  if (state !== 'STAGED') throw new UnprocessableError('Only staged droplets can be downloaded.');
  const layers = JSON.parse(layers_json) as Layer[];
  const found = await Promise.all(layers.map(({ digest }) => blobs.stat(digest)));
  if (found.includes(null)) throw new UnprocessableError('A part of this droplet is gone. Restage the app.');
  const tar = joinTars(
    layers.map(
      ({ digest }) =>
        () =>
          blobs.openVerified(digest),
    ),
    nameInDroplet,
  );
  // A runtime's binaries are most of it: more effort takes seconds and saves little.
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  tar.on('error', error => gzip.destroy(error));
  gzip.on('close', () => tar.destroy());
  return tar.pipe(gzip);
}

/** Toolchains keep their own place beside the app. */
function nameInDroplet(name: string): string | null {
  if (name === '' || ROOT === name || ROOT.startsWith(`${name}/`)) return null;
  return `./${name.startsWith(`${ROOT}/`) ? name.slice(ROOT.length + 1) : name}`;
}
