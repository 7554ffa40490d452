/**
 * A typed client of the Cloud Foundry v3 API, ours or any other. One for each invocation of a program: `X-B3-TraceId` is its name, by which our API knows
 * whose polls to hold (held-requests.md). Tokens are refreshed a minute before they end, by one process at a time.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { readJob, readPage } from '@cupola/contract/v3/client-reads';
import { JobFailedError, LoginError, WaitedTooLongError } from './errors.ts';
import { type Endpoints, readClaims, refreshTokens, type Tokens } from './login.ts';
import { apiError, type HttpAnswer, type HttpRequest, parseBody, type Schema, type Transport } from './transport.ts';

export interface TokenStore {
  load(): Tokens | null;
  /** Runs `change` alone among all processes that share these tokens, with what is kept at that moment; keeps its result before anyone else may look. */
  update(change: (current: Tokens | null) => Promise<Tokens>): Promise<Tokens>;
}

export interface Call {
  readonly method?: string;
  /** Path and query, or an absolute URL of the API or of its log cache. */
  readonly path: string;
  readonly query?: Record<string, string>;
  /** Sent as JSON, unless `raw` says otherwise. */
  readonly json?: unknown;
  readonly raw?: {
    readonly contentType: string;
    readonly contentLength?: number;
    body(): Exclude<ReturnType<NonNullable<HttpRequest['body']>>, undefined>;
  };
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** See HttpRequest. PUT and PATCH are, without a word. */
  readonly isRepeatable?: boolean;
}

export interface Poll<T> {
  readonly path: string;
  readonly schema: Schema<T>;
  readonly what: string;
  readonly limitMs: number;
  isDone(value: T): boolean;
  /** Called with each answer that is not the last. */
  progress?(value: T): void;
  readonly signal?: AbortSignal;
}

export interface CloudClient {
  readonly endpoints: Endpoints;
  /** Any answer, also a refusal: for `curl`. */
  exchange(call: Call): Promise<HttpAnswer>;
  /** Throws CfApiError for 4xx and 5xx. */
  read<T>(schema: Schema<T>, call: Call): Promise<T>;
  /** As `read`, for calls whose body does not matter. Waits for the job that a 202 names. */
  act(call: Call): Promise<void>;
  /** Writes a body to a file as it comes. Throws CfApiError for 4xx and 5xx. */
  save(call: Call, file: string): Promise<void>;
  /** Gives a body part by part to `take`, as it comes, until it ends. Throws CfApiError for 4xx and 5xx. */
  follow(call: Call, take: (chunk: Buffer) => void): Promise<void>;
  /** Every resource of a list, page after page. */
  list<T>(schema: Schema<T>, path: string, query?: Record<string, string>): AsyncGenerator<T>;
  first<T>(schema: Schema<T>, path: string, query?: Record<string, string>): Promise<T | null>;
  all<T>(schema: Schema<T>, path: string, query?: Record<string, string>): Promise<T[]>;
  /** Asks until it is done; lets a server that can hold the request hold it. Throws WaitedTooLongError. */
  poll<T>(poll: Poll<T>): Promise<T>;
}

interface Deps {
  readonly transport: Transport;
  readonly endpoints: Endpoints;
  readonly tokens: TokenStore;
  /** Epoch ms. */
  now(): number;
}

/** cf's margin too: a token with less life than this is not worth starting with. */
const REFRESH_BEFORE_MS = 60_000;
const HOLD_SECONDS = 20;
/** CF's most for one page. */
const PAGE_MAX = '5000';
const JOB_LIMIT_MS = 15 * 60_000;
/** A server that answers "not yet" at once does not hold: then asked after these pauses, the last one again and again. */
const POLL_PAUSES_MS = [100, 200, 400, 800, 1_500];
const HELD_AT_LEAST_MS = 1_000;

type Send = (request: HttpRequest) => Promise<HttpAnswer>;

