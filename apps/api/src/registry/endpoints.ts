/**
 * `/v2/`: apps as images that `docker pull` and its like take, by OCI's distribution specification; reading only. A repository is ORGANIZATION/SPACE/APP, its
 * tags are `latest` and the guids of its droplets. At `registry.DOMAIN`, and at every other host of the API.
 */
import { NotFoundError, UnauthenticatedError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import type { ScopedApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { UaaError } from '../uaa/uaa-error.ts';
import { findBlob, findImage, findRepository, mayPull, type OpenBlob, tagsOf } from './app-images.ts';
import { makeToken, readToken, TOKEN_SECONDS, whoLogsIn } from './token.ts';

const TOKEN_PATH = '/v2/token';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const VERSION = { 'Docker-Distribution-Api-Version': 'registry/2.0' };

/** OCI's form of a failure. */
function failure(status: number, code: string, message: string, headers: Record<string, string> = {}): Reply {
  return { status, headers: { ...VERSION, ...headers }, body: { errors: [{ code, message, detail: null }] } };
}

/** Tells clients where they get a token, for what they have asked. */
function challenge({ config }: ApiDeps, { scope, why }: { scope: string | null; why: string }): Reply {
  const fields = [`realm="${config.publicUrl}${TOKEN_PATH}"`, 'service="cupola"'];
  if (scope !== null) fields.push(`scope="repository:${scope}:pull"`);
  return failure(401, 'UNAUTHORIZED', why, { 'WWW-Authenticate': `Bearer ${fields.join(',')}` });
}
const LOG_IN = 'log in first: docker login';
/** The same for an app that is not there and for one that is hidden. */
const HIDDEN = 'there is no such app (ORGANIZATION/SPACE/APP), or you may not download its droplets';

const authorizationOf = ({ raw }: ApiRequest): string | undefined => raw.request.headers.authorization;

/** Whoever asks for a token of what he may not pull gets one that opens nothing, as the token specification has it. */
async function giveToken(deps: ApiDeps, request: ApiRequest<{ scope?: string }>): Promise<Reply> {
  const asked = { authorization: authorizationOf(request), address: request.clientAddress };
  const actor = await whoLogsIn(deps, asked).catch((error: unknown) => {
    if (error instanceof UaaError || error instanceof UnauthenticatedError) return null;
    throw error;
  });
  if (actor === null)
    return failure(
      401,
      'UNAUTHORIZED',
      'the name or the password is wrong; with a token of the API the name is "bearer"',
      {
        'WWW-Authenticate': 'Basic realm="cupola"',
      },
    );
  const [organization, space, app] = (
    /(?:^|[\s,])repository:([^:\s,]+):/.exec(request.query.scope ?? '')?.[1] ?? ''
  ).split('/');
  const found =
    organization === undefined || space === undefined || app === undefined
      ? null
      : await findRepository(deps, { organization, space, app });
  const { token, issuedAt } = makeToken(deps, found !== null && mayPull(actor, found) ? found.guid : null);
  return {
    status: 200,
    headers: { 'Cache-Control': 'no-store' },
    body: { token, access_token: token, expires_in: TOKEN_SECONDS, issued_at: issuedAt.toISOString() },
  };
}

/** Finds the app of the path for whoever has a token that opens it; what cannot be had is answered in OCI's form. */
function reading(
  unknown: 'NAME_UNKNOWN' | 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN',
  read: (deps: ApiDeps, request: ApiRequest, app: ScopedApp) => Promise<Reply>,
) {
  return async (deps: ApiDeps, request: ApiRequest): Promise<Reply> => {
    const { organization = '', space = '', app = '' } = request.params;
    const token = readToken(deps, authorizationOf(request));
    const found = await findRepository(deps, { organization, space, app });
    if (token === null || found === null || token.appGuid !== found.guid)
      return challenge(deps, { scope: `${organization}/${space}/${app}`, why: token === null ? LOG_IN : HIDDEN });
    try {
      return await read(deps, request, found);
    } catch (error) {
      if (error instanceof NotFoundError) return failure(404, unknown, 'the app has no such image, or no longer');
      if (error instanceof UnprocessableError) return failure(404, unknown, error.message);
      throw error;
    }
  };
}

const isHead = ({ raw }: ApiRequest): boolean => raw.request.method === 'HEAD';

async function sendManifest(deps: ApiDeps, request: ApiRequest, app: ScopedApp): Promise<Reply> {
  const { described } = await findImage(deps, app, request.params.reference ?? '');
  const { bytes, digest } = described.manifest;
  const headers = {
    ...VERSION,
    'Content-Type': MANIFEST_TYPE,
    'Content-Length': String(bytes.length),
    'Docker-Content-Digest': `sha256:${digest}`,
    ETag: `"sha256:${digest}"`,
  };
  return { status: 200, headers, ...(isHead(request) ? {} : { body: bytes, contentType: MANIFEST_TYPE }) };
}

async function sendBlob(deps: ApiDeps, request: ApiRequest, app: ScopedApp): Promise<Reply> {
  const digest = request.params.digest ?? '';
  const blob = await findBlob(deps, app, digest);
  const range = rangeOf(request.raw.request.headers.range, blob);
  const common = {
    ...VERSION,
    'Docker-Content-Digest': digest,
    'Accept-Ranges': 'bytes',
    'Content-Type': 'application/octet-stream',
  };
  if (range === 'none') return { status: 416, headers: { ...common, 'Content-Range': `bytes */${blob.sizeBytes}` } };
  const part =
    range === null
      ? { status: 200, headers: { ...common, 'Content-Length': String(blob.sizeBytes) } }
      : {
          status: 206,
          headers: {
            ...common,
            'Content-Length': String(range.end - range.start),
            'Content-Range': `bytes ${range.start}-${range.end - 1}/${blob.sizeBytes}`,
          },
        };
  return isHead(request) ? part : { ...part, body: await blob.open(range ?? undefined) };
}

/** One range, as clients ask that go on with a broken pull. Null: all of it; `none`: there is nothing. */
function rangeOf(header: string | undefined, { sizeBytes }: OpenBlob): { start: number; end: number } | null | 'none' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return null;
  if (first === '') return last === '0' ? 'none' : { start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes };
  const start = Number(first);
  const end = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  return start < end ? { start, end } : 'none';
}

export const registryEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v2',
    summary: 'Whether a token of the registry is right (an addition to Cloud Foundry, as all of /v2/ but /v2/info)',
    auth: 'anyone',
    handle: async (deps, request) =>
      readToken(deps, authorizationOf(request)) === null
        ? challenge(deps, { scope: null, why: LOG_IN })
        : { status: 200, headers: VERSION, body: {} },
  }),
  endpoint({
    method: 'GET',
    path: TOKEN_PATH,
    summary: 'A token for the images of one app, by name and password, or as "bearer" with an access token',
    auth: 'anyone',
    // Clients add what they like: account, client_id, offline_token.
    query: z.looseObject({ scope: z.string().exactOptional() }),
    handle: giveToken,
  }),
  endpoint({
    method: 'GET',
    path: '/v2/:organization/:space/:app/tags/list',
    summary: "The tags of an app's images: `latest`, and the guids of its droplets; with a token of the registry",
    auth: 'anyone',
    handle: reading('NAME_UNKNOWN', async (deps, { params: { organization, space, app: name } }, app) => ({
      status: 200,
      headers: VERSION,
      body: { name: `${organization}/${space}/${name}`, tags: await tagsOf(deps, app) },
    })),
  }),
  endpoint({
    method: 'GET',
    path: '/v2/:organization/:space/:app/manifests/:reference',
    summary: "The manifest of an app's image, by `latest`, a droplet's guid or a digest; with a token of the registry",
    auth: 'anyone',
    handle: reading('MANIFEST_UNKNOWN', sendManifest),
  }),
  endpoint({
    method: 'GET',
    path: '/v2/:organization/:space/:app/blobs/:digest',
    summary: "A layer or the configuration of an app's image, whole or in part; with a token of the registry",
    auth: 'anyone',
    handle: reading('BLOB_UNKNOWN', sendBlob),
  }),
];
