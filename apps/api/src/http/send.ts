/** Replies and failures as HTTP. Only here are headers written. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CfFailure } from '../cf-error.ts';
import type { Reply } from './endpoint.ts';
import { jsonOf } from './json-text.ts';

export const JSON_TYPE = 'application/json; charset=utf-8';

/** Resolves when the answer is on its way; a stream's, when it has ended. A client that leaves meanwhile is no failure. */
export async function sendReply(response: ServerResponse, reply: Reply): Promise<void> {
  if (reply.status === 101) return;
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  // The cf CLI splits at commas first, then decodes each part.
  if (reply.warnings !== undefined && reply.warnings.length > 0)
    response.setHeader('X-Cf-Warnings', reply.warnings.map(formEncode).join(','));
  if (reply.body instanceof Readable) return sendStream(response, reply, reply.body);
  if (reply.body === undefined) return sendBytes(response, reply.status, null);
  const textType = typeof reply.body === 'string' ? 'text/plain; charset=utf-8' : JSON_TYPE;
  response.setHeader('Content-Type', reply.contentType ?? textType);
  sendBytes(response, reply.status, bytesOf(reply.body));
}

function bytesOf(body: unknown): Buffer {
  if (body instanceof Buffer) return body;
  return typeof body === 'string' ? Buffer.from(body) : jsonOf(body);
}

export function sendFailure(response: ServerResponse, failure: CfFailure): void {
  for (const [name, value] of Object.entries(failure.headers)) response.setHeader(name, value);
  response.setHeader('Content-Type', JSON_TYPE);
  sendBytes(response, failure.status, Buffer.from(JSON.stringify({ errors: failure.errors })));
}

function sendBytes(response: ServerResponse, status: number, bytes: Buffer | null): void {
  response.statusCode = status;
  if (bytes !== null) response.setHeader('Content-Length', bytes.length);
  else if (status !== 204 && status !== 304 && !response.hasHeader('Content-Length'))
    response.setHeader('Content-Length', 0); // The answer to HEAD says the length of what it leaves out.
  response.end(bytes ?? undefined);
}

async function sendStream(response: ServerResponse, reply: Reply, body: Readable): Promise<void> {
  response.statusCode = reply.status;
  response.setHeader('Content-Type', reply.contentType ?? 'application/octet-stream');
  await pipeline(body, response);
}

/** As forms do it: a blank is `+`, a comma `%2C`. */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}
