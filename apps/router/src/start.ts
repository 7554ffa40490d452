/**
 * The router: HTTP in, by host and path to a healthy copy, HTTP out. Holds no database: its table comes by a watch of the internal API and lies on disk, so
 * that it serves at once after a restart and goes on serving while the API is away. Numbers: failure-rules.md section 5 (`ROUTER_LIMITS`).
 *
 * Leaves out, for now by design: HTTP/2, TCP routes, weights, route services.
 */
import { type AddressInfo, BlockList, isIPv6 } from 'node:net';
import type { Certificates, Pair } from '@cupola/certificates/certificates';
import { type InternalAddress, internalDoor } from '@cupola/certificates/members/dial';
import type { RouteItem } from '@cupola/contract/internal';
import type { Logger } from 'pino';
import { Client } from 'undici';
import { type Backends, createBackends } from './backends/backends.ts';
import { createDialler, type Membership } from './backends/dial.ts';
import { createAccessLog } from './logs/access-log.ts';
import type { Latency } from './logs/latency.ts';
import { startTellingCounts } from './logs/tell-counts.ts';
import { createBalance } from './requests/balance.ts';
import { createHolds } from './requests/holds.ts';
import type { ServeDeps } from './requests/serve.ts';
import { createServer, type Drain, type RouterServer } from './server.ts';
import { DEFAULT_SETTINGS, type RouterSettings } from './settings.ts';
import { createRouteTable, type RouteTable, type TableListener } from './table/route-table.ts';
import { type SystemHosts, withSystemHosts } from './table/system-hosts.ts';
import { type Cursor, createTableWriter, loadTable, type TableWriter } from './table/table-file.ts';
import { followRoutes } from './table/watch.ts';
import { openTls, type TlsDoor } from './tls/door.ts';

export interface RouterDeps {
  /** Where the internal API listens. */
  internal: InternalAddress | { origin: string };
  /** As whom copies on other machines are reached. Not given: copies on this machine alone. */
  membership?: Membership;
  /** `fd`: a bound socket that the supervisor passed on. Port 0 takes a free one. */
  listen: { fd: number } | { host: string; port: number };
  /** Where HTTPS is spoken, and with which certificates; null: nowhere. */
  tls: { listen: RouterDeps['listen']; certificates(isServed: (host: string) => boolean): Certificates } | null;
  /** Answers an ACME authority's question for a path; null: an ordinary request. Not given: no authority is asked. */
  challenge?(path: string): string | null;
  /** What the authority is shown instead of a host's certificate while it proves that host by a handshake. Not given: no authority is asked. */
  proofFor?(host: string): Pair | null;
  /** The platform's own hosts; null: none are served. */
  system: SystemHosts | null;
  /** Where the table is kept. */
  tableFile: string;
  /** Addresses or networks (`10.0.0.0/8`) of the operator's own proxies, whose X-Forwarded-* is believed. */
  trustedHops: readonly string[];
  settings?: Partial<RouterSettings>;
  /** Where requests are counted, for the API and for whoever watches. */
  latency: Latency;
  log: Logger;
  /** Epoch ms. */
  now(): number;
  /** ms of a clock that never jumps. */
  monotonic(): number;
}

export interface Router extends AsyncDisposable {
  readonly address: { host: string; port: number };
  /** Where HTTPS is spoken; null: nowhere. */
  readonly tlsAddress: { host: string; port: number } | null;
  /** Requests by app guid ('' where no app was found), then by status. */
  readonly counts: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Routes in the table (and one of them as the table has it), requests that wait for a copy, connections to copies, machines of theirs that do not answer, log lines lost. */
  state(): {
    route(guid: string): RouteItem | null;
    routes: number;
    listening: boolean;
    held: number;
    backendConnections: number;
    machinesDown: number;
    logLinesLost: number;
    hasTable: boolean;
  };
  /** Resolves once a table is there, from disk or from the API. */
  readonly hasTable: Promise<void>;
}

