/** A package that is an image: nothing is sent but its name, and the login of its registry where it wants one. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { readPackage } from '@cupola/contract/v3/client-reads';
import { usageError } from './failures.ts';
import type { PushedImage } from './manifest/manifest.ts';
import type { Uploaded } from './upload-app.ts';

/** As cf: a password is never on a command line. @throws usage error where a name has no password. */
export function registryPassword(
  image: PushedImage,
  environment: Readonly<Record<string, string | undefined>>,
): string | null {
  const password = environment.CF_DOCKER_PASSWORD ?? '';
  if (image.username === null || password !== '') return image.username === null ? null : password;
  throw usageError(
    `The password of ${image.username} is not there.`,
    'Put it into the variable CF_DOCKER_PASSWORD, and push again.',
  );
}

export async function useImage(
  client: CloudClient,
  { name, username }: PushedImage,
  { appGuid, password }: { appGuid: string; password: string | null },
): Promise<Uploaded> {
  const made = await client.read(readPackage, {
    method: 'POST',
    path: '/v3/packages',
    isRepeatable: true,
    json: {
      type: 'docker',
      data: { image: name, ...(username === null ? {} : { username, password }) },
      relationships: { app: { data: { guid: appGuid } } },
    },
  });
  return { package: made, files: 0, matchedFiles: 0, sentBytes: 0 };
}
