/**
 * Serves one upgrade (WebSocket): asks the copy over a connection of its own, and only after its 101 joins both sockets. After anything else the answer is
 * passed on and both connections end, so that no later request can ride on a half-made tunnel (threats.md 20: Kubernetes CVE-2018-1002105).
 */
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { LOST } from '../backends/connection.ts';
import { type Dialled, whenTaken } from '../backends/dial.ts';
import type { Outcome } from '../logs/access-log.ts';
import type { Backend } from '../table/route-table.ts';
import { type Admitted, type Arrival, admit, arrive } from './admit.ts';
import { type Answer, answers, rawAnswer } from './answers.ts';
import { backwardHeaders, forwardHeaders } from './forward-headers.ts';
import type { Failure, Step } from './journey.ts';
import type { ServeDeps } from './serve.ts';

/** h2c would open a second, unscreened way of speaking HTTP to the app (request smuggling by upgrade); TLS and HTTP/x likewise. */
const NEVER = /^(?:h2c|http|tls)/i;

/** Whether an upgrade is passed on as one. Otherwise the request is served as if it had not asked: that is every server's right. */
export function acceptsUpgrade({ method, headers, httpVersion }: IncomingMessage): boolean {
  const protocol = headers.upgrade ?? '';
  const hasBody = headers['transfer-encoding'] !== undefined || !['0', undefined].includes(headers['content-length']);
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    !hasBody &&
    /^[\w.-]+(?:\/[\w.-]+)?$/.test(protocol) &&
    !NEVER.test(protocol)
  );
}

interface Tunnel {
  readonly deps: ServeDeps;
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  /** What the client sent before both sides were joined. */
  early: Buffer;
  readonly arrival: Arrival;
  readonly outcome: Outcome;
  giveUp: (() => void) | null;
  over: boolean;
}

/** Bytes that a client may send before the 101: it has no reason to send any. */
const EARLY_MAX_BYTES = 64 * 1024;

export function serveUpgrade(deps: ServeDeps, message: IncomingMessage, socket: Duplex, head: Buffer): void {
  const arrival = arrive(deps, message);
  const outcome: Outcome = { status: 0, bytesIn: 0, bytesOut: 0, backend: null, routerError: null, backendMs: 0 };
  const tunnel: Tunnel = { deps, message, socket, early: head, arrival, outcome, giveUp: null, over: false };
  const admitted = admit(deps, arrival);
  socket.on('error', () => undefined); // `close` says so.
  // Read on, so that a client that leaves while it waits is noticed; frames before the 101 are few.
  const wait = (chunk: Buffer): void => {
    if (tunnel.outcome.status !== 0) return;
    tunnel.early = Buffer.concat([tunnel.early, chunk]);
    if (tunnel.early.length > EARLY_MAX_BYTES) socket.destroy();
  };
  socket.on('data', wait);
  socket.on('end', () => {
    if (outcome.status === 0) socket.destroy();
  });
  socket.on('close', () => {
    tunnel.giveUp?.();
    tunnel.over = true;
    if (outcome.status === 0) outcome.status = 499;
    deps.accessLog.add(arrival, admitted.request, 'entry' in admitted ? admitted.entry : null, outcome);
  });
  if ('refusal' in admitted) respond(tunnel, admitted.refusal);
  else follow(tunnel, admitted, admitted.journey.next());
}

function follow(tunnel: Tunnel, admitted: Admitted, step: Step): void {
  if (tunnel.over) return;
  if (step.do === 'answer') respond(tunnel, step.answer);
  else if (step.do === 'try') attempt(tunnel, admitted, step.backend);
  else hold(tunnel, admitted, step.forMs);
}

function hold(tunnel: Tunnel, admitted: Admitted, forMs: number): void {
  const { holds, settings } = tunnel.deps;
  const leave = holds.wait(admitted.journey.routeGuid, { forMs, bodyBytes: 0 }, () => {
    tunnel.giveUp = null;
    follow(tunnel, admitted, admitted.journey.next());
  });
  if (leave === null) respond(tunnel, answers.tooManyHeld(admitted.request.host, settings.holdRequestsMax));
  else tunnel.giveUp = leave;
}

