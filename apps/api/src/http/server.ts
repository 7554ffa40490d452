/**
 * The public listener: Express routes to endpoints, everything else is here. For each request, in this order: an id, who asks (before a byte of the body
 * is read), query and body against their schemas, the handler, its reply. A request's signal aborts when its client has gone or the server drains, so
 * held requests end, and one whose client has gone before its handler began is never begun; while draining every answer closes its connection.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import { InvalidRequestError, NotFoundError } from '@cupola/model/errors';
import { API_LIMITS, PUSH_LIMITS } from '@cupola/model/limits';
import express from 'express';
import type { Logger } from 'pino';
import { type Actor, NOBODY } from '../access/actor.ts';
import { type CfFailure, cfFailure, UNKNOWN_REQUEST } from '../cf-error.ts';
import type { DashboardDoor } from '../dashboard/door.ts';
import type { ApiDeps } from '../deps.ts';
import { uaaFailureBody } from '../uaa/uaa-error.ts';
import { askedFrom, withOrigin } from './asked-from.ts';
import { checkBody, checkQuery } from './check.ts';
import { clientName } from './client-name.ts';
import type { ApiRequest, Endpoint } from './endpoint.ts';
import { parseForm, parseJson, readText } from './read-body.ts';
import { sendFailure, sendReply } from './send.ts';

export type Listen = { fd: number } | { host: string; port: number };
/** Who asks, by the Authorization header. @throws UnauthenticatedError. */
export type Authenticate = (authorization: string | undefined, options: { leewayMs: number }) => Promise<Actor>;

export interface HttpServer extends AsyncDisposable {
  readonly address: { host: string; port: number };
  /** Answers a request that came by another listener, on which nobody but routers is heard. */
  serveRouter(request: IncomingMessage, response: ServerResponse): void;
}

interface Deps {
  api: ApiDeps;
  endpoints: readonly Endpoint[];
  authenticate: Authenticate;
}

/** `routerSocket`: a unix socket for the router alone, whose word on client and origin is believed (`asked-from.ts`). */
export async function startServer(deps: Deps, listen: Listen, routerSocket: string | null = null): Promise<HttpServer> {
  const draining = new AbortController();
  const fromRouter = new WeakSet<Socket>();
  const upgradeHeads = new WeakMap<IncomingMessage, Buffer>();
  const app = makeApp(deps, { draining: draining.signal, fromRouter, upgradeHeads });
  const makeServer = (): Server => {
    const server = createServer(
      { maxHeaderSize: API_LIMITS.headerBytesMax, requestTimeout: PUSH_LIMITS.uploadTimeoutMs },
      app,
    );
    server.headersTimeout = API_LIMITS.headersTimeoutMs;
    server.keepAliveTimeout = API_LIMITS.keepAliveMs;
    server.on('upgrade', (request, socket: Socket, head) => {
      upgradeHeads.set(request, head);
      app(request, answerTo(request, socket));
    });
    return server;
  };
  const servers = [makeServer()];
  const [server] = servers as [Server];
  await listening(server, 'fd' in listen ? { fd: listen.fd } : listen);
  if (routerSocket !== null) {
    const door = makeServer();
    door.on('connection', (socket: Socket) => fromRouter.add(socket));
    rmSync(routerSocket, { force: true });
    await listening(door, { path: routerSocket });
    chmodSync(routerSocket, 0o600);
    servers.push(door);
  }
  const { address: host, port } = server.address() as AddressInfo;
  return {
    address: { host, port },
    serveRouter: (request, response) => {
      fromRouter.add(request.socket);
      app(request, response);
    },
    [Symbol.asyncDispose]: async () => {
      draining.abort(new Error('the server is being stopped'));
      await Promise.all(servers.map(drain));
    },
  };
}

/** To a request that asks for another protocol Node.js leaves the answer to us: whoever does not take the connection over answers as usual, and it ends. */
function answerTo(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  socket.on('error', () => socket.destroy());
  response.on('finish', () => socket.end());
  return response;
}

