/**
 * Pushes by git. Who asks, and whether they may push there, is found out here, before a byte of a push is read; then git's own part takes over, with a token
 * of that user (docs/decisions/0033).
 */
import { gitSettings, gitTarget, updateGitSettings } from '@cupola/contract/v3/git';
import {
  ForbiddenError,
  NotFoundError,
  UnauthenticatedError,
  UnavailableError,
  UnprocessableError,
} from '@cupola/model/errors';
import { z } from 'zod';
import { writableApp } from '../apps/find-app.ts';
import { logApi } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { UaaError } from '../uaa/uaa-error.ts';
import { passOn } from './pass-on.ts';
import { gitPreviewEndpoints } from './previews/endpoints.ts';
import { changePreviews } from './previews/previews.ts';
import { sshKeyEndpoints } from './ssh-keys.ts';
import { findTarget, readSettings, type TargetName } from './target.ts';
import { gitWebhookEndpoints } from './webhooks/endpoints.ts';
import { type Pusher, whoPushes } from './who-pushes.ts';

const SERVICES = ['git-receive-pack', 'git-upload-pack'] as const;

/** git prints the lines of a plain text behind `remote:`. */
const said = (status: number, text: string, headers: Record<string, string> = {}): Reply => ({
  status,
  headers: { 'Cache-Control': 'no-cache', ...headers },
  body: `${text}\n`,
  contentType: 'text/plain',
});

/** Names as users write them: `APP.git`, or `APP`. */
function nameOf({ organization = '', space = '', repository = '' }: Record<string, string>): TargetName {
  return { organization, space, app: repository.replace(/\.git$/, '') };
}

/** Null: no login, or a wrong one; git asks its user, or its helper, then. */
async function pusherOf(deps: ApiDeps, { raw, clientAddress }: ApiRequest): Promise<Pusher | { wrong: string }> {
  const asked = { authorization: raw.request.headers.authorization, address: clientAddress };
  try {
    return (
      (await whoPushes(deps, asked)) ?? {
        wrong: 'Log in with your user name and password, or run: cupola git:remote APP',
      }
    );
  } catch (error) {
    if (error instanceof UaaError || error instanceof UnauthenticatedError)
      return {
        wrong:
          error instanceof UaaError && error.message.includes('locked')
            ? error.message
            : 'The user name, the password or the token is wrong. Log in again (cupola login), and push.',
      };
    throw error;
  }
}

async function serve(deps: ApiDeps, request: ApiRequest, service: string): Promise<Reply> {
  const pusher = await pusherOf(deps, request);
  if ('wrong' in pusher)
    return said(401, pusher.wrong, { 'WWW-Authenticate': 'Basic realm="Cupola", charset="UTF-8"' });
  const name = nameOf(request.params);
  try {
    await findTarget(deps.store.read, pusher.actor, name);
    if (deps.git === undefined)
      throw new UnavailableError('This platform receives no pushes by git. Push with: cupola push');
    const path = [name.organization, name.space, `${name.app}.git`].map(encodeURIComponent).join('/');
    const isAdvert = request.raw.request.method === 'GET';
    const rest = isAdvert ? `info/refs?service=${service}` : service;
    return await passOn(deps.git, request, { path: `/${path}/${rest}`, authorization: pusher.authorization });
  } catch (error) {
    return refusal(error, name);
  }
}

function refusal(error: unknown, { organization, space }: TargetName): Reply {
  if (error instanceof NotFoundError)
    return said(404, `There is no space ${organization}/${space}, or you have no role in it. See yours: cupola spaces`);
  if (error instanceof ForbiddenError)
    return said(
      403,
      `You may not push to ${organization}/${space}: ask one of its managers for the role SpaceDeveloper.`,
    );
  if (error instanceof UnavailableError) return said(503, error.message, { 'Retry-After': '5' });
  throw error;
}

const BASE = '/git/:organization/:space/:repository';

export const gitEndpoints: Endpoint[] = [
  ...sshKeyEndpoints,
  ...gitWebhookEndpoints,
  ...gitPreviewEndpoints,
  endpoint({
    method: 'GET',
    path: `${BASE}/info/refs`,
    summary: "git's smart HTTP: what a repository has (an addition to Cloud Foundry, as all of /git/)",
    auth: 'anyone',
    body: 'stream',
    query: z.looseObject({ service: z.string().exactOptional() }),
    handle: async (deps, request) => {
      const service = SERVICES.find(one => one === request.query.service);
      if (service === undefined) return said(403, 'Only the smart protocol is spoken here: git 1.7 or newer.');
      return serve(deps, { ...request, query: {} }, service);
    },
  }),
  ...SERVICES.map(service =>
    endpoint({
      method: 'POST',
      path: `${BASE}/${service}`,
      summary: `git's smart HTTP: ${service === 'git-receive-pack' ? 'a push, which deploys' : 'what was pushed, for clones'}`,
      auth: 'anyone',
      body: 'stream',
      handle: (deps, request) => serve(deps, request as ApiRequest, service),
    }),
  ),
  endpoint({
    method: 'POST',
    path: `${BASE}/info/lfs/objects/batch`,
    summary: 'Says to Git LFS that its objects are not kept here',
    auth: 'anyone',
    body: 'stream',
    handle: async () => ({
      status: 422,
      contentType: 'application/vnd.git-lfs+json',
      body: {
        message:
          'Cupola keeps no Git LFS objects. Put the files into git (git lfs migrate export --include="*" --everything), or push the folder: cupola push',
      },
    }),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/git_targets/:organization/:space/:name',
    summary: 'Where a push by git to ORG/SPACE/APP leads, for who may push there',
    responseSchema: gitTarget,
    handle: async ({ store }, { actor, params: { organization = '', space = '', name = '' } }) => ({
      status: 200,
      body: await findTarget(store.read, actor, { organization, space, app: name }),
    }),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/git',
    summary: 'What pushes by git do to an app',
    responseSchema: gitSettings,
    handle: async ({ store }, { actor, params: { guid = '' } }) => {
      await writableApp(store.read, actor, guid);
      return { status: 200, body: await readSettings(store.read, guid) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/apps/:guid/git',
    summary: 'Change what pushes by git do to an app',
    bodySchema: updateGitSettings,
    responseSchema: gitSettings,
    handle: async (deps, { actor, params: { guid = '' }, body }) => {
      const { settings, ended } = await deps.store.mutate(async mutation => {
        const { db } = mutation;
        const app = await writableApp(db, actor, guid);
        const preview = await db
          .selectFrom('git_previews')
          .select('app_guid')
          .where('app_guid', '=', guid)
          .executeTakeFirst();
        if (preview !== undefined)
          throw new UnprocessableError(
            `${app.name} is a preview, and does with pushes what its app does: change that.`,
          );
        const before = await readSettings(db, guid);
        const settings = { ...before, ...body };
        const { preview_variables, ...rest } = settings;
        const row = { ...rest, preview_variables_json: JSON.stringify(preview_variables) };
        await db
          .insertInto('git_settings')
          .values({ app_guid: guid, ...row })
          .onConflict(conflict => conflict.column('app_guid').doUpdateSet(row))
          .execute();
        mutation.changed('app', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
        const change = { actor, ofAppGuid: guid, before, after: settings };
        return { settings, ended: await changePreviews(mutation, deps, change) };
      });
      for (const name of ended) await logApi(deps, guid, `git: ${name} has ended: previews of forks are switched off`);
      return { status: 200, body: settings };
    },
  }),
];
