/**
 * git's smart HTTP, for the API in front of it (apps/api/src/git): `/ORG/SPACE/APP.git/info/refs`, `git-receive-pack`, `git-upload-pack`, each with a token of
 * the user who pushes. Whether they may is asked of the API, with that token, before anything of the request is read.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CfApiError, UnreachableError } from '@cupola/client/errors';
import { readClaims } from '@cupola/client/login';
import { type fetchLine, fetchOrder } from '@cupola/contract/v3/git-webhook';
import type { z } from 'zod';
import { deployFetched, type FetchDeps } from '../fetches/deploy-fetched.ts';
import { findTarget, makeApp, type Platform, type RepositoryName } from '../platform.ts';
import type { HookDoor } from '../pushes/hook-door.ts';
import { receive } from '../pushes/receive.ts';
import { callBackend } from './backend.ts';

export interface ServeDeps extends FetchDeps {
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
    if (request.method === 'POST' && request.url === '/-/fetch') return await serveFetch(deps, exchange);
    const asked = readUrl(request.method ?? '', request.url ?? '');
    const token = tokenOf(request);
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

/** An order of the API's: lines of JSON as it goes, the last of them how it has ended. */
async function serveFetch(deps: ServeDeps, { request, response }: Exchange): Promise<void> {
  const token = tokenOf(request);
  if (token === undefined) return answer(response, 401, 'This is for the API alone.');
  const order = fetchOrder.safeParse(await readJson(request)).data;
  if (order === undefined) return answer(response, 400, 'That is no order.');
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('nobody listens any more')));
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const tell = (line: z.input<typeof fetchLine>): void => {
    if (response.writable) response.write(`${JSON.stringify(line)}\n`);
  };
  const hearing = {
    say: (line: string): void => tell({ say: line }),
    pin: (hosts: string): void => tell({ known_hosts: hosts }),
    signal: gone.signal,
  };
  try {
    const client = await deps.platform.as(token);
    tell({ outcome: await deployFetched(deps, client, { order, hearing }) });
  } catch (error) {
    deps.log.warn({ err: error }, 'a fetch failed');
    hearing.say((error as Error).message);
    tell({ outcome: 'failed' });
  }
  response.end();
}

/** Of the API, so not large; null: not even JSON. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > ORDER_MAX) return null;
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
const ORDER_MAX = 65_536;

function tokenOf({ headers }: IncomingMessage): string | undefined {
  return /^bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1];
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
