/** Bodies of requests, whole, under limits. An empty one is no error: the cf CLI sends `Content-Type: application/json` with nothing behind it. */
import type { IncomingMessage } from 'node:http';
import { InvalidRequestError } from '@cupola/model/errors';
import { API_LIMITS, PUSH_LIMITS } from '@cupola/model/limits';

const NO_JSON = 'Request invalid due to parse error: invalid request body';
const MAX_BYTES = PUSH_LIMITS.bodyMaxBytes;

/** Null: more than `maxBytes`, said or not said beforehand; nothing more is read then. */
export async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left early, the stream must live on: with it the connection would go, and the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @throws InvalidRequestError over the limit, without reading on. */
export async function readText(request: IncomingMessage): Promise<string> {
  const text = await readBytes(request, MAX_BYTES);
  if (text === null)
    throw new InvalidRequestError(`The body is larger than ${MAX_BYTES} bytes. Send less.`, 'BodyTooLarge');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(text);
  } catch {
    throw new InvalidRequestError(NO_JSON, 'MessageParseError');
  }
}

/** `undefined` for an empty body. @throws InvalidRequestError for what is no JSON object, or nested too deep. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  if (depthOf(text) > API_LIMITS.jsonDepthMax)
    throw new InvalidRequestError(
      `Request invalid due to parse error: nested more than ${API_LIMITS.jsonDepthMax} levels deep`,
      'MessageParseError',
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidRequestError(NO_JSON, 'MessageParseError');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidRequestError(NO_JSON, 'MessageParseError');
  return value;
}

/** The deepest nesting of brackets outside of strings; of the text, so that nothing deep is ever built. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (inString) {
      if (char === '\\') index++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

/** A form's fields; of one given twice the last counts. */
export function parseForm(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text));
}
