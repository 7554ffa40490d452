/**
 * Connections to copies: the seam behind which the HTTP client lives (undici here). One undici Client is one connection; which of a copy's idle ones to
 * use, and when to open another, is decided here, since only a connection whose rest is known to be short may carry a request that must not be repeated.
 *
 * A copy is told by its key (instance guid and address): a copy that moved, or another one at the old address, never gets an old connection.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import type { Failure } from '../requests/journey.ts';
import type { RouterSettings } from '../settings.ts';
import type { Backend } from '../table/route-table.ts';

export interface OutgoingRequest {
  readonly method: string;
  readonly target: string;
  /** Flat list; `Content-Length` among them where the length is known. */
  readonly headers: string[];
  readonly body: Readable | null;
  /** May be repeated if it gets lost: any idle connection will do. */
  readonly idempotent: boolean;
}

export interface Flow {
  pause(): void;
  resume(): void;
}

/** Called in this order: `informed` any number of times, `head`, `data` any number of times, `end`. `failed` may come instead of any of them, and is then the last. */
export interface ResponseReceiver {
  /** 102 or 103. */
  informed(status: number, rawHeaders: string[]): void;
  head(status: number, reason: string, rawHeaders: string[], flow: Flow): void;
  data(chunk: Buffer): void;
  end(rawTrailers: string[]): void;
  failed(failure: Failure): void;
}

export interface Sent {
  /** Nothing more is reported, and the connection closes unless all had come. */
  giveUp(): void;
}

export interface Backends extends AsyncDisposable {
  /** Sends and reports to `receiver`. */
  send(backend: Backend, request: OutgoingRequest, receiver: ResponseReceiver): Sent;
  /** No route names that copy any more: idle connections close at once, busy ones after their request. */
  retire(key: string): void;
  readonly connections: number;
}

interface Connection {
  readonly client: Client;
  readonly key: string;
  /** Monotonic ms since when it rests. */
  idleSinceMs: number;
  /** The socket is gone, or must not be used again. */
  over: boolean;
  busy: boolean;
}

interface Deps {
  settings: RouterSettings;
  monotonic(): number;
}

const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE']);

export function createBackends({ settings, monotonic }: Deps): Backends {
  /** Idle connections of each copy, the newest last. */
  const idle = new Map<string, Connection[]>();
  const all = new Set<Connection>();
  const retired = new WeakSet<Connection>();

  const close = (connection: Connection): void => {
    connection.over = true;
    all.delete(connection);
    connection.client.destroy().catch(() => undefined); // Never rejects; its requests were told by their handlers.
  };
  const open = (backend: Backend): Connection => {
    const client = clientFor(backend, settings);
    const connection: Connection = { client, key: backend.key, idleSinceMs: 0, over: false, busy: true };
    client.on('disconnect', () => {
      if (!connection.busy) forget(connection);
      connection.over = true;
    });
    all.add(connection);
    return connection;
  };
  const forget = (connection: Connection): void => {
    const list = idle.get(connection.key);
    const at = list?.indexOf(connection) ?? -1;
    if (at >= 0) list?.splice(at, 1);
    if (list?.length === 0) idle.delete(connection.key);
    close(connection);
  };
  const take = (backend: Backend, idempotent: boolean): { connection: Connection; reused: boolean } => {
    const list = idle.get(backend.key);
    const newest = list?.at(-1);
    if (newest !== undefined && (idempotent || monotonic() - newest.idleSinceMs < settings.reuseUnsafeIdleMs)) {
      list?.pop();
      if (list?.length === 0) idle.delete(backend.key);
      newest.busy = true;
      return { connection: newest, reused: true };
    }
    return { connection: open(backend), reused: false };
  };
  const giveBack = (connection: Connection): void => {
    connection.busy = false;
    if (connection.over || retired.has(connection)) {
      close(connection);
      return;
    }
    connection.idleSinceMs = monotonic();
    const list = idle.get(connection.key) ?? [];
    idle.set(connection.key, list);
    list.push(connection);
  };

  return {
    send: (backend, request, receiver) => {
      const { connection, reused } = take(backend, request.idempotent);
      const handler = new Handler({ receiver, reused, connection, giveBack, close });
      connection.client.dispatch(
        {
          path: request.target,
          method: request.method as Dispatcher.HttpMethod,
          headers: request.headers,
          body: request.body,
          // A server that does not expect a body there may take it for the next request.
          ...(request.body !== null && BODILESS.has(request.method) ? { reset: true } : {}),
        },
        handler,
      );
      return handler;
    },
    retire: key => {
      for (const connection of idle.get(key) ?? []) close(connection);
      idle.delete(key);
      for (const connection of all) if (connection.key === key) retired.add(connection);
    },
    get connections() {
      return all.size;
    },
    [Symbol.asyncDispose]: async () => {
      idle.clear();
      await Promise.all([...all].map(connection => connection.client.destroy()));
      all.clear();
    },
  };
}