async function listening(server: Server, where: ListenOptions | { fd: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
}

/** `server.close()` alone would wait for every idle connection (3.7 s measured). */
async function drain(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeIdleConnections();
  const deadline = setTimeout(() => server.closeAllConnections(), API_LIMITS.drainMs);
  await closed;
  clearTimeout(deadline);
}

interface Around {
  /** Aborted when the server ends. */
  draining: AbortSignal;
  /** Connections of the router. */
  fromRouter: WeakSet<Socket>;
  /** Requests that ask for another protocol. */
  upgradeHeads: WeakMap<IncomingMessage, Buffer>;
}

function makeApp(deps: Deps, around: Around): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  // Keys keep their brackets: `fields[space]` is a key of its own.
  app.set('query parser', 'simple');
  app.use((request, response, next) => {
    const id = requestId(request);
    response.locals.requestId = id;
    response.setHeader('X-Vcap-Request-Id', id);
    if (around.draining.aborted) response.setHeader('Connection', 'close');
    watchEnd(deps.api, request, response);
    next();
  });
  app.use(dashboardDoor(deps, around));
  const answer = async (request: express.Request, response: express.Response, endpoint: Endpoint): Promise<void> => {
    response.locals.endpoint = endpoint;
    const exchange = { request, response, endpoint, log: deps.api.log };
    await serve(deps, exchange, around).catch(error => fail(exchange, error));
  };
  // Express tries 300 paths one after another. Those without parameters are found at once; written otherwise (`/v3/apps/`, HEAD) they are its own.
  const literal = new Map(
    deps.endpoints.filter(({ path }) => !path.includes(':')).map(one => [`${one.method} ${one.path}`, one]),
  );
  app.use((request, response, next) => {
    const endpoint = literal.get(`${request.method} ${request.path}`);
    return endpoint === undefined ? next() : answer(request, response, endpoint);
  });
  for (const endpoint of deps.endpoints) {
    const method = endpoint.method.toLowerCase() as 'get' | 'post' | 'patch' | 'put' | 'delete';
    app[method](endpoint.path, (request, response) => answer(request, response, endpoint));
  }
  app.use((request, response) => fail({ request, response, log: deps.api.log }, new NotFoundError(UNKNOWN_REQUEST)));
  // Four parameters make it Express's error handler: a path that cannot be decoded comes here.
  app.use((_error: unknown, request: express.Request, response: express.Response, _next: express.NextFunction) =>
    fail({ request, response, log: deps.api.log }, new InvalidRequestError('Bad request: the path cannot be decoded.')),
  );
  return app;
}

/** Requests below `/dashboard`: answered, or let on as requests to the API from who has a session. */
function dashboardDoor({ api }: Deps, { fromRouter }: Around): express.RequestHandler {
  let door: Promise<DashboardDoor> | null = null;
  return async (request, response, next) => {
    if (!/^\/dashboard(?:[/?]|$)/.test(request.url)) return next();
    try {
      door ??= import('../dashboard/door.ts').then(({ createDashboardDoor }) =>
        createDashboardDoor(api.config.dashboard, api.log),
      );
      const { publicUrl } = askedFrom(request, api.config, fromRouter.has(request.socket));
      const asked = { headers: request.headers, isHttps: publicUrl.startsWith('https:') };
      const outcome = await (await door).open(withOrigin(api, publicUrl), request, asked);
      if ('reply' in outcome) return await sendReply(response, outcome.reply);
      response.locals.session = outcome.passed.actor;
      request.url = outcome.passed.url;
      next();
    } catch (error) {
      fail({ request, response, log: api.log }, error);
    }
  };
}

interface Exchange {
  request: express.Request;
  response: express.Response;
  endpoint?: Endpoint;
  log: Logger;
}

async function serve(
  deps: Deps,
  { request, response, endpoint }: Required<Exchange>,
  { draining, fromRouter, upgradeHeads }: Around,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the client has gone')));
  const session = response.locals.session as Actor | undefined;
  const client = session === undefined ? clientName(request.get('user-agent') ?? '') : 'dashboard';
  const asker = session ?? (await whoAsks(deps, request, endpoint));
  const actor = client === null ? asker : { ...asker, client };
  response.locals.actor = actor;
  const query = flatQuery(request.query);
  const { publicUrl, clientAddress } = askedFrom(request, deps.api.config, fromRouter.has(request.socket));
  const asked: ApiRequest = {
    params: request.params as Record<string, string>,
    query: (endpoint.querySchema === null
      ? query
      : checkQuery(endpoint.querySchema, query, endpoint)) as ApiRequest['query'],
    body: await readBody(request, endpoint),
    actor,
    requestId: response.locals.requestId as string,
    trace: request.get('x-b3-traceid') ?? null,
    userAgent: request.get('user-agent') ?? '',
    clientAddress,
    preferWaitSeconds: preferWait(request.get('prefer')),
    url: askedUrl(request, publicUrl),
    signal: AbortSignal.any([gone.signal, draining]),
    raw: { request, response, upgradeHead: upgradeHeads.get(request) ?? null },
  };
  // Who has gone may have asked another API meanwhile: what one that was frozen then did late would undo what that one has acknowledged since.
  gone.signal.throwIfAborted();
  const api = publicUrl === deps.api.config.publicUrl ? deps.api : withOrigin(deps.api, publicUrl);
  const reply = await endpoint.handle(api, asked);
  if (draining.aborted && !response.headersSent) response.setHeader('Connection', 'close');
  await sendReply(response, reply);
}

