/**
 * Connections to copies: which of a copy's idle ones carries a request, and when another is opened. Only a connection whose rest is known to be short may
 * carry a request that must not be repeated.
 *
 * A copy is told by its key (instance guid and address): a copy that moved, or another one at the old address, never gets an old connection.
 */
import type { Logger } from 'pino';
import type { RouterSettings } from '../settings.ts';
import type { Backend } from '../table/route-table.ts';
import { Connection, createReadMemory, type Keeper, type ResponseReceiver } from './connection.ts';
import type { Dialler } from './dial.ts';
import { createLinks, isSame } from './links.ts';
import type { OutgoingRequest } from './request-writer.ts';

export interface Sent {
  /** Nothing more is reported to that receiver, and the connection closes unless all had come. */
  giveUp(receiver: ResponseReceiver): void;
}

export interface Backends extends AsyncDisposable {
  /** Sends and reports to `receiver`. */
  send(backend: Backend, request: OutgoingRequest, receiver: ResponseReceiver): Sent;
  /** No route names that copy any more: idle connections close at once, busy ones after their request. */
  retire(key: string): void;
  /** Somebody else's connection to that copy: `lost` is called when its machine does not answer any more. Returns how to end that. */
  watch(backend: Backend, lost: () => void): () => void;
  readonly connections: number;
  /** Its machine does not answer now: any other copy comes first. */
  isDown(backend: Backend): boolean;
  /** Machines that do not answer now. */
  readonly machinesDown: number;
}

interface Deps {
  settings: RouterSettings;
  dialler: Dialler;
  /** The machine of those copies is heard, for the first time or again. */
  heard(isThere: (backend: Backend) => boolean): void;
  log: Logger;
  monotonic(): number;
}

/** How often it is looked for connections that have rested for too long. */
const SWEEP_MS = 500;

export function createBackends({ settings, dialler, heard, log, monotonic }: Deps): Backends {
  const memory = createReadMemory();
  const all = new Set<Connection>();
  /** Idle connections of each copy, the newest last. */
  const idle = new Map<string, Connection[]>();
  /** Busy, and to be closed when they are free. */
  const retired = new WeakSet<Connection>();
  let timer: NodeJS.Timeout | null = null;

  const sweep = (): void => {
    timer = null;
    const now = monotonic();
    for (const connection of [...idle.values()].flat())
      if (now - connection.idleSinceMs >= connection.keepAliveMs) connection.close();
    arm();
  };
  const arm = (): void => {
    if (idle.size > 0) timer ??= setTimeout(sweep, Math.min(SWEEP_MS, settings.backendKeepAliveMs)).unref();
  };
  const keeper: Keeper = {
    free: connection => {
      if (retired.has(connection)) return void connection.close();
      connection.idleSinceMs = monotonic();
      const list = idle.get(connection.key);
      if (list === undefined) idle.set(connection.key, [connection]);
      else list.push(connection);
      arm();
    },
    gone: connection => {
      all.delete(connection);
      const list = idle.get(connection.key);
      const at = list?.indexOf(connection) ?? -1;
      if (at >= 0) list?.splice(at, 1);
      if (list?.length === 0) idle.delete(connection.key);
    },
    crashed: error => log.error({ err: error }, 'an answer was not passed on: the router failed'),
  };
  /** The newest that rests, where that is safe. */
  const takeIdle = (key: string, idempotent: boolean): Connection | null => {
    const list = idle.get(key);
    const newest = list?.at(-1);
    if (list === undefined || newest === undefined || !newest.isOpen) return null;
    const restedMs = monotonic() - newest.idleSinceMs;
    if (restedMs >= (idempotent ? newest.keepAliveMs : settings.reuseUnsafeIdleMs)) return null;
    list.pop();
    if (list.length === 0) idle.delete(key);
    return newest;
  };
  const open = (backend: Backend): Connection => {
    const connection = new Connection({ backend, settings, memory, keeper, dialler });
    all.add(connection);
    return connection;
  };

  const links = createLinks({
    settings,
    dialLink: dialler.dialLink,
    isBusy: via => [...all].some(connection => isSame(connection.via, via) && connection.isBusy),
    lost: via => {
      for (const connection of [...all]) if (isSame(connection.via, via)) connection.lost();
    },
    heard: via => heard(backend => isSame(dialler.viaOf(backend), via)),
    monotonic,
  });

  return {
    send: (backend, request, receiver) => {
      const via = dialler.viaOf(backend);
      if (via !== null) links.use(via);
      const connection = takeIdle(backend.key, request.idempotent) ?? open(backend);
      connection.send(request, receiver);
      return connection;
    },
    retire: key => {
      for (const connection of [...(idle.get(key) ?? [])]) connection.close();
      for (const connection of all) if (connection.key === key) retired.add(connection);
    },
    watch: (backend, lost) => links.watch(dialler.viaOf(backend), lost),
    get connections() {
      return all.size;
    },
    isDown: backend => links.isDown(dialler.viaOf(backend)),
    get machinesDown() {
      return links.down;
    },
    [Symbol.asyncDispose]: async () => {
      links[Symbol.dispose]();
      if (timer !== null) clearTimeout(timer);
      for (const connection of [...all]) connection.close();
    },
  };
}
