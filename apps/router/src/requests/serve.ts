/** Serves one plain request: client to copy and back, streaming both ways at the slower side's pace, with one record for the access log at its end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Backends, Sent } from '../backends/backends.ts';
import type { Flow, ResponseReceiver } from '../backends/connection.ts';
import type { Dialler } from '../backends/dial.ts';
import type { AccessLog, Outcome } from '../logs/access-log.ts';
import type { Backend } from '../table/route-table.ts';
import { type Admitted, type Arrival, admit, arrive, type RoutingDeps } from './admit.ts';
import { type Answer, answers, renderAnswer } from './answers.ts';
import { createRequestBody, NO_BODY, type RequestBody } from './body.ts';
import { createDeadlines, type Deadlines } from './deadlines.ts';
import { backwardHeaders, forwardHeaders } from './forward-headers.ts';
import { heldBodyBytes } from './holds.ts';
import type { Failure, Step } from './journey.ts';
import { stickyCookie } from './selection.ts';

export interface ServeDeps extends RoutingDeps {
  readonly backends: Backends;
  readonly dialler: Dialler;
  readonly accessLog: AccessLog;
  readonly log: Logger;
  /** Answers an authority that asks whether a host is ours; null: an ordinary request. */
  challenge(path: string): string | null;
  /** The router is ending: connections are not kept. */
  isDraining(): boolean;
}

const CLIENT_LEFT = 499;
const PLAIN_REASON = /^[\t\x20-\x7e]*$/;

