/**
 * `cupola image save`: an app's current droplet as a file for `docker load`; `cupola image push`: the same, into a registry. The platform has no part in the
 * second: image and login go from this machine, which may reach registries that the platform does not. An addition of Cupola's to Cloud Foundry's API.
 */
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { untar } from '@cupola/archive/untar';
import { readDroplet } from '@cupola/contract/v3/client-reads';
import { dockerLogin } from '@cupola/images/registry/docker-login';
import { RegistryError } from '@cupola/images/registry/errors';
import { OPERATORS } from '@cupola/images/registry/policy';
import { pushLayout } from '@cupola/images/registry/push-layout';
import { parseReference, type Reference } from '@cupola/images/registry/reference';
import { type Login, openRepository } from '@cupola/images/registry/repository';
import { usageError, WordedError } from '@cupola/push/failures';
import { bytes } from '@cupola/push/text';
import { type CliContext, findApp } from '../context.ts';

/** The stack's layer may have to be made first. */
const TIMEOUT_MS = 600_000;

export async function saveImage(
  context: CliContext,
  name: string,
  { file, name: imageName }: { file: string; name?: string },
): Promise<void> {
  context.say(`Saving ${name} as an image to ${file}`);
  await download(context, name, { file, ...(imageName === undefined ? {} : { imageName }) });
  const { size } = await stat(file);
  context.result({ name, file, sizeBytes: size }, `${bytes(size)} written. Run it: docker load -i ${file}`);
}

async function download(
  context: CliContext,
  name: string,
  { file, imageName }: { file: string; imageName?: string },
): Promise<void> {
  const app = await findApp(context, name);
  const client = context.client();
  const droplet = await client.read(readDroplet, { path: `/v3/apps/${app.guid}/droplets/current` });
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
}

export async function pushImage(
  context: CliContext,
  name: string,
  { target, dockerUsername }: { target: string; dockerUsername?: string },
): Promise<void> {
  const reference = parseReference(target);
  if (reference === null || reference.reference.startsWith('sha256:'))
    throw usageError(
      `${target} is no place in a registry.`,
      'Write HOST/NAME:TAG, with the host of the registry and the name in lower case.',
    );
  const login = loginFor(context, reference, dockerUsername);
  const work = mkdtempSync(join(tmpdir(), 'cupola-image-'));
  const remove = (): void => rmSync(work, { recursive: true, force: true });
  process.once('exit', remove); // Ctrl-C in the middle leaves nothing behind.
  try {
    const [file, folder] = [join(work, 'image.tar'), join(work, 'layout')];
    context.say(`Fetching the image of ${name}`);
    await download(context, name, { file });
    await mkdir(folder);
    await untar(createReadStream(file), folder);
    await rm(file);
    const { signal } = new AbortController();
    const repository = openRepository(reference, { policy: OPERATORS, login, signal, actions: 'pull,push' });
    const tag = reference.reference;
    const pushed = await pushLayout(repository, { folder, tag, say: text => context.say(text) });
    context.result(
      { name, image: target, ...pushed },
      `${target} is ${pushed.digest}, ${bytes(pushed.sentBytes)} sent. Run it: docker run -e PORT=8080 -p 8080:8080 ${target}`,
    );
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new WordedError(`${target} was not pushed: ${error.message}.`, {
      next:
        error.trouble === 'login'
          ? `docker login ${reference.host}, or --docker-username NAME with the password in CF_DOCKER_PASSWORD`
          : 'Check the address of the registry, and push again.',
    });
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** What is said counts more than what `docker login` has kept. */
function loginFor({ environment }: CliContext, { host }: Reference, username: string | undefined): Login | null {
  if (username === undefined) return dockerLogin(host);
  const password = environment.CF_DOCKER_PASSWORD ?? '';
  if (password !== '') return { username, password };
  throw usageError(
    `The password of ${username} is not there.`,
    'Put it into the variable CF_DOCKER_PASSWORD, and push again.',
  );
}
