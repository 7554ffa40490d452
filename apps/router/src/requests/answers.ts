/**
 * What the router itself answers, and when: the table of failure-rules.md section 5. Plain text with a next step, never HTML; `X-Cf-RouterError` tells
 * programs and logs which line it was.
 */
import { STATUS_CODES } from 'node:http';

export interface Answer {
  readonly status: number;
  /** Value of X-Cf-RouterError. */
  readonly routerError: string;
  readonly text: string;
  /** The connection cannot be trusted with another request. */
  readonly close?: boolean;
  readonly retryAfterSeconds?: number;
}

const RETRY_AFTER_SECONDS = 5;

export const answers = {
  emptyHost: (): Answer => ({
    status: 400,
    routerError: 'empty_host',
    text: 'The request names no host, or an address instead of one. Ask for an app by its name: http://NAME.DOMAIN/',
    close: true,
  }),
  /** `fault` completes "the request ...". */
  badRequest: (fault: string): Answer => ({
    status: 400,
    routerError: 'bad_request',
    text: `The request ${fault}. Nothing of it was passed on. Mend the client, or the proxy before it, that sent it.`,
    close: true,
  }),
  invalidSelector: (kind: 'app' | 'process'): Answer => ({
    status: 400,
    routerError: `invalid_cf_${kind}_instance_header`,
    text: `The header X-CF-${kind === 'app' ? 'App' : 'Process'}-Instance must read GUID:INDEX, for example the output of cf ${kind === 'app' ? 'app NAME --guid' : 'curl /v3/apps/GUID/processes'} and :0.`,
  }),
  selectedCopyAbsent: (host: string): Answer => ({
    status: 400,
    routerError: 'unknown_route',
    text: `No instance of "${host}" is the one that the X-CF-App-Instance or X-CF-Process-Instance header asks for. See which there are: cf app NAME`,
  }),
  unknownRoute: (host: string): Answer => ({
    status: 404,
    routerError: 'unknown_route',
    text: `No route "${host}" leads to a started app. See yours with cf routes; map one with cf map-route APP DOMAIN --hostname NAME`,
  }),
  bodyTooLarge: (limitBytes: number): Answer => ({
    status: 413,
    routerError: 'max-body-size-exceeded',
    text: `The request's body is over the limit of ${limitBytes} bytes. Send less, or ask the operator for more.`,
    close: true,
  }),
  headersTooLarge: (limits: string): Answer => ({
    status: 431,
    routerError: 'max-request-size-exceeded',
    text: `The request's headers are over the limit (${limits}). Clear old cookies, or send fewer headers.`,
    close: true,
  }),
  tooSlow: (what: string): Answer => ({
    status: 408,
    routerError: 'client_too_slow',
    text: `${what}. Send it again over a better connection.`,
    close: true,
  }),
  endpointFailure: (cause: string): Answer => ({
    status: 502,
    routerError: `endpoint_failure (${cause})`,
    text: 'The app took the request but gave no proper answer. See why: cf logs NAME --recent',
  }),
  noEndpoints: (host: string): Answer => ({
    status: 503,
    routerError: 'no_endpoints',
    text: `No instance of "${host}" is healthy at the moment. See why: cf app NAME, and cf logs NAME --recent`,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  }),
  apiAway: (): Answer => ({
    status: 503,
    routerError: 'no_endpoints',
    text: 'The API does not answer at the moment; apps are served. Ask again, and if that stays so, see why on the machine: cupola status',
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  }),
  tooManyHeld: (host: string, limit: number): Answer => ({
    status: 503,
    routerError: 'no_endpoints',
    text: `No instance of "${host}" is healthy yet, and ${limit} requests or 64 MB of bodies wait for one already. Ask again in a moment.`,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  }),
  noTableYet: (): Answer => ({
    status: 503,
    routerError: 'no_endpoints',
    text: 'The router has just been started and does not know the routes yet. Ask again in a moment.',
    retryAfterSeconds: 1,
  }),
  backendsFull: (host: string): Answer => ({
    status: 503,
    routerError: 'Connection Limit Reached',
    text: `Every instance of "${host}" has as many connections as it may. Ask again, or start more instances: cf scale NAME -i N`,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  }),
  timeout: (limitMs: number): Answer => ({
    status: 504,
    routerError: 'endpoint_timeout',
    text: `The app did not finish its answer within ${Math.round(limitMs / 1000)} s. See what it does: cf logs NAME`,
    close: true,
  }),
  unknownFailure: (requestId: string): Answer => ({
    status: 500,
    routerError: 'unknown_failure',
    text: `The router failed; this is not the app's fault. Tell the operator this number: ${requestId}`,
    close: true,
  }),
} as const;

/** Body and headers of an answer, the latter as a flat list. */
export function renderAnswer(answer: Answer, requestId: string): { body: string; headers: string[] } {
  const body = `${answer.status} ${STATUS_CODES[answer.status] ?? ''}: ${answer.text}\n`;
  const headers = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'X-Content-Type-Options',
    'nosniff',
    'Cache-Control',
    'no-cache, no-store',
    'X-Cf-RouterError',
    answer.routerError,
    'X-Vcap-Request-Id',
    requestId,
    'Content-Length',
    String(Buffer.byteLength(body)),
  ];
  if (answer.retryAfterSeconds !== undefined) headers.push('Retry-After', String(answer.retryAfterSeconds));
  if (answer.close) headers.push('Connection', 'close');
  return { body, headers };
}

/** The same as bytes for a socket on which no HTTP answer object exists; always the last on that socket. */
export function rawAnswer(answer: Answer, requestId: string): string {
  const { body, headers } = renderAnswer({ ...answer, close: true }, requestId);
  let head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\n`;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return `${head}\r\n${body}`;
}