export type Serve = (message: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void;

export function createServe(deps: ServeDeps): Serve {
  const { requestTimeoutMs } = deps.settings;
  const deadlines = createDeadlines<Exchange>({
    limitMs: requestTimeoutMs,
    monotonic: deps.monotonic,
    late: exchange => exchange.abandon(answers.timeout(requestTimeoutMs)),
  });
  return (message, response, expectsContinue) => {
    const proof = deps.challenge(message.url ?? '');
    if (proof !== null) response.setHeader('Content-Type', 'application/octet-stream').end(proof);
    else new Exchange({ deps, deadlines, message, response, expectsContinue }).begin();
  };
}

interface Given {
  readonly deps: ServeDeps;
  readonly deadlines: Deadlines<Exchange>;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly expectsContinue: boolean;
}

/** What is under way for a request: a copy works at it, or it waits for one. */
type Under =
  | {
      readonly is: 'attempt';
      readonly backend: Backend;
      release(): void;
      readonly startedMs: number;
      sent: Sent | null;
    }
  | { readonly is: 'hold'; leave(): void };

/** One request, from its head to the end of its answer. One object for all of it, also as receiver of the answer: closures for each step cost more. */
class Exchange implements ResponseReceiver {
  readonly #given: Given;
  readonly #arrival: Arrival;
  readonly #admission: ReturnType<typeof admit>;
  readonly #body: RequestBody;
  readonly #outcome: Outcome;
  #under: Under | null = null;
  #flow: Flow | null = null;
  #isPaused = false;
  /** Length of the answer's body as its head says; null when it does not. */
  #answerBytes: number | null = null;
  #over = false;

  constructor(given: Given) {
    const { deps, message } = given;
    this.#given = given;
    this.#arrival = arrive(deps, message);
    this.#outcome = { status: 0, bytesIn: 0, bytesOut: 0, backend: null, routerError: null, backendMs: 0 };
    this.#admission = admit(deps, this.#arrival);
    this.#body = this.#admission.request?.hasBody === false ? NO_BODY : this.#readBody();
  }

  begin(): void {
    const { deadlines, response } = this.#given;
    deadlines.add(this);
    response.on('error', ignore); // The client has gone: `close` says so.
    response.on('close', () => this.#closed());
    const admitted = this.#admission;
    if ('refusal' in admitted) this.#respond(admitted.refusal);
    else this.#follow(admitted, admitted.journey.next());
  }

  /** Ends it from our side: with an answer where none has begun, else by cutting it off. */
  abandon(answer: Answer): void {
    if (this.#over) return;
    this.#giveUp();
    if (!this.#given.response.headersSent) this.#respond(answer);
    else {
      this.#outcome.routerError = answer.routerError;
      this.#given.response.destroy();
    }
  }

  #readBody(): RequestBody {
    const { deps, message, response, expectsContinue } = this.#given;
    const { uploadIdleMs, bodyMaxBytes } = deps.settings;
    return createRequestBody(message, deps.settings, {
      begins: () => {
        if (expectsContinue && !response.headersSent) response.writeContinue();
      },
      stalls: () => this.abandon(answers.tooSlow(`The request's body paused for more than ${uploadIdleMs / 1000} s`)),
      overflows: () => this.abandon(answers.bodyTooLarge(bodyMaxBytes ?? 0)),
    });
  }

  #closed(): void {
    const { deps, deadlines, response } = this.#given;
    const outcome = this.#outcome;
    const admitted = this.#admission;
    deadlines.remove(this);
    if (!response.writableFinished) this.#giveUp();
    this.#over = true;
    if (outcome.status === 0) outcome.status = CLIENT_LEFT;
    outcome.bytesIn = this.#body.bytes;
    deps.accessLog.add(this.#arrival, admitted.request, 'entry' in admitted ? admitted.entry : null, outcome);
  }

  #giveUp(): void {
    const under = this.#under;
    if (under?.is === 'hold') under.leave();
    else if (under?.is === 'attempt') {
      this.#settle();
      under.sent?.giveUp(this);
    }
    this.#under = null;
  }

  #follow(admitted: Admitted, step: Step): void {
    if (this.#over) return;
    if (step.do === 'answer') this.#respond(step.answer);
    else if (step.do === 'try') this.#attempt(admitted, step.backend);
    else this.#hold(admitted, step.forMs);
  }

  #hold(admitted: Admitted, forMs: number): void {
    const { holds, settings } = this.#given.deps;
    const held = { forMs, bodyBytes: heldBodyBytes(admitted.request) };
    const leave = holds.wait(admitted.journey.routeGuid, held, () => {
      this.#under = null;
      this.#follow(admitted, admitted.journey.next());
    });
    if (leave === null) this.#respond(answers.tooManyHeld(admitted.request.host, settings.holdRequestsMax));
    else this.#under = { is: 'hold', leave };
  }

  #attempt({ request }: Admitted, backend: Backend): void {
    const { deps } = this.#given;
    this.#outcome.backend = backend;
    const under: Under = {
      is: 'attempt',
      backend,
      release: deps.balance.occupy(backend),
      startedMs: deps.monotonic(),
      sent: null,
    };
    this.#under = under;
    // One that failed within `send` has been followed up already, so this is not what is under way any more; giving it up would do nothing.
    under.sent = deps.backends.send(
      backend,
      {
        method: request.method,
        target: request.target,
        headers: forwardHeaders(this.#arrival.raw, request, this.#arrival.origin, backend),
        body: request.hasBody ? this.#body.open() : null,
        contentLength: request.contentLength,
        idempotent: request.idempotent,
      },
      this,
    );
  }

  /** The attempt is over. */
  #settle(): void {
    const under = this.#under;
    if (under?.is !== 'attempt') return;
    this.#under = null;
    under.release();
    this.#outcome.backendMs += this.#given.deps.monotonic() - under.startedMs;
  }

  informed(status: number, raw: string[]): void {
    inform(this.#given.message, this.#given.response, status, raw);
  }

  head(status: number, reason: string, raw: string[], control: Flow): void {
    const { deps, message, response } = this.#given;
    const { origin } = this.#arrival;
    const { sticky } = this.#admission as Admitted;
    deps.balance.answered(this.#outcome.backend?.key ?? '');
    this.#flow = control;
    const trailers = mayTrail(message, status, raw);
    const { headers, setCookies, contentLength } = backwardHeaders(raw, { trailers, requestId: origin.requestId });
    const cookie = stickyCookie(setCookies, sticky, this.#outcome.backend?.instanceGuid ?? '');
    if (cookie !== null) headers.push('Set-Cookie', cookie);
    if (deps.settings.hstsSeconds !== null && origin.scheme === 'https') addHsts(headers, deps.settings.hstsSeconds);
    if (deps.isDraining()) response.shouldKeepAlive = false;
    this.#answerBytes = contentLength;
    this.#outcome.status = status;
    response.writeHead(status, PLAIN_REASON.test(reason) ? reason : '', headers);
  }

  /** A first chunk usually comes with the head and shares its packet; where none does, the head must not wait for it. */
  flush(): void {
    const { response } = this.#given;
    if (this.#outcome.bytesOut === 0 && !response.writableEnded && !response.destroyed) response.flushHeaders();
  }

  data(chunk: Buffer): void {
    const { message, response } = this.#given;
    const isWhole = chunk.length === this.#answerBytes;
    this.#outcome.bytesOut += chunk.length;
    // Most answers come in one piece: head and body go out in one write, without a cork for what might follow.
    if (isWhole && message.method !== 'HEAD') return void response.end(chunk);
    if (response.write(chunk) || this.#isPaused || message.method === 'HEAD') return;
    this.#isPaused = true; // What was read already still comes.
    this.#flow?.pause();
    response.once('drain', () => {
      this.#isPaused = false;
      this.#flow?.resume();
    });
  }

  end(rawTrailers: string[]): void {
    const { response } = this.#given;
    this.#settle();
    this.#flow = null;
    this.#body.leave();
    if (rawTrailers.length > 0) addTrailers(response, rawTrailers);
    if (!response.writableEnded) response.end();
  }

  failed(failure: Failure): void {
    const under = this.#under;
    const admitted = this.#admission;
    if (under?.is !== 'attempt' || 'refusal' in admitted) return;
    this.#settle();
    const { response } = this.#given;
    if (!response.headersSent)
      this.#follow(admitted, admitted.journey.failed(under.backend, failure, this.#body.touched));
    else {
      // The answer had begun: cutting the connection is the only way left to say that it is not whole.
      this.#outcome.routerError = `endpoint_failure (${failure.cause})`;
      response.destroy();
    }
  }

  #respond(answer: Answer): void {
    const { deps, response } = this.#given;
    if (this.#over || response.headersSent) return;
    const { body: text, headers } = renderAnswer(answer, this.#arrival.origin.requestId);
    if (deps.isDraining()) response.shouldKeepAlive = false;
    this.#outcome.status = answer.status;
    this.#outcome.routerError = answer.routerError;
    this.#outcome.bytesOut = text.length;
    this.#body.leave();
    response.writeHead(answer.status, headers);
    response.end(text);
  }
}

const ignore = (): void => undefined;

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

function addTrailers(response: ServerResponse, raw: readonly string[]): void {
  const pairs: [string, string][] = [];
  for (let at = 0; at < raw.length; at += 2) pairs.push([raw[at] as string, raw[at + 1] as string]);
  response.addTrailers(pairs);
}
