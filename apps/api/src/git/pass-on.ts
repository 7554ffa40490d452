/** Hands a request of git's on to the part that runs git, as it comes, and its answer back; keeps nothing of either. */
import http from 'node:http';
import https from 'node:https';
import { UnavailableError } from '@cupola/model/errors';
import type { ApiRequest, Reply } from '../http/endpoint.ts';
import { createPace } from '../packages/pace.ts';

/** Where the part listens: on this machine's socket, or at a URL. */
export type GitPart = ({ socketPath: string } | { url: string }) & {
  /** By which it shows that it is the part, when it asks whose key it has seen; empty: it may not. */
  secret?: string;
  /** Where users reach it over SSH; null: nowhere. */
  sshPort?: number | null;
};

/** What git's protocol needs; nothing else of a stranger's headers comes through. */
const PASSED = ['content-type', 'content-encoding', 'content-length', 'accept', 'accept-encoding', 'git-protocol'];
const ANSWERED = ['cache-control', 'expires', 'pragma'];
const PACE_LOOK_MS = 5_000;

interface PassedOn {
  path: string;
  authorization: string;
}

/** @throws UnavailableError when nobody listens there. */
export async function passOn(
  part: GitPart,
  { raw: { request, response }, requestId }: ApiRequest,
  { path, authorization }: PassedOn,
): Promise<Reply> {
  const headers = Object.fromEntries(
    PASSED.flatMap(name => (request.headers[name] ? [[name, request.headers[name]]] : [])),
  );
  const asked = openRequest(part, path, {
    method: request.method ?? 'GET',
    headers: { ...headers, authorization, 'x-vcap-request-id': requestId },
  });
  response.once('close', () => asked.destroy());
  const watch = watchPace(request, () => asked.destroy(new Error('the push came too slowly')));
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve);
    asked.once('error', reject);
    request.once('error', reject);
    request.pipe(asked);
  })
    .catch((error: unknown) => {
      throw new UnavailableError(
        `Pushes by git cannot be received at this moment (${(error as Error).message}). Try again in a moment; cupola push works meanwhile.`,
      );
    })
    .finally(watch.end);
  const answered = Object.fromEntries(
    ANSWERED.flatMap(name => {
      const value = answer.headers[name];
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
  return {
    status: answer.statusCode ?? 502,
    headers: answered,
    contentType: answer.headers['content-type'] ?? 'application/octet-stream',
    body: answer,
  };
}

/** At the part, wherever it listens. */
export function openRequest(part: GitPart, path: string, options: http.RequestOptions): http.ClientRequest {
  if ('socketPath' in part) return http.request({ ...options, socketPath: part.socketPath, path });
  const url = new URL(path, `${part.url}/`);
  return (url.protocol === 'https:' ? https : http).request(url, options);
}

/** Ends what trickles in, as uploads of packages are ended. */
function watchPace(request: http.IncomingMessage, tooSlow: () => void): { end(): void } {
  const keepsUp = createPace(performance.now());
  const before = request.socket.bytesRead;
  const timer = setInterval(() => {
    if (request.complete) clearInterval(timer);
    else if (!keepsUp(request.socket.bytesRead - before, performance.now())) tooSlow();
  }, PACE_LOOK_MS);
  return { end: () => clearInterval(timer) };
}
