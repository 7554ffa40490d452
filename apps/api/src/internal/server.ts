/**
 * The internal listener: a unix socket that only the platform's own user and root reach (0600), and for other machines one with TLS both ways, whose callers
 * are told by their certificates; never the public one. Plain node:http: its clients are our own parts, its calls are the table at the top of
 * `@cupola/contract/internal`.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type Address, callerOf, PUBLIC_API_NAME } from '@cupola/certificates/members/dial';
import { NotFoundError } from '@cupola/model/errors';
import { API_LIMITS } from '@cupola/model/limits';
import { cfFailure, UNKNOWN_REQUEST } from '../cf-error.ts';
import type { ApiDeps } from '../deps.ts';
import { keepServerIdentity } from '../members/server-identity.ts';
import { type InternalCall, type InternalRoute, sendInternal } from './call.ts';
import { type Caller, createCallers, requireRole } from './caller.ts';
import { findRoute, internalRoutes } from './routes.ts';
import { serveLinks } from './serve-links.ts';
import { buildsView } from './views/builds.ts';
import { peersView } from './views/peers.ts';
import { placementsView } from './views/placements.ts';
import { routesView } from './views/routes.ts';
import { startWatches } from './watches.ts';

/** What is on its way when the listener closes is cut after this; its sender tries again. */
const CLOSE_MS = 2_000;
/** Who shows no certificate may only join, which takes a moment; the listener is reached by whoever reaches the port, and members' connections have no end (ours). */
const STRANGER_MS = 15_000;

export interface InternalListen {
  socketPath: string;
  /** Where members of the cluster call, port 0: a free one; `fd`: a bound socket that was passed on. Not given: there are none. */
  members?: Address | { fd: number };
  /** How often it is looked whether they still are; some seconds when not given. */
  lookMs?: number;
  /** How long a connection without a certificate of ours may last; `STRANGER_MS` but in tests. */
  strangerMs?: number;
}

export interface InternalServer extends AsyncDisposable {
  /** Where members call; null: nowhere. */
  readonly members: Address | null;
}

/** A request to the public API that a router of the cluster passes on. */
type ServeRouter = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** Serves until disposed; watches are ended then, and resume at the next one. @throws when it cannot listen. */
export async function startInternal(
  deps: ApiDeps,
  where: InternalListen,
  serveRouter: ServeRouter = (_request, response) => response.writeHead(404).end(),
): Promise<InternalServer> {
  await using starting = new AsyncDisposableStack();
  const watches = startWatches(
    { placements: placementsView(deps), routes: routesView(deps), builds: buildsView(deps), peers: peersView(deps) },
    deps,
  );
  starting.use(watches);
  const closing = new AbortController();
  const serving: Serving = { deps, routes: internalRoutes(watches), serveRouter, closing: closing.signal };
  const options = { keepAliveTimeout: 0, requestTimeout: 0, maxHeaderSize: API_LIMITS.headerBytesMax };
  const own = http.createServer(options, (request, response) => {
    void serve(serving, { request, response, whoCalls: async () => 'local', isPassedOn: false });
  });
  await listen(own, where.socketPath);
  starting.defer(() => close(own));
  const members = where.members === undefined ? null : await listenToMembers(where.members, where.strangerMs);

  async function listenToMembers(address: Address | { fd: number }, strangerMs = STRANGER_MS): Promise<Address> {
    const identity = starting.use(await keepServerIdentity(deps));
    const callers = starting.use(createCallers(deps, where.lookMs));
    const server = https.createServer(
      {
        ...options,
        ...identity.options,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
        handshakeTimeout: strangerMs,
      },
      (request, response) => {
        const socket = request.socket as TLSSocket;
        const isPassedOn = socket.servername === PUBLIC_API_NAME;
        void serve(serving, { request, response, whoCalls: () => callers.whoIs(socket), isPassedOn });
      },
    );
    const links = serveLinks(server);
    server.on('secureConnection', socket => {
      if (callerOf(socket) !== null) return;
      const timer = setTimeout(() => socket.destroy(), strangerMs);
      socket.once('close', () => clearTimeout(timer));
    });
    identity.follow(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
    starting.defer(() => close(server));
    starting.use(links);
    const { address: host, port } = server.address() as AddressInfo;
    return { host, port };
  }

  // Ends first what is held.
  starting.defer(() => closing.abort());
  const running = starting.move();
  return { members, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function close(server: http.Server | https.Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeIdleConnections();
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  await closed;
  clearTimeout(deadline);
}

async function listen(server: http.Server, socketPath: string): Promise<void> {
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  // Of a process that was killed: the data folder's lock says that nobody listens there.
  rmSync(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  chmodSync(socketPath, 0o600);
}

interface Serving {
  deps: ApiDeps;
  routes: readonly InternalRoute[];
  serveRouter: ServeRouter;
  closing: AbortSignal;
}

interface Arrival {
  request: http.IncomingMessage;
  response: http.ServerResponse;
  whoCalls(): Promise<Caller>;
  /**
   * A router passes it on for somebody else, and says so by the connection: by the path, anybody's `GET /internal/...` to the API's own host would be the
   * router's, with all that routers may.
   */
  isPassedOn: boolean;
}

async function serve(
  { deps, routes, serveRouter, closing }: Serving,
  { request, response, whoCalls, isPassedOn }: Arrival,
): Promise<void> {
  const left = new AbortController();
  response.once('close', () => left.abort());
  try {
    if (isPassedOn) {
      requireRole(await whoCalls(), ['router']);
      serveRouter(request, response);
      return;
    }
    const { pathname, searchParams: query } = urlOf(request);
    const { handle, path, params, for: roles = [] } = findRoute(routes, request.method ?? '', pathname);
    if (deps.requestDone !== undefined) watchEnd(deps.requestDone, path, { request, response });
    const caller = await whoCalls();
    requireRole(caller, roles);
    const signal = AbortSignal.any([closing, left.signal]);
    const call: InternalCall = { deps, caller, params, query, request, response, signal };
    await sendInternal(response, await handle(call));
  } catch (error) {
    fail({ deps, request, response }, error);
  }
}

function watchEnd(
  requestDone: NonNullable<ApiDeps['requestDone']>,
  route: string,
  { request, response }: Pick<Arrival, 'request' | 'response'>,
): void {
  const startedMs = performance.now();
  response.once('close', () =>
    requestDone({
      listener: 'internal',
      method: request.method ?? '',
      route,
      status: response.writableFinished ? response.statusCode : 499,
      ms: performance.now() - startedMs,
    }),
  );
}

function urlOf({ url = '' }: http.IncomingMessage): URL {
  if (!URL.canParse(url, 'http://internal')) throw new NotFoundError(UNKNOWN_REQUEST);
  return new URL(url, 'http://internal');
}

/** A failure after the answer has begun can only be told by the connection's end. */
function fail({ deps, request, response }: Pick<InternalCall, 'deps' | 'request' | 'response'>, error: unknown): void {
  const { status, errors, headers, isBug } = cfFailure(error);
  if (isBug && !response.destroyed)
    deps.log.error({ err: error, method: request.method, url: request.url }, 'an internal call failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // What is left of a body must be read, or its sender never comes to read this.
  request.resume();
  response.writeHead(status, { ...headers, 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors }));
}
