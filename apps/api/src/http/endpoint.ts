/**
 * The seam between Cupola's handlers and the HTTP library: a handler gets a parsed request and returns a value; only `http/server.ts` knows Express.
 * One `Endpoint` each: parse, authorize, act, present. Every one is listed in `endpoints.ts`, from which routes, OpenAPI and the role table are made.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';

export interface ApiRequest<Query = Record<string, string>, Body = unknown> {
  /** Path parameters by name, decoded. */
  params: Record<string, string>;
  /** Checked by the endpoint's schema. Keys keep their brackets: `fields[space]`. A key given twice is joined by a comma. */
  query: Query;
  /** Checked JSON; `undefined` for an empty body. Text for `body: 'yaml'`. */
  body: Body;
  actor: Actor;
  /** `X-Vcap-Request-Id` of this request. */
  requestId: string;
  /** `X-B3-TraceId`: one value for each invocation of the cf CLI. Null when absent. */
  trace: string | null;
  userAgent: string;
  /** Address of who asks, also behind our own router. */
  clientAddress: string;
  /** Seconds of `Prefer: wait=N`, else null. */
  preferWaitSeconds: number | null;
  /** Path and query as asked, for the links of pages. */
  url: URL;
  /** Aborted when the client has gone or the server drains: a held request ends. */
  signal: AbortSignal;
  /** For uploads and downloads only. */
  raw: {
    request: IncomingMessage;
    response: ServerResponse;
    /** Of a request that asks for another protocol: what came behind its head. Null for all others. */
    upgradeHead: Buffer | null;
  };
}

export interface Reply {
  /** 101: the handler has taken the connection over. */
  status: number;
  /** Sent as JSON, `JsonTexts` as lists; a string, Buffer or Readable is sent as it is, with `contentType`. Absent: no body. */
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string | string[]>;
  /** CF warnings, sent as X-Cf-Warnings, each form-encoded. */
  warnings?: string[];
}

export interface Endpoint {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Express form: `/v3/apps/:guid`. */
  path: string;
  /** `anyone`: no token needed. `user`: a valid access token. `upload`: as user, with the leeway for tokens that end during an upload. */
  auth: 'anyone' | 'user' | 'upload';
  /** `multipart` and `stream` endpoints read `raw.request` themselves, after authentication. */
  body: 'json' | 'yaml' | 'form' | 'multipart' | 'stream' | 'none';
  /** Whose form failures have: Cloud Controller's (`errors`), UAA's (`error`, `error_description`), or the policy server's (`error`). */
  failures: 'cf' | 'uaa' | 'networking';
  summary: string;
  querySchema: z.ZodType | null;
  bodySchema: z.ZodType | null;
  responseSchema: z.ZodType | null;
  handle(deps: ApiDeps, request: ApiRequest): Promise<Reply>;
}

interface Definition<Q extends z.ZodType, B extends z.ZodType> {
  method: Endpoint['method'];
  path: string;
  summary: string;
  auth?: Endpoint['auth'];
  body?: Endpoint['body'];
  failures?: Endpoint['failures'];
  /** Unknown keys: 400 `The query parameter is invalid: Unknown query parameter(s): 'x'. Valid parameters are: ...`, as CF. */
  query?: Q;
  bodySchema?: B;
  responseSchema?: z.ZodType;
  handle(deps: ApiDeps, request: ApiRequest<z.output<Q>, z.output<B>>): Promise<Reply>;
}

/** Ties a handler to its schemas: inside, query and body have the schemas' types. The server parses with the schemas before it calls `handle`. */
export function endpoint<
  Q extends z.ZodType = z.ZodType<Record<string, string>>,
  B extends z.ZodType = z.ZodType<undefined>,
>(definition: Definition<Q, B>): Endpoint {
  const { method, path, summary, auth = 'user', query, bodySchema, responseSchema } = definition;
  return {
    method,
    path,
    summary,
    auth,
    body: definition.body ?? (bodySchema === undefined ? 'none' : 'json'),
    failures: definition.failures ?? 'cf',
    querySchema: query ?? null,
    bodySchema: bodySchema ?? null,
    responseSchema: responseSchema ?? null,
    // The server has parsed both with the same schemas: the one place where their types are taken on trust.
    handle: (deps, request) => definition.handle(deps, request as ApiRequest<z.output<Q>, z.output<B>>),
  };
}
