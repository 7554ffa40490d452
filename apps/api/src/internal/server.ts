/**
 * The internal listener: a unix socket that only the platform's own user and root reach (0600), never the public one. Plain node:http: its clients are our
 * own parts, its calls are the table at the top of `@cupola/contract/internal`.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { dirname } from 'node:path';
import { cfFailure } from '../cf-error.ts';
import type { ApiDeps } from '../deps.ts';
import { type InternalCall, type InternalRoute, sendInternal } from './call.ts';
import { findRoute, internalRoutes } from './routes.ts';
import { buildsView } from './views/builds.ts';
import { peersView } from './views/peers.ts';
import { placementsView } from './views/placements.ts';
import { routesView } from './views/routes.ts';
import { startWatches } from './watches.ts';

/** What is on its way when the listener closes is cut after this; its sender tries again. */
const CLOSE_MS = 2_000;

/** Serves until disposed; watches are ended then, and resume at the next one. @throws when the socket cannot be made. */
export async function startInternal(deps: ApiDeps, { socketPath }: { socketPath: string }): Promise<AsyncDisposable> {
  const watches = startWatches(
    { placements: placementsView(deps), routes: routesView(deps), builds: buildsView(deps), peers: peersView(deps) },
    deps,
  );
  const closing = new AbortController();
  const serving: Serving = { deps, routes: internalRoutes(watches), closing: closing.signal };
  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    void serve(serving, request, response);
  });
  await listen(server, socketPath);
  return {
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      watches[Symbol.dispose]();
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeIdleConnections();
      const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
      await closed;
      clearTimeout(deadline);
    },
  };
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
  closing: AbortSignal;
}

async function serve(
  { deps, routes, closing }: Serving,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const left = new AbortController();
  response.once('close', () => left.abort());
  try {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://internal');
    const { handle, params } = findRoute(routes, request.method ?? '', pathname);
    const signal = AbortSignal.any([closing, left.signal]);
    const call: InternalCall = { deps, params, query, request, response, signal };
    await sendInternal(response, await handle(call));
  } catch (error) {
    fail({ deps, request, response }, error);
  }
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
