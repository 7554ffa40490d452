/** `cupola image save`: an app's current droplet as a file for `docker load`. An addition of Cupola's to Cloud Foundry's API. */
import { rm, stat } from 'node:fs/promises';
import { readDroplet } from '@cupola/contract/v3/client-reads';
import { type CliContext, findApp } from '../context.ts';
import { bytes } from '../text.ts';

/** The stack's layer may have to be made first. */
const TIMEOUT_MS = 600_000;

export async function saveImage(
  context: CliContext,
  name: string,
  { file, name: imageName }: { file: string; name?: string },
): Promise<void> {
  const app = await findApp(context, name);
  const client = context.client();
  const droplet = await client.read(readDroplet, { path: `/v3/apps/${app.guid}/droplets/current` });
  context.say(`Saving ${name} as an image to ${file}`);
  try {
    await client.save(
      {
        path: `/v3/droplets/${droplet.guid}/image`,
        ...(imageName === undefined ? {} : { query: { name: imageName } }),
        timeoutMs: TIMEOUT_MS,
      },
      file,
    );
  } catch (error) {
    await rm(file, { force: true }); // Half an image is none.
    throw error;
  }
  const { size } = await stat(file);
  context.result({ name, file, sizeBytes: size }, `${bytes(size)} written. Run it: docker load -i ${file}`);
}
