/** What the router's tests stand on: a fake of the API's internal listener that keeps the watch's promise, raw backends, and raw clients. */
import { mkdtempSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogEnvelope, RouteItem } from '@cupola/contract/internal';
import { freePort } from '@cupola/process/free-port';
import { pino } from 'pino';
import { createLatency } from './logs/latency.ts';
import { type Router, type RouterDeps, start } from './start.ts';

/** A temp folder that goes with the test. */
export function tempFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'cupola-router-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function aRoute(overrides: Partial<RouteItem> = {}): RouteItem {
  return {
    guid: 'route-1',
    host: 'app',
    domain: 'localhost',
    path: '',
    destinations: [aDestination()],
    options: {},
    ...overrides,
  };
}

type Destination = RouteItem['destinations'][number];

export function aDestination(overrides: Partial<Destination> = {}): Destination {
  return {
    appGuid: 'app-1',
    appName: 'app',
    spaceName: 'dev',
    organizationName: 'cupola',
    processGuid: 'process-1',
    processType: 'web',
    endpoints: [],
    holdMs: 0,
    ...overrides,
  };
}

/** A route `app.localhost` to copies on these ports: `copy-0`, `copy-1` ... */
export function routeTo(ports: readonly number[], overrides: Partial<RouteItem> = {}, holdMs = 0): RouteItem {
  const endpoints = ports.map((port, index) => ({ instanceGuid: `copy-${index}`, index, host: '127.0.0.1', port }));
  return aRoute({ destinations: [aDestination({ endpoints, holdMs })], ...overrides });
}

export interface FakeApi extends AsyncDisposable {
  readonly socketPath: string;
  readonly logs: LogEnvelope[];
  readonly watchers: number;
  /** Changes the routes; watchers hear of it. */
  upsert(item: RouteItem): void;
  remove(guid: string): void;
  /** Stops listening and cuts every connection; `listen` brings it back with the same state. */
  away(): Promise<void>;
  listen(): Promise<void>;
  /** Answers log batches with this status. */
  logStatus: number;
  /** Cursors that watchers came with; null asked for a snapshot. */
  readonly asked: (string | null)[];
}

/** Keeps the promise of `GET /internal/routes/watch`: changes after the cursor, or a snapshot first. */
export async function fakeApi(folder: string): Promise<FakeApi> {
  const socketPath = join(folder, 'internal.sock');
  const epoch = 'epoch-1';
  const routes = new Map<string, RouteItem>();
  const history: { revision: number; line: string }[] = [];
  const watchers = new Set<ServerResponse>();
  const logs: LogEnvelope[] = [];
  const asked: (string | null)[] = [];
  let revision = 0;
  let server: http.Server | null = null;

  const say = (change: object): void => {
    revision++;
    const line = `${JSON.stringify({ ...change, epoch, revision })}\n`;
    history.push({ revision, line });
    for (const watcher of watchers) watcher.write(line);
  };
  const watch = (request: IncomingMessage, response: ServerResponse): void => {
    const query = new URL(request.url ?? '/', 'http://api').searchParams;
    asked.push(query.get('after'));
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    if (query.get('epoch') === epoch && Number(query.get('after')) <= revision) {
      for (const { revision: at, line } of history) if (at > Number(query.get('after'))) response.write(line);
      response.write('\n');
    } else response.write(`${JSON.stringify({ type: 'snapshot', epoch, revision, items: [...routes.values()] })}\n`);
    watchers.add(response);
    response.on('close', () => watchers.delete(response));
  };
  const api: FakeApi = {
    socketPath,
    logs,
    asked,
    logStatus: 204,
    get watchers() {
      return watchers.size;
    },
    upsert: item => {
      routes.set(item.guid, item);
      say({ type: 'upsert', item });
    },
    remove: guid => {
      routes.delete(guid);
      say({ type: 'remove', guid });
    },
    away: async () => {
      const closing = new Promise<void>(resolve => server?.close(() => resolve()));
      server?.closeAllConnections();
      await closing;
    },
    listen: async () => {
      server = http.createServer((request, response) => {
        if (request.url?.startsWith('/internal/routes/watch')) return watch(request, response);
        let text = '';
        request.on('data', chunk => {
          text += chunk;
        });
        request.on('end', () => {
          // Counts of requests: their test has an API of its own.
          if (request.url === '/internal/metrics') return response.writeHead(204).end();
          if (api.logStatus < 300) logs.push(...(JSON.parse(text) as { envelopes: LogEnvelope[] }).envelopes);
          response.writeHead(api.logStatus).end();
        });
      });
      await new Promise<void>(resolve => server?.listen(socketPath, resolve));
    },
    [Symbol.asyncDispose]: () => api.away(),
  };
  await api.listen();
  return api;
}

