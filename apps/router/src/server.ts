/** The listening side: Node's HTTP server (or HTTPS, once for each port) with every limit set, its refusals in our words, and its end in order. */

import { randomUUID } from 'node:crypto';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import { type Answer, answers, rawAnswer } from './requests/answers.ts';
import { createServe, type ServeDeps } from './requests/serve.ts';
import { acceptsUpgrade, serveUpgrade } from './requests/upgrade.ts';

export interface RouterServer {
  readonly http: http.Server | https.Server;
  /** Takes no new connection, lets what is under way end for up to `drainMs`, then cuts it. */
  drain(drainMs: number): Promise<void>;
}

export type Drain = { draining: boolean };

/** How often Node looks for clients that are too slow with their headers. */
const SLOW_CHECK_MS = 1_000;

/** While it drains, a client that asks once more on a resting connection is answered, and told to close it; those that rest for longer are closed (ours). */
const RESTING_MS = 1_500;

/** `tls`: speaks HTTPS with these options, instead of plain HTTP. */
export function createServer(deps: ServeDeps, drain: Drain, tls: TlsOptions | null = null): RouterServer {
  const { settings, log } = deps;
  const sockets = new Set<Socket>();
  const serve = createServe(deps);
  const onRequest = (message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    try {
      serve(message, response, expectsContinue);
    } catch (error) {
      // Our bug: this request fails loudly, the others go on.
      const id = randomUUID();
      log.error({ err: error, requestId: id }, 'a request failed within the router');
      if (!response.headersSent) response.socket?.write(rawAnswer(answers.unknownFailure(id), id));
      response.destroy();
    }
  };
  const options: http.ServerOptions = {
    maxHeaderSize: settings.headerBytesMax,
    headersTimeout: settings.headersTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    keepAliveTimeout: settings.keepAliveMs,
    connectionsCheckingInterval: Math.min(SLOW_CHECK_MS, settings.headersTimeoutMs),
    optimizeEmptyRequests: true, // A request without a body needs no stream events.
    requireHostHeader: false, // Refused by us, in the words of the table.
    shouldUpgradeCallback: acceptsUpgrade,
    noDelay: true,
  };
  const server = tls === null ? http.createServer(options) : https.createServer({ ...options, ...tls });
  // More than our own limit, so that the screen sees that there were too many instead of a list cut short.
  server.maxHeadersCount = settings.headersMax + 1;
  server.maxConnections = settings.connectionsMax;
  server.on('request', (message: IncomingMessage, response: ServerResponse) => onRequest(message, response, false));
  server.on('checkContinue', (message: IncomingMessage, response: ServerResponse) =>
    onRequest(message, response, true),
  );
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) =>
    serveUpgrade(deps, message, socket, head),
  );
  server.on('connect', (_message: IncomingMessage, socket: Duplex) =>
    end(socket, answers.badRequest('uses CONNECT, which leads nowhere here')),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const answer = refusalOf(error, settings);
    // A refusal of the parser may be written only where no answer has begun.
    const busy = (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent === true;
    if (answer === null || busy || !socket.writable) socket.destroy();
    else end(socket, answer);
  });
  keepCount(server, sockets, settings.connectionsPerAddressMax);

  return {
    http: server,
    drain: async drainMs => {
      drain.draining = true;
      // Not Node's own `close` of HTTP: it would cut connections that rest at once, and with them requests that are on their way in.
      const closed = new Promise<void>(resolve => net.Server.prototype.close.call(server, () => resolve()));
      const gone = Promise.all([
        closed,
        ...[...sockets].map(socket => new Promise<void>(resolve => socket.once('close', () => resolve()))),
      ]);
      const resting = setTimeout(() => server.closeIdleConnections(), Math.min(RESTING_MS, drainMs / 2));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, drainMs);
      });
      await Promise.race([gone, late]);
      clearTimeout(timer);
      clearTimeout(resting);
      for (const socket of sockets) socket.destroy();
      await gone;
    },
  };
}

/** Keeps all sockets, upgraded ones too, and turns away those over the cap of one address. */
function keepCount(server: http.Server | https.Server, sockets: Set<Socket>, perAddressMax: number | null): void {
  const byAddress = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    if (perAddressMax !== null && (byAddress.get(address) ?? 0) >= perAddressMax) return void socket.destroy();
    sockets.add(socket);
    byAddress.set(address, (byAddress.get(address) ?? 0) + 1);
    socket.once('close', () => {
      sockets.delete(socket);
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left === 0) byAddress.delete(address);
      else byAddress.set(address, left);
    });
  });
}

function end(socket: Duplex, answer: Answer): void {
  socket.on('error', () => undefined); // It is being ended anyway.
  socket.end(rawAnswer(answer, randomUUID()), () => socket.destroy());
}

/** What the parser's refusal is in our table; null: the client has gone, there is nobody to answer. */
function refusalOf(
  { code = '' }: NodeJS.ErrnoException,
  { headersMax, headerBytesMax, headersTimeoutMs }: ServeDeps['settings'],
): Answer | null {
  if (code === 'HPE_HEADER_OVERFLOW') return answers.headersTooLarge(`${headersMax} headers, ${headerBytesMax} bytes`);
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return answers.tooSlow(`The request's headers did not come within ${headersTimeoutMs / 1000} s`);
  if (code.startsWith('HPE_')) return answers.badRequest('is not well-formed HTTP/1.1');
  return null;
}
