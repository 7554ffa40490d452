/**
 * Everything below `/dashboard`: sign-in and sign-out, the page's files, and under `/dashboard/api/` the API itself for who has a session instead of a token.
 * The API proper never looks at a cookie, so no page of another origin can have a browser act there; here each change needs our own page's origin and the
 * session's CSRF token. Loaded with the first request below `/dashboard`.
 */
import type { IncomingMessage } from 'node:http';
import { ForbiddenError, NotFoundError, UnauthenticatedError } from '@cupola/model/errors';
import type { Actor } from '../access/actor.ts';
import { UNKNOWN_REQUEST } from '../cf-error.ts';
import type { ApiDeps } from '../deps.ts';
import type { Reply } from '../http/endpoint.ts';
import { isSameOrigin } from '../http/same-origin.ts';
import { challengeOf, DASHBOARD_CALLBACK, DASHBOARD_CLIENT, newSecret } from '../uaa/authorization-codes.ts';
import { createAssets } from './assets.ts';
import { type Asked, readCookie, setCookie, strengthsFor } from './cookies.ts';
import { actorOfSession, beginSession, csrfToken, endSession, isCsrfToken } from './sessions.ts';

const HOME = '/dashboard/';
const API = '/dashboard/api';
/** What the page may reach with its session: nothing that gives out tokens. */
const REACHED = /^\/(?:v3|api\/v1|networking\/v[01])(?:[/?]|$)/;
const SAFE = new Set(['GET', 'HEAD']);
const NO_STORE = { 'Cache-Control': 'no-store' };

/** Goes on to the API, as `actor` and with this path. */
export interface Passed {
  actor: Actor;
  url: string;
}
export interface DashboardDoor {
  /** @returns a reply, or where the request goes on. @throws errors of the model, for the server to answer. */
  open(deps: ApiDeps, request: IncomingMessage, asked: Asked): Promise<{ reply: Reply } | { passed: Passed }>;
}

export function createDashboardDoor(folders: ApiDeps['config']['dashboard'], log: ApiDeps['log']): DashboardDoor {
  const assets = createAssets(folders, log);
  return {
    open: async (deps, request, asked) => {
      const url = new URL(request.url ?? '/', 'http://dashboard');
      const method = request.method ?? '';
      if (url.pathname.startsWith(`${API}/`)) return { passed: await pass(deps, request, asked) };
      if (url.pathname === '/dashboard/session') return { reply: await session(deps, request, asked) };
      if (!SAFE.has(method)) throw new NotFoundError(UNKNOWN_REQUEST);
      if (url.pathname === '/dashboard') return { reply: redirect(HOME) };
      if (url.pathname === '/dashboard/sign-in')
        return { reply: await signIn(deps, asked, safeReturn(url.searchParams.get('to'))) };
      if (url.pathname === DASHBOARD_CALLBACK) return { reply: await callback(deps, asked, url) };
      return { reply: await assets.reply(url.pathname, request.headers) };
    },
  };
}

async function pass(deps: ApiDeps, request: IncomingMessage, asked: Asked): Promise<Passed> {
  const url = (request.url ?? '').slice(API.length);
  if (!REACHED.test(url)) throw new NotFoundError(UNKNOWN_REQUEST);
  const { actor } = await whoAsks(deps, request, asked);
  return { actor, url };
}

/** @throws UnauthenticatedError without a session; ForbiddenError when it is not our own page that asks. */
async function whoAsks(deps: ApiDeps, request: IncomingMessage, asked: Asked) {
  if (!isSameOrigin(request.headers)) throw new ForbiddenError('Only the dashboard itself may ask here.');
  const cookie = readCookie('session', asked);
  if (cookie === null) throw new UnauthenticatedError('NotAuthenticated');
  // No browser opens a WebSocket without saying for whom.
  if (request.headers.upgrade !== undefined && request.headers.origin === undefined)
    throw new ForbiddenError('Only the dashboard itself may ask here.');
  const isChange = !SAFE.has(request.method ?? '');
  if (isChange && (request.headers.origin === undefined || !isCsrfToken(request.headers['x-csrf-token'], cookie.value)))
    throw new ForbiddenError('The dashboard has to be loaded again before it may change something.');
  const actor = await actorOfSession(deps, cookie.value);
  if (actor === null) throw new UnauthenticatedError('InvalidAuthToken');
  return { actor, cookie };
}

