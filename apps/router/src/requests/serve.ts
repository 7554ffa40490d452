/** Serves one plain request: client to copy and back, streaming both ways at the slower side's pace, with one record for the access log at its end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Backends, Flow, ResponseReceiver } from '../backends/backends.ts';
import type { AccessLog, Outcome } from '../logs/access-log.ts';
import type { Backend } from '../table/route-table.ts';
import { type Admitted, type Arrival, admit, arrive, type RoutingDeps } from './admit.ts';
import { type Answer, answers, renderAnswer } from './answers.ts';
import { createRequestBody, type RequestBody } from './body.ts';
import { backwardHeaders, forwardHeaders } from './forward-headers.ts';
import { heldBodyBytes } from './holds.ts';
import type { Step } from './journey.ts';
import { stickyCookie } from './selection.ts';

export interface ServeDeps extends RoutingDeps {
  readonly backends: Backends;
  readonly accessLog: AccessLog;
  readonly log: Logger;
  /** Answers an authority that asks whether a host is ours; null: an ordinary request. */
  challenge(path: string): string | null;
  /** The router is ending: connections are not kept. */
  isDraining(): boolean;
}

const CLIENT_LEFT = 499;
const PLAIN_REASON = /^[\t\x20-\x7e]*$/;

/** What one exchange holds while it lasts. */
interface Exchange {
  readonly deps: ServeDeps;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly arrival: Arrival;
  readonly body: RequestBody;
  readonly outcome: Outcome;
  /** Ends what is under way: an attempt or a hold. */
  giveUp: (() => void) | null;
  over: boolean;
}

export function serve(
  deps: ServeDeps,
  message: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
): void {
  const proof = deps.challenge(message.url ?? '');
  if (proof !== null) {
    response.setHeader('Content-Type', 'application/octet-stream').end(proof);
    return;
  }
  const arrival = arrive(deps, message);
  const outcome: Outcome = { status: 0, bytesIn: 0, bytesOut: 0, backend: null, routerError: null, backendMs: 0 };
  const body = createRequestBody(message, deps.settings, {
    begins: () => {
      if (expectsContinue && !response.headersSent) response.writeContinue();
    },
    stalls: () =>
      abandon(
        exchange,
        answers.tooSlow(`The request's body paused for more than ${deps.settings.uploadIdleMs / 1000} s`),
      ),
    overflows: () => abandon(exchange, answers.bodyTooLarge(deps.settings.bodyMaxBytes ?? 0)),
  });
  const exchange: Exchange = { deps, message, response, arrival, body, outcome, giveUp: null, over: false };
  const admitted = admit(deps, arrival);
  const { requestTimeoutMs } = deps.settings;
  const deadline = setTimeout(() => abandon(exchange, answers.timeout(requestTimeoutMs)), requestTimeoutMs);
  response.on('error', () => undefined); // The client has gone: `close` says so.
  response.on('close', () => {
    clearTimeout(deadline);
    if (!response.writableFinished) exchange.giveUp?.();
    exchange.over = true;
    if (outcome.status === 0) outcome.status = CLIENT_LEFT;
    outcome.bytesIn = body.bytes;
    deps.accessLog.add(arrival, admitted.request, 'entry' in admitted ? admitted.entry : null, outcome);
  });
  if ('refusal' in admitted) respond(exchange, admitted.refusal);
  else follow(exchange, admitted, admitted.journey.next());
}

function follow(exchange: Exchange, admitted: Admitted, step: Step): void {
  if (exchange.over) return;
  if (step.do === 'answer') respond(exchange, step.answer);
  else if (step.do === 'try') attempt(exchange, admitted, step.backend);
  else hold(exchange, admitted, step.forMs);
}

function hold(exchange: Exchange, admitted: Admitted, forMs: number): void {
  const { holds, settings } = exchange.deps;
  const held = { forMs, bodyBytes: heldBodyBytes(admitted.request) };
  const leave = holds.wait(admitted.journey.routeGuid, held, () => {
    exchange.giveUp = null;
    follow(exchange, admitted, admitted.journey.next());
  });
  if (leave === null) respond(exchange, answers.tooManyHeld(admitted.request.host, settings.holdRequestsMax));
  else exchange.giveUp = leave;
}

function attempt(exchange: Exchange, admitted: Admitted, backend: Backend): void {
  const { deps, arrival, body, outcome, response } = exchange;
  const { request, journey } = admitted;
  outcome.backend = backend;
  const release = deps.balance.occupy(backend);
  const startedMs = deps.monotonic();
  let settled = false;
  const settle = (): void => {
    settled = true;
    release();
    exchange.giveUp = null;
    outcome.backendMs += deps.monotonic() - startedMs;
  };
  const stop = deps.backends.send(
    backend,
    {
      method: request.method,
      target: request.target,
      headers: forwardHeaders(arrival.raw, request, arrival.origin, backend),
      body: request.hasBody ? body.open() : null,
      idempotent: request.idempotent,
    },
    {
      ...answerTo(exchange, admitted, backend),
      end: rawTrailers => {
        settle();
        finish(exchange, rawTrailers);
      },
      failed: failure => {
        settle();
        if (!response.headersSent) follow(exchange, admitted, journey.failed(backend, failure, body.touched));
        else {
          // The answer had begun: cutting the connection is the only way left to say that it is not whole.
          outcome.routerError = `endpoint_failure (${failure.cause})`;
          response.destroy();
        }
      },
    },
  );
  // An attempt that failed within `send` has been followed up already.
  if (settled) return;
  exchange.giveUp = () => {
    settle();
    stop();
  };
}

