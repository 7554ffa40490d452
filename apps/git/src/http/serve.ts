/**
 * git's smart HTTP, for the API in front of it (apps/api/src/git): `/ORG/SPACE/APP.git/info/refs`, `git-receive-pack`, `git-upload-pack`, each with a token of
 * the user who pushes. Whether they may is asked of the API, with that token, before anything of the request is read.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CfApiError, UnreachableError } from '@cupola/client/errors';
import { readClaims } from '@cupola/client/login';
import { findTarget, makeApp, type Platform, type RepositoryName } from '../platform.ts';
import type { HookDoor } from '../pushes/hook-door.ts';
import { type ReceiverDeps, receive } from '../pushes/receive.ts';
import { callBackend } from './backend.ts';

export interface ServeDeps extends ReceiverDeps {
  readonly platform: Platform;
  readonly door: HookDoor;
}

type Service = 'git-receive-pack' | 'git-upload-pack';

interface Asked {
  name: RepositoryName;
  service: Service;
  isAdvert: boolean;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** Never throws: what fails is answered. */
export async function serve(deps: ServeDeps, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  try {
    const asked = readUrl(request.method ?? '', request.url ?? '');
    const token = /^bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (asked === null) return answer(response, 404, 'There is nothing at that address.');
    if (token === undefined) return answer(response, 401, 'Log in first: cupola login');
    await serveUser(deps, exchange, { asked, token });
  } catch (error) {
    deps.log.warn({ err: error, path: request.url }, 'a request of git failed');
    answer(response, statusOf(error), `${(error as Error).message}`);
  }
}

async function serveUser(
  deps: ServeDeps,
  exchange: Exchange,
  { asked: { name, service, isAdvert }, token }: { asked: Asked; token: string },
): Promise<void> {
  const client = await deps.platform.as(token);
  const isPush = service === 'git-receive-pack' && !isAdvert;
  const target = isPush ? await makeApp(client, name) : await findTarget(client, name);
  const { app } = target;
  const repository = app === null ? await deps.repositories.empty() : await deps.repositories.open(app.guid);
  const expected =
    isPush && app !== null
      ? deps.door.expect(received => receive(deps, { client, target: { ...target, app }, repository }, received))
      : null;
  try {
    await callBackend(deps.git, exchange, {
      root: deps.repositories.root,
      path: `/${app?.guid ?? 'empty'}.git/${isAdvert ? 'info/refs' : service}`,
      query: isAdvert ? `service=${service}` : '',
      user: readClaims(token).user_name ?? 'client',
      environment: expected?.environment ?? {},
    });
  } finally {
    expected?.forget();
  }
  if (isPush && app !== null)
    deps.repositories
      .tidy(app.guid)
      .catch((error: unknown) => deps.log.warn({ err: error }, 'a repository was not tidied'));
}

function readUrl(method: string, text: string): Asked | null {
  const { pathname, searchParams } = new URL(text, 'http://git');
  const [organization = '', space = '', repository = '', ...rest] = pathname
    .slice(1)
    .split('/')
    .map(decodeURIComponent);
  const name = { organization, space, app: repository.replace(/\.git$/, '') };
  if (Object.values(name).includes('')) return null;
  const end = rest.join('/');
  const service = (method === 'GET' ? searchParams.get('service') : end) as Service;
  if (service !== 'git-receive-pack' && service !== 'git-upload-pack') return null;
  const isAdvert = method === 'GET' && end === 'info/refs';
  return isAdvert || (method === 'POST' && end === service) ? { name, service, isAdvert } : null;
}

function statusOf(error: unknown): number {
  if (error instanceof CfApiError) return error.status;
  return error instanceof UnreachableError ? 503 : 500;
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' });
  response.end(`${text}\n`);
}