export function createCloudClient({ transport, endpoints, tokens, now }: Deps): CloudClient {
  const traceId = randomBytes(16).toString('hex');

  const accessToken = createAccess({ transport, endpoints, tokens, now });
  const exchange = async (call: Call, send: Send = transport.exchange): Promise<HttpAnswer> => {
    const { method = 'GET', json, raw, headers = {}, signal, timeoutMs } = call;
    const request = async (token: string): Promise<HttpAnswer> => {
      const body = raw?.body ?? (json === undefined ? undefined : () => JSON.stringify(json));
      const asked: HttpRequest = {
        method,
        url: urlOf(endpoints, call),
        headers: {
          authorization: `bearer ${token}`,
          accept: 'application/json',
          'x-b3-traceid': traceId,
          'x-b3-spanid': traceId.slice(0, 16),
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(raw === undefined ? {} : { 'content-type': raw.contentType }),
          ...(raw?.contentLength === undefined ? {} : { 'content-length': String(raw.contentLength) }),
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
        signal,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        isRepeatable: call.isRepeatable ?? (method === 'PUT' || method === 'PATCH'),
      };
      return send(asked);
    };
    const token = await accessToken();
    const answer = await request(token);
    // The server does not take the token though it looked good (new keys, or revoked): one try with a new one.
    return answer.status === 401 && raw === undefined ? request(await accessToken(token)) : answer;
  };
  const succeed = async (call: Call, send?: Send): Promise<HttpAnswer> => {
    const answer = await exchange(call, send);
    if (answer.status >= 400) throw apiError({ method: call.method ?? 'GET', url: urlOf(endpoints, call) }, answer);
    return answer;
  };
  const read = async <T>(schema: Schema<T>, call: Call): Promise<T> =>
    parseBody(schema, { method: call.method ?? 'GET', url: urlOf(endpoints, call) }, await succeed(call));

  const list = createList(endpoints, read);
  const poll = createPoll(read, now);

  return {
    endpoints,
    exchange: call => exchange(call),
    read,
    save: async (call, file) => void (await succeed(call, request => transport.save(request, file))),
    follow: async (call, take) => void (await succeed(call, request => transport.follow(request, take))),
    list,
    poll,
    act: async call => {
      const answer = await succeed(call);
      const location = answer.headers.location;
      if (answer.status !== 202 || typeof location !== 'string') return;
      const job = await poll({
        path: location,
        schema: readJob,
        what: 'a job of the API',
        limitMs: JOB_LIMIT_MS,
        isDone: ({ state }) => state === 'COMPLETE' || state === 'FAILED',
      });
      if (job.state === 'FAILED')
        throw new JobFailedError(
          job.operation ?? 'the job',
          (job.errors ?? []).map(({ detail }) => detail),
        );
    },
    first: async (schema, path, query = {}) => {
      const page = await read(readPage, { path, query: { ...query, page: '1', per_page: '1' } });
      return page.resources.length === 0 ? null : schema.parse(page.resources[0]);
    },
    all: (schema, path, query) => Array.fromAsync(list(schema, path, query)),
  };
}

/** Gives a token that lives long enough, or another than `refused`, which the server did not take. */
function createAccess({ transport, endpoints, tokens, now }: Deps): (refused?: string) => Promise<string> {
  return async refused => {
    const isFresh = (token: string): boolean =>
      token !== refused && (readClaims(token).exp ?? Number.POSITIVE_INFINITY) * 1_000 - now() > REFRESH_BEFORE_MS;
    const known = tokens.load();
    if (known === null) throw new LoginError('no_login', 'Nobody is logged in');
    if (isFresh(known.access)) return known.access;
    const renewed = await tokens.update(async current => {
      if (current === null) throw new LoginError('no_login', 'Nobody is logged in');
      // Another process was faster: its new tokens are ours too.
      if (isFresh(current.access)) return current;
      if (current.refresh === null) throw new LoginError('expired', 'The login has ended');
      return refreshTokens(transport, endpoints, current.refresh);
    });
    return renewed.access;
  };
}

type Read = <T>(schema: Schema<T>, call: Call) => Promise<T>;

function createList(endpoints: Endpoints, read: Read): CloudClient['list'] {
  return async function* list<T>(
    schema: Schema<T>,
    path: string,
    query: Record<string, string> = {},
  ): AsyncGenerator<T> {
    let next: string | null = urlOf(endpoints, { path, query: { per_page: PAGE_MAX, ...query } });
    while (next !== null) {
      const page: ReturnType<typeof readPage.parse> = await read(readPage, { path: next });
      for (const resource of page.resources) yield schema.parse(resource);
      next = page.pagination.next?.href ?? null;
    }
  };
}

function createPoll(read: Read, now: () => number): CloudClient['poll'] {
  return async ({ path, schema, what, limitMs, isDone, progress, signal }) => {
    const startedMs = now();
    for (let quick = 0; ; ) {
      const askedMs = now();
      const headers = { prefer: `wait=${HOLD_SECONDS}` };
      const value = await read(schema, { path, headers, ...(signal === undefined ? {} : { signal }) });
      if (isDone(value)) return value;
      progress?.(value);
      if (now() - startedMs > limitMs) throw new WaitedTooLongError(what, limitMs);
      // A server that held the request has done the waiting.
      if (now() - askedMs >= HELD_AT_LEAST_MS) continue;
      await pause(POLL_PAUSES_MS[Math.min(quick++, POLL_PAUSES_MS.length - 1)], undefined, { signal });
    }
  };
}

function urlOf({ api }: Endpoints, { path, query = {} }: Pick<Call, 'path' | 'query'>): string {
  const url = new URL(path, `${api}/`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.toString();
}