async function whoAsks({ authenticate }: Deps, request: IncomingMessage, endpoint: Endpoint): Promise<Actor> {
  if (endpoint.auth === 'anyone') return NOBODY;
  const leewayMs = endpoint.auth === 'upload' ? PUSH_LIMITS.uploadTokenLeewayMs : 0;
  return authenticate(request.headers.authorization, { leewayMs });
}

async function readBody(request: IncomingMessage, endpoint: Endpoint): Promise<unknown> {
  const { body, bodySchema } = endpoint;
  if (body === 'multipart' || body === 'stream' || body === 'none') return undefined;
  const text = await readText(request);
  if (body === 'yaml') return text;
  const value = body === 'form' ? parseForm(text) : parseJson(text);
  return bodySchema === null ? value : checkBody(bodySchema, value);
}

/** Path and query as asked, on our own origin, whatever host the request line names: links are made of it. */
function askedUrl({ path, originalUrl }: express.Request, publicUrl: string): URL {
  const url = new URL(publicUrl);
  url.pathname = path;
  const queryAt = originalUrl.indexOf('?');
  url.search = queryAt < 0 ? '' : originalUrl.slice(queryAt);
  return url;
}

function flatQuery(query: express.Request['query']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).map(([key, value]) => [key, Array.isArray(value) ? value.join(',') : String(value)]),
  );
}

/** Answers a failure, unless an answer has begun: then only the connection's end can say so. */
function fail({ request, response, endpoint, log }: Exchange, error: unknown): void {
  const { requestId: id } = response.locals;
  if (response.headersSent || response.destroyed) {
    if (!response.destroyed && !response.writableEnded) response.destroy();
    log.debug({ err: error, requestId: id }, 'the answer ended early');
    return;
  }
  const failure = cfFailure(error);
  if (failure.isBug)
    log.error({ err: error, requestId: id, method: request.method, path: request.path }, 'a request failed');
  if (endpoint?.failures === 'uaa') sendUaaFailure(response, failure, error);
  else if (endpoint?.failures === 'networking')
    void sendReply(response, {
      status: failure.status,
      body: { error: failure.errors.map(({ detail }) => detail).join(', ') },
      headers: failure.headers,
    });
  else sendFailure(response, failure);
}

function sendUaaFailure(response: ServerResponse, failure: CfFailure, error: unknown): void {
  const { status, body } = uaaFailureBody(error, failure);
  const headers = {
    ...failure.headers,
    ...(status === 401 ? { 'WWW-Authenticate': `Bearer error="${body.error}"` } : {}),
  };
  void sendReply(response, { status, body, headers });
}

/** As Cloud Controller: the router's id, if there was one, then our own. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-vcap-request-id'];
  return typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? `${given}::${randomUUID()}` : randomUUID();
}

/** `Prefer: wait=20` (RFC 7240). */
function preferWait(header: string | undefined): number | null {
  const seconds = /(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])/.exec(header ?? '')?.[1];
  return seconds === undefined ? null : Number(seconds);
}

/** One line of log for each answer. The path alone: queries and bodies may hold secrets. */
function watchEnd({ log, requestDone }: ApiDeps, request: IncomingMessage, response: express.Response): void {
  const startedMs = performance.now();
  const path = (request.url ?? '').split('?')[0];
  response.once('close', () => {
    const { actor, endpoint, requestId: id } = response.locals as Noted;
    const method = request.method ?? '';
    const isDone = response.writableFinished || response.statusCode === 101;
    const status = isDone ? response.statusCode : 499;
    const ms = performance.now() - startedMs;
    log.info({ requestId: id, method, path, status, ms: Math.round(ms), actor: actor?.guid ?? '' }, 'request');
    requestDone?.({ listener: 'public', method, route: endpoint?.path ?? '', status, ms });
  });
}

/** What is found out about a request on its way. */
interface Noted {
  requestId: string;
  endpoint?: Endpoint;
  actor?: Actor;
}
