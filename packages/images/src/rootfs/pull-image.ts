/** Fetches an image's layers from a registry for whoever runs the platform: with what `docker login` has kept, from wherever he says. */
import { join } from 'node:path';
import { dockerLogin } from '../registry/docker-login.ts';
import { RegistryError } from '../registry/errors.ts';
import { OPERATORS } from '../registry/policy.ts';
import type { Reference } from '../registry/reference.ts';
import { imageManifest, openRepository } from '../registry/repository.ts';
import { chooseImage, type ImageLayers } from './layout.ts';

/** Layers lie in `folder` afterwards. `say`: a line for each step. @throws Error that names the registry and what it said. */
export async function pullImage(
  wanted: Reference,
  { folder, say }: { folder: string; say(text: string): void },
): Promise<ImageLayers> {
  const { signal } = new AbortController();
  const repository = openRepository(wanted, { policy: OPERATORS, login: dockerLogin(wanted.host), signal });
  try {
    const { body, digest } = await imageManifest(repository, wanted.reference, chooseImage);
    const files: string[] = [];
    for (const layer of body.layers) {
      const file = join(folder, `${files.length}-${layer.digest.slice('sha256:'.length)}`);
      say(`fetching layer ${files.length + 1} of ${body.layers.length} (${Math.ceil(layer.size / 1_048_576)} MB)`);
      await repository.save(layer, file);
      files.push(file);
    }
    return { digest: digest.slice('sha256:'.length), files };
  } catch (error) {
    if (error instanceof RegistryError && error.trouble === 'login')
      throw new Error(`${error.message}: log in with \`docker login ${wanted.host}\`, then try again`, {
        cause: error,
      });
    throw error;
  }
}