/** GET: who has signed in here, and what our page needs to know at once. DELETE: signs out. */
async function session(deps: ApiDeps, request: IncomingMessage, asked: Asked): Promise<Reply> {
  const { actor, cookie } = await whoAsks(deps, request, asked);
  if (request.method === 'DELETE') {
    await endSession(deps, cookie.value);
    return { status: 204, headers: { ...NO_STORE, 'Set-Cookie': setCookie('session', cookie.strength, '', asked) } };
  }
  if (request.method !== 'GET') throw new NotFoundError(UNKNOWN_REQUEST);
  const { publicUrl, appsDomain, appsPort, appsScheme, https, version } = deps.config;
  const body = {
    user: { guid: actor.guid, name: actor.name, is_admin: actor.isAdmin },
    csrf_token: csrfToken(cookie.value),
    platform: {
      api: publicUrl,
      apps_domain: appsDomain,
      apps_port: appsPort,
      apps_scheme: appsScheme,
      https: https === null ? null : { port: https.port, certificates: https.certificates },
      version,
    },
    roles: actor.roles.map(({ type, organizationGuid, spaceGuid }) => ({
      type,
      organization_guid: organizationGuid,
      space_guid: spaceGuid,
    })),
  };
  return { status: 200, body, headers: NO_STORE };
}

async function signIn(deps: ApiDeps, asked: Asked, to: string): Promise<Reply> {
  const present = readCookie('session', asked);
  if (present !== null && (await actorOfSession(deps, present.value)) !== null) return redirect(to);
  const [state, verifier] = [newSecret(), newSecret()];
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: DASHBOARD_CLIENT,
    redirect_uri: `${deps.config.publicUrl}${DASHBOARD_CALLBACK}`,
    state,
    code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256',
  });
  const value = [state, verifier, Buffer.from(to).toString('base64url')].join('.');
  return {
    ...redirect(`/oauth/authorize?${query}`),
    headers: {
      ...NO_STORE,
      Location: `/oauth/authorize?${query}`,
      'Set-Cookie': strengthsFor(asked).map(strength => setCookie('sign-in', strength, value, asked)),
    },
  };
}

/** The code counts only in the browser where the sign-in began, with what its cookie holds. */
async function callback(deps: ApiDeps, asked: Asked, url: URL): Promise<Reply> {
  const cookie = readCookie('sign-in', asked);
  const [state, verifier = '', to = ''] = cookie?.value.split('.') ?? [];
  const isOurs = cookie !== null && state === url.searchParams.get('state');
  const begun = isOurs ? await beginSession(deps, { code: url.searchParams.get('code') ?? '', verifier }) : null;
  // Too late, used already, or begun elsewhere: from the start. Without any cookie that would go round for ever.
  if (begun === null || cookie === null) return cookie === null ? noCookies() : redirect('/dashboard/sign-in');
  return {
    ...redirect(HOME),
    headers: {
      ...NO_STORE,
      Location: safeReturn(Buffer.from(to, 'base64url').toString()),
      'Set-Cookie': [
        ...strengthsFor(asked).map(strength => setCookie('sign-in', strength, '', asked)),
        setCookie('session', cookie.strength, begun.secret, asked),
      ],
    },
  };
}

function noCookies(): Reply {
  const text =
    'Your browser has kept no cookie of this sign-in. Allow cookies for this address, then open /dashboard/ again.';
  return { status: 400, body: text, headers: NO_STORE };
}

/** Each part ends with its slash, so that there is one way to read it: with two, a hostile path takes minutes. `log` names lines of a log. */
const PAGE = /^\/dashboard\/(?:[\w-]+\/)*[\w-]*(?:\?log=\d{1,19}-\d{1,19})?$/;

/** A page of the dashboard, else its first one: nothing may be redirected elsewhere (threats.md 14). */
function safeReturn(path: string | null): string {
  return path !== null && PAGE.test(path) ? path : HOME;
}

function redirect(location: string): Reply {
  return { status: 303, headers: { ...NO_STORE, Location: location } };
}