/** Serves until disposed; disposing drains first. Rejects when it cannot listen. */
export async function start(deps: RouterDeps): Promise<Router> {
  const { log, now, monotonic, tableFile, latency } = deps;
  const settings: RouterSettings = { ...DEFAULT_SETTINGS, ...deps.settings };
  const stopped = new AbortController();

  const holds = createHolds(settings);
  const dialler = createDialler(deps.membership ?? null);
  const balance = createBalance({ settings, isDown: backend => backends.isDown(backend), monotonic });
  const backends: Backends = createBackends({ settings, dialler, heard: balance.heard, log, monotonic });
  const table = withSystemHosts(createRouteTable(tableListener({ balance, holds, backends })), deps.system);
  const known = keepTable({ file: tableFile, table, monotonic, log });
  const watchClient = internalClient(deps.internal);
  const logClient = internalClient(deps.internal);
  const accessLog = createAccessLog({ client: logClient, settings, now, monotonic, log, latency });

  const telling = startTellingCounts({ client: logClient, latency, log });
  const drain: Drain = { draining: false };
  const serveDeps: ServeDeps = {
    table,
    balance,
    holds,
    backends,
    dialler,
    accessLog,
    settings,
    log,
    isDown: backends.isDown,
    trustedHops: blockList(deps.trustedHops),
    hasTable: () => known.has,
    challenge: deps.challenge ?? (() => null),
    isDraining: () => drain.draining,
    now,
    monotonic,
  };
  const server = createServer(serveDeps, drain);
  const secure = await openSecure(deps, { serve: serveDeps, drain, table });
  const address = await listen(server.http, deps.listen);
  const tlsAddress = secure === null ? null : await listen(secure.server.http, secure.listen);
  const watching = followRoutes(
    {
      client: watchClient,
      table,
      settings,
      cursor: known.cursor,
      log,
      random: Math.random,
      advanced: known.advanced,
    },
    stopped.signal,
  );

  let ending: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    await Promise.all([server.drain(settings.drainEmbeddedMs), secure?.server.drain(settings.drainEmbeddedMs)]);
    secure?.door.close();
    stopped.abort();
    holds.releaseAll();
    await watching;
    telling[Symbol.dispose]();
    await Promise.all([
      telling.tell(),
      known.writer[Symbol.asyncDispose](),
      accessLog[Symbol.asyncDispose](),
      backends[Symbol.asyncDispose](),
    ]);
    await Promise.all([watchClient.destroy(), logClient.destroy()]);
  };
  return {
    address,
    tlsAddress,
    counts: accessLog.counts,
    state: () => stateOf({ table, server, holds, backends, accessLog, known }),
    hasTable: known.first,
    [Symbol.asyncDispose]: () => {
      ending ??= end();
      return ending;
    },
  };
}

type Asked = Pick<ServeDeps, 'table' | 'holds' | 'backends' | 'accessLog'> & {
  server: RouterServer;
  known: KnownTable;
};

function stateOf({ table, server, holds, backends, accessLog, known }: Asked): ReturnType<Router['state']> {
  return {
    route: guid => table.byGuid(guid)?.item ?? null,
    routes: table.size,
    listening: server.http.listening,
    held: holds.waiting,
    backendConnections: backends.connections,
    machinesDown: backends.machinesDown,
    logLinesLost: accessLog.lost,
    hasTable: known.has,
  };
}

/** What forgets a copy or a route when the table does. */
function tableListener({ balance, holds, backends }: Pick<ServeDeps, 'balance' | 'holds' | 'backends'>): TableListener {
  return {
    routeChanged: (guid, entry) => {
      if (entry === null) balance.forgetRoute(guid);
      else balance.restated(entry.pool.map(({ key }) => key));
      holds.release(guid);
    },
    backendGone: key => {
      backends.retire(key);
      balance.forget(key);
    },
  };
}

interface Secure {
  readonly server: RouterServer;
  readonly door: TlsDoor;
  readonly listen: RouterDeps['listen'];
}

/** The HTTPS side, ready to listen; the certificate for clients that name no host is there. */
async function openSecure(
  { tls, proofFor = () => null }: RouterDeps,
  { serve, drain, table }: { serve: ServeDeps; drain: Drain; table: RouteTable },
): Promise<Secure | null> {
  if (tls === null) return null;
  const certificates = tls.certificates(host => table.hasHost(host));
  const door = await openTls({ certificates, proofFor, log: serve.log });
  const server = createServer(serve, drain, door.options);
  door.follow(server.http);
  return { server, door, listen: tls.listen };
}

interface KnownTable {
  /** False until the first table has come, from disk or from the API. */
  readonly has: boolean;
  readonly first: Promise<void>;
  readonly cursor: Cursor | null;
  readonly writer: TableWriter;
  advanced(reached: Cursor, changed: boolean): void;
}

/** Fills the table from disk, and keeps the disk up to date as the watch goes on. */
function keepTable({
  file,
  table,
  monotonic,
  log,
}: {
  file: string;
  table: RouteTable;
  monotonic(): number;
  log: Logger;
}): KnownTable {
  const first = Promise.withResolvers<void>();
  const saved = loadTable(file, log);
  let has = saved !== null;
  let cursor: Cursor | null = saved?.cursor ?? null;
  if (saved !== null) {
    table.replaceAll(saved.items);
    first.resolve();
    log.info({ routes: table.size }, 'routes loaded from disk');
  }
  const writer = createTableWriter({ file, snapshot: () => ({ cursor, items: table.items() }), monotonic, log });
  return {
    get has() {
      return has;
    },
    first: first.promise,
    get cursor() {
      return cursor;
    },
    writer,
    advanced: (reached, changed) => {
      cursor = reached;
      has = true;
      first.resolve();
      if (changed) writer.touch();
    },
  };
}

function internalClient(internal: RouterDeps['internal']): Client {
  if ('origin' in internal) return new Client(internal.origin);
  const { origin, options } = internalDoor(internal);
  return new Client(origin, options);
}

function blockList(hops: readonly string[]): BlockList {
  const list = new BlockList();
  for (const hop of hops) {
    const [address = '', bits] = hop.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** As many connections as the kernel lets wait while a router is being restarted. */
const BACKLOG = 4_096;

function listen(
  server: import('node:http').Server,
  where: RouterDeps['listen'],
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', reject);
      const { address, port } = server.address() as AddressInfo;
      resolve({ host: address, port });
    });
  });
}
