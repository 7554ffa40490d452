/** Writes requests to a copy: the head as one text, and a body in the copy's pace, framed by its length or in chunks. */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;
const TARGET = /^[\x21-\xff]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export interface OutgoingRequest {
  readonly method: string;
  readonly target: string;
  /** Flat list, without those that frame the message or are about the connection: these are written here. */
  readonly headers: readonly string[];
  readonly body: Readable | null;
  /** Of the body; null: not known, so it goes in chunks, if there is one. */
  readonly contentLength: number | null;
  /** May be repeated if it gets lost: any idle connection will do. */
  readonly idempotent: boolean;
}

/** A server that does not expect a body there may take it for the next request: such a connection carries no other. */
const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE']);

/** Where no length could be taken for one that is not known (RFC 9110 section 8.6). */
const EXPECT_BODY = new Set(['POST', 'PUT', 'PATCH']);

export function isLastOnConnection({ method, body }: OutgoingRequest): boolean {
  return body !== null && BODILESS.has(method);
}

/** The bytes, as latin1; null when some of them would be read as more than what they stand for. */
export function requestHead(request: OutgoingRequest): string | null {
  const { method, target, headers, body, contentLength } = request;
  if (!TOKEN.test(method) || !TARGET.test(target)) return null;
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!TOKEN.test(name) || !VALUE.test(value)) return null;
    text += `${name}: ${value}\r\n`;
  }
  if (isLastOnConnection(request)) text += 'Connection: close\r\n';
  if (body !== null)
    text += contentLength === null ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${contentLength}\r\n`;
  else if (contentLength === 0 || EXPECT_BODY.has(method)) text += 'Content-Length: 0\r\n';
  return `${text}\r\n`;
}

export interface BodyProgress {
  /** All of it has been written. */
  ended(): void;
  /** It came to no end, or had another length than its head says. */
  failed(error: Error): void;
}

/** Begins to read the body. Returns how to stop: nothing more is read, written or told. */
export function sendBody(
  socket: Socket,
  { body, contentLength }: { body: Readable; contentLength: number | null },
  progress: BodyProgress,
): () => void {
  let sent = 0;
  const write = (chunk: Buffer): boolean => {
    if (contentLength !== null) return socket.write(chunk);
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    const hasRoom = socket.write('\r\n', 'latin1');
    socket.uncork();
    return hasRoom;
  };
  const take = (chunk: Buffer): void => {
    if (chunk.length === 0) return; // In chunks that would be the end.
    sent += chunk.length;
    if (contentLength !== null && sent > contentLength) fail(new Error('the body is longer than its head says'));
    else if (!write(chunk)) body.pause();
  };
  const go = (): void => {
    body.resume();
  };
  const stop = (): void => {
    body.off('data', take).off('end', end).off('error', fail);
    socket.off('drain', go);
  };
  const fail = (error: Error): void => {
    stop();
    progress.failed(error);
  };
  const end = (): void => {
    stop();
    if (contentLength === null) socket.write('0\r\n\r\n', 'latin1');
    if (contentLength === null || sent === contentLength) progress.ended();
    else progress.failed(new Error('the body is shorter than its head says'));
  };
  socket.on('drain', go);
  body.on('end', end).on('error', fail).on('data', take);
  return stop;
}
