/** The API as one user: git's part has no login of its own, so whatever it asks is asked with the token that came with the push. */
import { type CloudClient, createCloudClient } from '@cupola/client/cloud-client';
import { CfApiError } from '@cupola/client/errors';
import { discover, type Endpoints } from '@cupola/client/login';
import type { Transport } from '@cupola/client/transport';
import { readApp } from '@cupola/contract/v3/client-reads';
import { type GitPreview, type GitTarget, gitPreview, gitPreviews, gitTarget } from '@cupola/contract/v3/git';
import { WordedError } from '@cupola/push/failures';

export interface RepositoryName {
  readonly organization: string;
  readonly space: string;
  readonly app: string;
}

export interface Platform {
  as(token: string): Promise<CloudClient>;
}

export function createPlatform(transport: Transport, url: string): Platform {
  let endpoints: Promise<Endpoints> | null = null;
  return {
    as: async token => {
      endpoints ??= discover(transport, url).catch((error: unknown) => {
        endpoints = null;
        throw error;
      });
      return createCloudClient({
        transport,
        endpoints: await endpoints,
        tokens: {
          load: () => ({ access: token, refresh: null }),
          // A token of a push is not renewed: it outlives every push.
          update: async () => ({ access: token, refresh: null }),
        },
        now: Date.now,
      });
    },
  };
}

/** @throws CfApiError: 401, 403 or 404, in the API's words. */
export function findTarget(client: CloudClient, { organization, space, app }: RepositoryName): Promise<GitTarget> {
  const path = [organization, space, app].map(encodeURIComponent).join('/');
  return client.read(gitTarget, { path: `/v3/git_targets/${path}` });
}

/** The app of a push, made if it is not there, as `cf push` makes it. */
export async function makeApp(
  client: CloudClient,
  name: RepositoryName,
): Promise<GitTarget & { app: { guid: string } }> {
  const target = await findTarget(client, name);
  if (target.app !== null) return { ...target, app: target.app };
  try {
    const app = await client.read(readApp, {
      method: 'POST',
      path: '/v3/apps',
      json: { name: target.name, relationships: { space: { data: { guid: target.space.guid } } } },
    });
    return { ...target, app };
  } catch (error) {
    // Another push of the same name may have been faster.
    const again = error instanceof CfApiError && error.status === UNPROCESSABLE ? await findTarget(client, name) : null;
    if (again === null || again.app === null) throw error;
    return { ...again, app: again.app };
  }
}
const UNPROCESSABLE = 422;

/** The preview of a branch, made if it is not there. @throws CfApiError with why there may be none. */
export async function keepPreview(
  client: CloudClient,
  { organization, space, app }: GitTarget & { app: { guid: string } },
  branch: string,
): Promise<GitTarget & { app: { guid: string } }> {
  const { name } = await client.read(gitPreview, {
    method: 'PUT',
    path: `/v3/apps/${app.guid}/git_previews`,
    json: { branch },
  });
  const target = await findTarget(client, { organization: organization.guid, space: space.guid, app: name });
  if (target.app === null) throw new WordedError(`${name} was deleted meanwhile.`, { next: 'Push again.' });
  return { ...target, app: target.app };
}

/** Returns its name; null when there was none. */
export async function endPreview(client: CloudClient, appGuid: string, branch: string): Promise<GitPreview | null> {
  const path = `/v3/apps/${appGuid}/git_previews`;
  const { resources } = await client.read(gitPreviews, { path });
  const known = resources.find(({ source }) => source === branch);
  if (known === undefined) return null;
  await client.act({ method: 'DELETE', path: `${path}/${known.guid}` });
  return known;
}