function attempt(tunnel: Tunnel, admitted: Admitted, backend: Backend): void {
  const { deps, arrival, message, outcome } = tunnel;
  const { settings } = deps;
  outcome.backend = backend;
  const release = deps.balance.occupy(backend);
  let dialling: Dialled | null = null;
  const headers = forwardHeaders(arrival.raw, admitted.request, arrival.origin, backend);
  headers.push('Connection', 'Upgrade', 'Upgrade', message.headers.upgrade ?? '');
  const asked = http.request({
    createConnection: (_options, done) => {
      const begun = deps.dialler.dial(backend);
      dialling = begun;
      const failed = (error: Error): void => done(error, begun.socket);
      // Not told otherwise: an agent that ends the connection because the copy is gone.
      const closed = (): void => failed(new Error('the connection was not taken'));
      begun.socket.once('error', failed);
      begun.socket.once('close', closed);
      whenTaken(begun, () => {
        begun.socket.off('error', failed);
        begun.socket.off('close', closed);
        done(null, begun.socket);
      });
      return undefined;
    },
    method: 'GET',
    path: admitted.request.target,
    headers: headers as unknown as http.OutgoingHttpHeaders,
    setHost: false,
    maxHeaderSize: settings.headerBytesMax,
  });
  let dialled = false;
  let settled = false;
  /** Also what is still being dialled, which the request does not know of yet. */
  const drop = (): void => {
    asked.destroy();
    dialling?.socket.destroy();
  };
  const unwatch = deps.backends.watch(backend, () => fail({ kind: dialled ? 'ended' : 'dial', cause: LOST }));
  const settle = (): void => {
    clearTimeout(dialTimer);
    clearTimeout(deadline);
    unwatch();
    settled = true;
    tunnel.giveUp = null;
  };
  const fail = (failure: Failure): void => {
    if (settled) return;
    settle();
    release();
    drop();
    const behindAgent = deps.dialler.viaOf(backend) !== null;
    follow(tunnel, admitted, admitted.journey.failed(backend, { ...failure, behindAgent }, false));
  };
  const dialTimer = setTimeout(() => fail({ kind: 'dial', cause: 'dial timed out' }), settings.dialTimeoutMs);
  const deadline = setTimeout(() => {
    if (settled) return;
    settle();
    release();
    drop();
    respond(tunnel, answers.timeout(settings.requestTimeoutMs));
  }, settings.requestTimeoutMs);
  asked.on('socket', () => {
    dialled = true;
    clearTimeout(dialTimer);
  });
  asked.on('error', (error: NodeJS.ErrnoException) => fail(failureOf(error, dialled)));
  asked.on('upgrade', (answer: IncomingMessage, upstream: Duplex, upstreamHead: Buffer) => {
    settle();
    deps.balance.answered(backend.key);
    join(tunnel, { answer, upstream, upstreamHead, backend, release });
  });
  asked.on('response', (answer: IncomingMessage) => {
    settle();
    deps.balance.answered(backend.key);
    refuse(tunnel, answer, asked, release);
  });
  asked.end();
  tunnel.giveUp = () => {
    if (settled) return;
    settle();
    release();
    drop();
  };
}

function failureOf({ code = '', message }: NodeJS.ErrnoException, dialled: boolean): Failure {
  if (!dialled) return { kind: 'dial', cause: code === 'ECONNREFUSED' ? 'connection refused' : 'connection failed' };
  if (message === 'socket hang up') return { kind: 'ended', cause: 'EOF' };
  return { kind: 'broken', cause: code.startsWith('HPE_') ? 'malformed answer' : 'connection reset' };
}

function rawHead(status: number, reason: string, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${/^[\t\x20-\x7e]*$/.test(reason) ? reason : ''}\r\n`;
  for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return `${text}\r\n`;
}

interface Joining {
  answer: IncomingMessage;
  upstream: Duplex;
  upstreamHead: Buffer;
  backend: Backend;
  release(): void;
}

/** Both sides are one connection from now on; it ends when either side ends, or after both were silent too long. */
function join(tunnel: Tunnel, { answer, upstream, upstreamHead, backend, release }: Joining): void {
  const { deps, socket, early, arrival, outcome } = tunnel;
  const { headers } = backwardHeaders(answer.rawHeaders, { trailers: false, requestId: arrival.origin.requestId });
  headers.push('Connection', 'Upgrade', 'Upgrade', answer.headers.upgrade ?? '');
  outcome.status = 101;
  const idle = setTimeout(() => {
    socket.destroy();
    upstream.destroy();
  }, deps.settings.upgradeIdleMs);
  const unwatch = deps.backends.watch(backend, () => upstream.destroy());
  const end = (): void => {
    clearTimeout(idle);
    unwatch();
    release();
    socket.destroy();
    upstream.destroy();
  };
  tunnel.giveUp = null;
  socket.on('close', () => upstream.destroy());
  upstream.on('error', () => undefined); // `close` says so.
  upstream.once('close', end);
  socket.write(rawHead(101, answer.statusMessage ?? '', headers), 'latin1');
  if (upstreamHead.length > 0) socket.write(upstreamHead);
  if (early.length > 0) upstream.write(early);
  upstream.on('data', (chunk: Buffer) => {
    idle.refresh();
    outcome.bytesOut += chunk.length;
  });
  socket.on('data', (chunk: Buffer) => {
    idle.refresh();
    outcome.bytesIn += chunk.length;
  });
  upstream.pipe(socket);
  socket.pipe(upstream);
}

/** The copy answered with something else: that goes to the client, and then both connections are over. */
function refuse(tunnel: Tunnel, answer: IncomingMessage, asked: ClientRequest, release: () => void): void {
  const { socket, arrival, outcome } = tunnel;
  const { headers } = backwardHeaders(answer.rawHeaders, { trailers: false, requestId: arrival.origin.requestId });
  headers.push('Connection', 'close');
  outcome.status = answer.statusCode ?? 502;
  tunnel.giveUp = () => asked.destroy();
  socket.write(rawHead(outcome.status, answer.statusMessage ?? '', headers), 'latin1');
  answer.on('data', (chunk: Buffer) => {
    outcome.bytesOut += chunk.length;
  });
  answer.pipe(socket);
  answer.on('error', () => socket.destroy());
  answer.once('close', () => {
    release();
    asked.destroy();
    if (!answer.complete) socket.destroy();
  });
  socket.resume();
}

function respond({ socket, outcome, arrival, over }: Tunnel, answer: Answer): void {
  if (over) return;
  outcome.status = answer.status;
  outcome.routerError = answer.routerError;
  socket.resume();
  socket.end(rawAnswer(answer, arrival.origin.requestId), () => socket.destroy());
}
