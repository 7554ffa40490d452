/** HTTP as our clients need it: JSON in and out, `.localhost` names, every failure as a typed error, safe requests tried again. Knows no login. */
import { lookup as systemLookup } from 'node:dns';
import { createWriteStream } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { CF_ERRORS } from '@cupola/contract/cf-errors';
import { readErrors, readUaaError } from '@cupola/contract/v3/client-reads';
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { CfApiError, UnreachableError } from './errors.ts';

/** What a zod schema is to us. */
export interface Schema<T> {
  parse(value: unknown): T;
}

export interface HttpRequest {
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Made anew for each try. */
  readonly body?: () => Dispatcher.DispatchOptions['body'];
  readonly signal?: AbortSignal | undefined;
  /** Longest wait for the answer's beginning, ms. */
  readonly timeoutMs?: number;
  /** Done twice it is as done once, or is refused the second time: sent again when the server says 503 with Retry-After. GET and HEAD are always so. */
  readonly isRepeatable?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

export interface Transport extends AsyncDisposable {
  /**
   * Any status is an answer. Throws UnreachableError. GET and HEAD are tried again when nobody answers; they, and what is repeatable, when the server says 503
   * with Retry-After: as long as it asks for, a minute in all.
   */
  exchange(request: HttpRequest): Promise<HttpAnswer>;
  /** As `exchange`, once: a body that comes with 200 is written to `file` as it comes, and is not in the answer. */
  save(request: HttpRequest, file: string): Promise<HttpAnswer>;
  /** As `exchange`, once: of a body that comes with 200 each part is given to `take` as it comes, until it ends. */
  follow(request: HttpRequest, take: (chunk: Buffer) => void): Promise<HttpAnswer>;
}

export interface TransportOptions {
  readonly userAgent: string;
  readonly skipSslValidation: boolean;
  /** Follow HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment; loopback is always asked directly. */
  readonly proxyFromEnvironment: boolean;
  /** Requests to the origin `of` are sent to the origin `to`: where a server is known by a name that does not lead there from here. */
  readonly via?: { readonly of: string; readonly to: string };
  /** Told when a server that asks for patience is waited for. */
  readonly waits?: (why: { readonly origin: string; readonly ms: number }) => void;
}

const TIMEOUT_MS = 120_000;
/** Pauses before the second, third ... try of a safe request. */
const RETRY_PAUSES_MS = [100, 400, 1_000];
const RETRY_PAUSE_LAST_MS = 1_000;
/** A server that asks for more patience than this, with what it was given before, is not waited for (ours: a store is taken over in half of it). */
const PATIENCE_MS = 60_000;

export function createTransport({
  userAgent,
  skipSslValidation,
  proxyFromEnvironment,
  via,
  waits,
}: TransportOptions): Transport {
  const connect = { rejectUnauthorized: !skipSslValidation, lookup };
  const direct = new Agent({ connect });
  const proxied = proxyFromEnvironment
    ? new EnvHttpProxyAgent({ connect, requestTls: { rejectUnauthorized: !skipSslValidation } })
    : direct;

  const once = async (
    { method, url, headers, body, signal, timeoutMs = TIMEOUT_MS }: HttpRequest,
    into: (() => Writable) | null = null,
  ): Promise<HttpAnswer> => {
    try {
      const { origin, hostname, pathname, search } = new URL(url);
      const answer = await (isLoopback(hostname) ? direct : proxied).request({
        origin: origin === via?.of ? via.to : origin,
        path: `${pathname}${search}`,
        method: method as Dispatcher.HttpMethod,
        headers: { 'user-agent': userAgent, ...headers },
        body: body?.() ?? null,
        signal: signal ?? null,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      const { statusCode: status, headers: answered } = answer;
      if (into === null || status !== 200) return { status, headers: answered, text: await answer.body.text() };
      await pipeline(answer.body, into());
      return { status, headers: answered, text: '' };
    } catch (error) {
      if (signal?.aborted || isOfFile(error)) throw error;
      throw new UnreachableError(new URL(url).origin, error);
    }
  };
  return {
    exchange: async request => {
      const safe = request.method === 'GET' || request.method === 'HEAD';
      let patienceMs = safe || request.isRepeatable === true ? PATIENCE_MS : 0;
      for (let attempt = 0; ; attempt++) {
        const pauseMs = RETRY_PAUSES_MS[attempt];
        try {
          const answer = await once(request);
          const ms = Math.max(pauseMs ?? RETRY_PAUSE_LAST_MS, askedPatienceMs(answer));
          if (!(ms <= patienceMs)) return answer;
          patienceMs -= ms;
          waits?.({ origin: new URL(request.url).origin, ms });
          await pause(ms, undefined, { signal: request.signal });
        } catch (error) {
          if (!(error instanceof UnreachableError) || !safe || pauseMs === undefined) throw error;
          await pause(pauseMs, undefined, { signal: request.signal });
        }
      }
    },
    save: (request, file) => once(request, () => createWriteStream(file)),
    follow: (request, take) => once(request, () => taking(take)),
    [Symbol.asyncDispose]: async () => {
      await direct.destroy();
      if (proxied !== direct) await proxied.destroy();
    },
  };
}

/** How long the server asks to be left alone; NaN when it does not, or when waiting would not help: a full disk is for somebody to empty. */
function askedPatienceMs({ status, headers, text }: HttpAnswer): number {
  if (status !== 503 || parseErrors(text).some(({ code }) => code === CF_ERRORS.InsufficientStorage.code))
    return Number.NaN;
  return Number(headers['retry-after'] ?? Number.NaN) * 1_000;
}

function taking(take: (chunk: Buffer) => void): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      take(chunk);
      done();
    },
  });
}