export interface TestRouter extends AsyncDisposable {
  readonly router: Router;
  readonly api: FakeApi;
  readonly port: number;
  readonly folder: string;
  /** Sets a route and waits until the router knows it. */
  route(item: RouteItem): Promise<void>;
}

const quiet = pino({ level: 'silent' });

export async function startOn(folder: string, api: FakeApi, overrides: Partial<RouterDeps> = {}): Promise<Router> {
  return start({
    internal: { socketPath: api.socketPath },
    listen: { host: '127.0.0.1', port: 0 },
    tls: null,
    system: null,
    tableFile: join(folder, 'table.json'),
    trustedHops: [],
    log: quiet,
    latency: createLatency(),
    now: Date.now,
    monotonic: () => performance.now(),
    ...overrides,
    settings: { drainEmbeddedMs: 200, ...overrides.settings },
  });
}

/** A router beside a fake API, on a free port, with `routes` known. */
export async function aRouter(
  routes: readonly RouteItem[] = [],
  overrides: Partial<RouterDeps> = {},
): Promise<TestRouter> {
  const folder = tempFolder();
  const api = await fakeApi(folder.path);
  for (const item of routes) api.upsert(item);
  const router = await startOn(folder.path, api, overrides);
  await router.hasTable;
  return {
    router,
    api,
    port: router.address.port,
    folder: folder.path,
    route: async item => {
      api.upsert(item);
      const lookedFor = JSON.stringify(item);
      await until(() => JSON.stringify(router.state().route(item.guid)) === lookedFor);
    },
    [Symbol.asyncDispose]: async () => {
      await router[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const WAIT_MS = 50_000;

/** Waits for a condition, as long as a busy machine may take. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS} ms in vain for: ${condition}`);
    await new Promise(resolve => setTimeout(resolve, 1));
  }
}

export interface Peer extends AsyncDisposable {
  readonly port: number;
  /** Connections seen so far. */
  readonly connections: number;
}

/** A backend on bytes: `serve` gets each socket. */
export async function rawBackend(serve: (socket: Socket) => void): Promise<Peer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = net.createServer(socket => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A backend on node:http. */
export async function httpBackend(handler: http.RequestListener): Promise<Peer & { server: http.Server }> {
  // Longer than a busy machine may stand still between two requests.
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handler);
  let connections = 0;
  server.on('connection', () => {
    connections++;
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A port on which nobody listens. */
export const deadPort = freePort;

export interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

export interface Ask {
  host?: string;
  path?: string;
  method?: string;
  headers?: http.OutgoingHttpHeaders;
  body?: string | Buffer;
  agent?: http.Agent | false;
}

/** One request through the router, by default to `app.localhost`. */
export function ask(
  port: number,
  { host = 'app.localhost', path = '/', method = 'GET', headers = {}, body, agent = false }: Ask = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port, path, method, headers: { host, ...headers }, agent },
      response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            body: Buffer.concat(chunks).toString(),
            trailers: response.trailers,
          }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** Writes bytes and gives all that comes back until the router closes the connection (or, with `until`, until that text has come). */
export function raw(port: number, bytes: string | Buffer, stopAt?: RegExp): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () =>
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    );
    socket.setEncoding('latin1');
    socket.on('data', chunk => {
      text += chunk;
      if (stopAt?.test(text)) socket.destroy();
    });
    socket.on('error', () => undefined); // A reset after the answer is an end like any other.
    socket.on('close', () => resolve(text));
  });
}
