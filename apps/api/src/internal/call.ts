/** One call of the internal listener, as its handlers see it: small on purpose, since its few clients are our own parts. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Role } from '@cupola/certificates/members/names';
import { InvalidRequestError } from '@cupola/model/errors';
import type { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import type { Caller } from './caller.ts';

/** Reports of 250 copies with 20 lines of log each fit in; a part that sends more is broken. */
const BODY_MAX_BYTES = 32 * 1024 * 1024;

export interface InternalCall {
  deps: ApiDeps;
  caller: Caller;
  params: Record<string, string>;
  query: URLSearchParams;
  request: IncomingMessage;
  response: ServerResponse;
  /** Aborted when the client has gone or the listener closes. */
  signal: AbortSignal;
}

export type InternalReply =
  | { status: number; json?: unknown }
  | { elsewhere: string }
  | { stream: Readable; sizeBytes: number }
  | 'answered';

export interface InternalRoute {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** `/internal/cells/:cellId/watch`. */
  path: string;
  /** Members that may call it; the machine's own socket may call everything. Absent: nobody else. */
  for?: readonly Role[] | 'everybody';
  handle(call: InternalCall): Promise<InternalReply>;
}

/** Resolves when the answer is on its way; a stream's, when it has ended. Cut short, its reader notices by the length, and asks again. */
export async function sendInternal(response: ServerResponse, reply: InternalReply): Promise<void> {
  if (reply === 'answered') return;
  if ('stream' in reply) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': reply.sizeBytes });
    await pipeline(reply.stream, response).catch(() => response.destroy());
    return;
  }
  if ('elsewhere' in reply) return void response.writeHead(303, { location: reply.elsewhere }).end();
  const text = reply.json === undefined ? '' : JSON.stringify(reply.json);
  response.writeHead(reply.status, text === '' ? {} : { 'content-type': 'application/json' });
  response.end(text);
}

/** The body, checked. @throws InvalidRequestError when it is no JSON or not of this shape: a part of another version. */
export async function readJson<Schema extends z.ZodType>(
  call: InternalCall,
  schema: Schema,
): Promise<z.output<Schema>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of call.request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) throw new InvalidRequestError(`the body is larger than ${BODY_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  const parsed = schema.safeParse(parseJson(Buffer.concat(chunks).toString('utf8')));
  if (!parsed.success) throw new InvalidRequestError(`the body is not as the protocol says: ${parsed.error.message}`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidRequestError('the body is no JSON', 'MessageParseError');
  }
}

/** A query parameter that must be there. @throws InvalidRequestError */
export function needed(call: InternalCall, name: string): string {
  const value = call.query.get(name);
  if (value === null || value === '') throw new InvalidRequestError(`the query parameter '${name}' is missing`);
  return value;
}

export function neededNumber(call: InternalCall, name: string): number {
  const value = Number(needed(call, name));
  if (!Number.isSafeInteger(value)) throw new InvalidRequestError(`the query parameter '${name}' is no whole number`);
  return value;
}