/** The disk's own failure: no full disk is an unreachable server. */
function isOfFile(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && ['open', 'write'].includes(String(error.syscall));
}

/** Names under `.localhost` mean this machine (RFC 6761), though not every resolver knows it. */
const lookup: LookupFunction = (hostname, options, callback) => {
  if (hostname !== 'localhost' && !hostname.endsWith('.localhost'))
    return systemLookup(hostname, options, callback as never);
  const address = '127.0.0.1';
  if (options.all)
    (callback as unknown as (error: null, found: { address: string; family: number }[]) => void)(null, [
      { address, family: 4 },
    ]);
  else callback(null, address, 4);
};

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname.endsWith('.localhost') || hostname.startsWith('127.') || hostname === '[::1]'
  );
}

/** The error that an answer of the v3 API stands for. */
export function apiError(request: { method: string; url: string }, { status, headers, text }: HttpAnswer): CfApiError {
  const requestId = headers['x-vcap-request-id'];
  return new CfApiError({
    status,
    errors: parseErrors(text),
    requestId: typeof requestId === 'string' ? requestId : null,
    request: `${request.method} ${new URL(request.url).pathname}`,
    body: text,
  });
}

function parseErrors(text: string): CfApiError['errors'] {
  try {
    const value: unknown = JSON.parse(text);
    const ofLoginServer = readUaaError.safeParse(value).data;
    if (ofLoginServer === undefined) return readErrors.parse(value).errors;
    const { error, error_description } = ofLoginServer;
    return [{ code: 0, title: error, detail: error_description ?? error }];
  } catch {
    return []; // Not the API's own answer, but a proxy's: its text is shown instead.
  }
}

/** Parses a body; a body of another shape is an error that names the request. */
export function parseBody<T>(schema: Schema<T>, request: { method: string; url: string }, { text }: HttpAnswer): T {
  try {
    return schema.parse(text === '' ? undefined : JSON.parse(text));
  } catch (cause) {
    throw new Error(
      `${request.method} ${request.url} answered something that is not the Cloud Foundry API's. Is this address the API's own?`,
      { cause },
    );
  }
}