/** Writes what the copy answers to the client. */
function answerTo(
  exchange: Exchange,
  { request, sticky }: Admitted,
  backend: Backend,
): Omit<ResponseReceiver, 'end' | 'failed'> {
  const { deps, message, response, arrival, outcome } = exchange;
  let flow: Flow | null = null;
  return {
    informed: (status, raw) => inform(message, response, status, raw),
    head: (status, reason, raw, control) => {
      flow = control;
      const trailers = mayTrail(message, status, raw);
      const { headers, setCookies } = backwardHeaders(raw, { trailers, requestId: arrival.origin.requestId });
      const cookie = stickyCookie(setCookies, sticky, backend.instanceGuid);
      if (cookie !== null) headers.push('Set-Cookie', cookie);
      if (deps.settings.hstsSeconds !== null && arrival.origin.scheme === 'https')
        addHsts(headers, deps.settings.hstsSeconds);
      if (deps.isDraining()) response.shouldKeepAlive = false;
      outcome.status = status;
      response.writeHead(status, PLAIN_REASON.test(reason) ? reason : '', headers);
      // A first chunk usually comes with the head and shares its packet; where none does, the head must not wait for it.
      queueMicrotask(() => {
        if (outcome.bytesOut === 0 && !response.writableEnded && !response.destroyed) response.flushHeaders();
      });
    },
    data: chunk => {
      outcome.bytesOut += chunk.length;
      if (response.write(chunk) || request.method === 'HEAD') return;
      flow?.pause();
      response.once('drain', () => flow?.resume());
    },
  };
}

/** What the app itself says of it stays. */
function addHsts(headers: string[], seconds: number): void {
  for (let at = 0; at < headers.length; at += 2) if (headers[at]?.toLowerCase() === 'strict-transport-security') return;
  headers.push('Strict-Transport-Security', `max-age=${seconds}`);
}

/** Trailers can follow only a chunked answer with a body. */
function mayTrail({ method, httpVersion }: IncomingMessage, status: number, raw: readonly string[]): boolean {
  if (method === 'HEAD' || httpVersion !== '1.1' || status === 204 || status === 304) return false;
  for (let at = 0; at < raw.length; at += 2) if (raw[at]?.toLowerCase() === 'transfer-encoding') return true;
  return false;
}

/** Passes 102 and 103 on to clients that know them. */
function inform(
  { httpVersion }: IncomingMessage,
  response: ServerResponse,
  status: number,
  raw: readonly string[],
): void {
  if (httpVersion !== '1.1' || response.headersSent) return;
  if (status === 102) response.writeProcessing();
  if (status !== 103) return;
  const link: string[] = [];
  for (let at = 0; at < raw.length; at += 2) if (raw[at]?.toLowerCase() === 'link') link.push(raw[at + 1] as string);
  try {
    if (link.length > 0) response.writeEarlyHints({ link });
  } catch {
    // Not the form of link that Node writes: a hint that is left out does no harm.
  }
}

function finish({ response, body }: Exchange, rawTrailers: readonly string[]): void {
  body.leave();
  if (rawTrailers.length > 0) {
    const pairs: [string, string][] = [];
    for (let at = 0; at < rawTrailers.length; at += 2)
      pairs.push([rawTrailers[at] as string, rawTrailers[at + 1] as string]);
    response.addTrailers(pairs);
  }
  response.end();
}

/** Ends an exchange from our side: with an answer where none has begun, else by cutting it off. */
function abandon(exchange: Exchange, answer: Answer): void {
  if (exchange.over) return;
  exchange.giveUp?.();
  if (!exchange.response.headersSent) respond(exchange, answer);
  else {
    exchange.outcome.routerError = answer.routerError;
    exchange.response.destroy();
  }
}

function respond(exchange: Exchange, answer: Answer): void {
  const { response, body, outcome, arrival, deps } = exchange;
  if (exchange.over || response.headersSent) return;
  const { body: text, headers } = renderAnswer(answer, arrival.origin.requestId);
  if (deps.isDraining()) response.shouldKeepAlive = false;
  outcome.status = answer.status;
  outcome.routerError = answer.routerError;
  outcome.bytesOut = text.length;
  body.leave();
  response.writeHead(answer.status, headers);
  response.end(text);
}