/** One client is one connection. */
function clientFor(backend: Backend, settings: RouterSettings): Client {
  const host = backend.host.includes(':') ? `[${backend.host}]` : backend.host;
  return new Client(`http://${host}:${backend.port}`, {
    connect: {
      timeout: settings.dialTimeoutMs,
      keepAlive: true,
      noDelay: true,
      ...(backend.socketPath === undefined ? {} : { socketPath: backend.socketPath }),
    },
    keepAliveTimeout: settings.backendKeepAliveMs,
    headersTimeout: 0, // The whole request has one limit, kept by the router.
    bodyTimeout: 0,
    maxHeaderSize: settings.headerBytesMax,
    useMilo: false,
  } as Client.Options);
}

interface Sending {
  readonly receiver: ResponseReceiver;
  /** The connection had carried a request before. */
  readonly reused: boolean;
  readonly connection: Connection;
  /** After a whole exchange: only then may the connection be used again. */
  giveBack(connection: Connection): void;
  close(connection: Connection): void;
}

/** What undici keeps of the list that it was given by the parser, and its types do not tell. */
interface Raw {
  readonly rawHeaders: readonly (Buffer | string)[];
  readonly rawTrailers: readonly (Buffer | string)[] | null;
}

class Handler implements Dispatcher.DispatchHandler, Sent {
  readonly #sending: Sending;
  #state: 'dialling' | 'sent' | 'answering' | 'over' = 'dialling';

  constructor(sending: Sending) {
    this.#sending = sending;
  }

  onRequestStart(): void {
    if (this.#state === 'dialling') this.#state = 'sent';
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: IncomingHttpHeaders,
    reason?: string,
  ): void {
    if (this.#state === 'over') return;
    const raw = latin1List((controller as unknown as Raw).rawHeaders);
    if (status < 200) this.#sending.receiver.informed(status, raw);
    else {
      this.#state = 'answering';
      this.#sending.receiver.head(status, reason ?? '', raw, controller);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === 'answering') this.#sending.receiver.data(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    const { receiver, giveBack, connection } = this.#sending;
    giveBack(connection);
    const raw = (controller as unknown as Raw).rawTrailers;
    receiver.end(
      raw === null ? Object.entries(trailers).flatMap(([name, value]) => [name, String(value)]) : latin1List(raw),
    );
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    if (this.#state === 'over') return;
    const was = this.#state;
    this.#state = 'over';
    const { receiver, reused, close, connection } = this.#sending;
    close(connection);
    receiver.failed({ kind: kindOf(error, was, reused), cause: causeOf(error, was) });
  }

  giveUp(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#sending.close(this.#sending.connection);
  }
}

function latin1List(raw: readonly (Buffer | string)[]): string[] {
  const list: string[] = [];
  for (const part of raw) list.push(typeof part === 'string' ? part : part.toString('latin1'));
  return list;
}

function kindOf(
  error: Error & { code?: string },
  state: 'dialling' | 'sent' | 'answering',
  reused: boolean,
): Failure['kind'] {
  const { code = '', message } = error;
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return 'refused';
  if (state === 'dialling') return 'dial';
  if (state === 'answering') return 'broken';
  if (code === 'UND_ERR_SOCKET' && (message === 'other side closed' || message === 'closed')) return 'ended';
  // On a connection that had rested, a reset means that the other side had closed it before our request came.
  return reused && (code === 'ECONNRESET' || code === 'EPIPE') ? 'ended' : 'broken';
}

function causeOf(error: Error & { code?: string }, state: 'dialling' | 'sent' | 'answering'): string {
  const { code = '', message } = error;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'dial timed out';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'connection reset';
  if (code === 'UND_ERR_SOCKET' && message === 'other side closed')
    return state === 'answering' ? 'connection closed within the answer' : 'EOF';
  if (code.startsWith('HPE_') || message === 'bad response' || message === 'bad upgrade') return 'malformed answer';
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return 'answer headers too large';
  // Known words only: the text goes into a header.
  return /^[A-Z_]+$/.test(code) ? code.toLowerCase().replaceAll('_', ' ') : 'connection failed';
}
