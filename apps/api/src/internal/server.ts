/**
 * The internal listener: a unix socket that only the platform's own user reaches (0600), never the public one. Plain node:http: its clients are our own
 * parts, its calls are the table at the top of `@cupola/contract/internal`.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cfFailure } from '../cf-error.ts';
import type { ApiDeps } from '../deps.ts';
import { claimBuild, finishBuild, heartbeatBuild, nextBuild, sendPackage } from './builds.ts';
import type { InternalCall, InternalReply, InternalRoute } from './call.ts';
import { heartbeat, registerCell } from './cells.ts';
import { createHub } from './hub.ts';
import { readToolchain, sendLayer, storeLayer, storeToolchain } from './layers.ts';
import { listInstances, takeLogs } from './platform.ts';
import { takeReport } from './reports.ts';
import { serveWatch } from './serve-watch.ts';
import { buildsView } from './views/builds.ts';
import { placementsView } from './views/placements.ts';
import { routesView } from './views/routes.ts';

/** Serves until disposed; watches are ended then, and resume at the next one. @throws when the socket cannot be made. */
export async function startInternal(deps: ApiDeps, { socketPath }: { socketPath: string }): Promise<AsyncDisposable> {
  const placements = createHub(placementsView(deps), deps);
  const routed = createHub(routesView(deps), deps);
  const builds = createHub(buildsView(deps), deps);
  const closing = new AbortController();
  const routes: InternalRoute[] = [
    { method: 'POST', path: '/internal/cells', handle: registerCell },
    { method: 'POST', path: '/internal/cells/:cellId/heartbeat', handle: heartbeat },
    { method: 'POST', path: '/internal/cells/:cellId/reports', handle: takeReport },
    {
      method: 'GET',
      path: '/internal/cells/:cellId/watch',
      handle: call => serveWatch(call, placements, ({ cellId, item }) => (cellId === call.params.cellId ? item : null)),
    },
    { method: 'GET', path: '/internal/routes/watch', handle: call => serveWatch(call, routed, ({ wire }) => wire) },
    { method: 'GET', path: '/internal/builds/watch', handle: call => serveWatch(call, builds, item => item) },
    { method: 'GET', path: '/internal/builds/next', handle: nextBuild },
    { method: 'POST', path: '/internal/builds/:guid/claim', handle: claimBuild },
    { method: 'POST', path: '/internal/builds/:guid/heartbeat', handle: heartbeatBuild },
    { method: 'GET', path: '/internal/builds/:guid/package', handle: sendPackage },
    { method: 'POST', path: '/internal/builds/:guid/finish', handle: finishBuild },
    { method: 'GET', path: '/internal/layers/:digest', handle: sendLayer },
    { method: 'HEAD', path: '/internal/layers/:digest', handle: sendLayer },
    { method: 'PUT', path: '/internal/layers/:digest', handle: storeLayer },
    { method: 'GET', path: '/internal/toolchains/:key', handle: readToolchain },
    { method: 'PUT', path: '/internal/toolchains/:key', handle: storeToolchain },
    { method: 'POST', path: '/internal/logs', handle: takeLogs },
    { method: 'GET', path: '/internal/instances', handle: listInstances },
  ];
  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    void serve({ deps, routes, closing: closing.signal }, request, response);
  });
  await listen(server, socketPath);
  return {
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeIdleConnections();
      const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
      await closed;
      clearTimeout(deadline);
      for (const hub of [placements, routed, builds]) hub.close();
      rmSync(socketPath, { force: true });
    },
  };
}

/** A layer on its way is cut after this; its sender tries again. */
const CLOSE_MS = 2_000;

async function listen(server: http.Server, socketPath: string): Promise<void> {
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  rmSync(socketPath, { force: true }); // Of a process that was killed.
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
  const url = new URL(request.url ?? '/', 'http://internal');
  const left = new AbortController();
  response.once('close', () => left.abort());
  try {
    const { route, params } = find(routes, request.method ?? '', url.pathname);
    const signal = AbortSignal.any([closing, left.signal]);
    const call: InternalCall = { deps, params, query: url.searchParams, request, response, signal };
    await send(await route.handle(call), request, response);
  } catch (error) {
    fail(deps, error, { request, response });
  }
}

function find(
  routes: readonly InternalRoute[],
  method: string,
  pathname: string,
): { route: InternalRoute; params: Record<string, string> } {
  const asked = pathname.split('/');
  for (const route of routes) {
    if (route.method !== method) continue;
    const parts = route.path.split('/');
    if (parts.length !== asked.length) continue;
    const params: Record<string, string> = {};
    const isMatch = parts.every((part, index) => {
      if (!part.startsWith(':')) return part === asked[index];
      params[part.slice(1)] = decodeURIComponent(asked[index] ?? '');
      return true;
    });
    if (isMatch) return { route, params };
  }
  return { route: UNKNOWN, params: {} };
}

const UNKNOWN: InternalRoute = {
  method: 'GET',
  path: '',
  handle: async () => ({
    status: 404,
    json: { errors: [{ code: 10000, title: 'CF-NotFound', detail: 'Unknown request' }] },
  }),
};

async function send(reply: InternalReply, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  if (reply === 'answered') return;
  if ('stream' in reply) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': reply.sizeBytes });
    await pipeline(reply.stream, response).catch(() => response.destroy()); // Cut short, its reader notices and asks again.
    return;
  }
  const text = reply.json === undefined ? '' : JSON.stringify(reply.json);
  response.writeHead(reply.status, text === '' ? {} : { 'content-type': 'application/json' });
  response.end(request.method === 'HEAD' ? undefined : text);
}

function fail(
  { log }: ApiDeps,
  error: unknown,
  { request, response }: { request: http.IncomingMessage; response: http.ServerResponse },
): void {
  const { status, errors, headers, isBug } = cfFailure(error);
  if (isBug && !response.destroyed)
    log.error({ err: error, method: request.method, url: request.url }, 'an internal call failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // What is left of a body that nobody reads would block the connection.
  response.writeHead(status, { ...headers, 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ errors }));
}
