/** One request of git's HTTP, answered by `git http-backend`: a CGI program, which speaks git's protocol and starts what receives and sends. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { ended, endGroup, type Git, type GitProcess } from '../git-process.ts';

export interface BackendCall {
  readonly root: string;
  /** `/GUID.git/git-receive-pack`. */
  readonly path: string;
  readonly query: string;
  /** Who asks: without it git receives nothing. */
  readonly user: string;
  readonly environment: Record<string, string>;
}

/** Of a CGI answer (ours). */
const HEADER_MAX_BYTES = 16_384;

export async function callBackend(
  git: Git,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  call: BackendCall,
): Promise<void> {
  const child = git.start(['http-backend'], { environment: { ...cgiEnvironment(request, call), ...call.environment } });
  const over = ended(child);
  over.catch(() => undefined); // Awaited below.
  response.once('close', () => endGroup(child));
  child.stderr.resume();
  child.stdin.on('error', () => undefined); // It has read what it wants.
  request.pipe(child.stdin);
  try {
    const { status, headers, rest } = await readHead(child);
    response.writeHead(status, headers);
    response.write(rest);
    await pipeline(child.stdout, response);
  } finally {
    endGroup(child);
    await over;
  }
}

function cgiEnvironment(request: IncomingMessage, { root, path, query, user }: BackendCall): Record<string, string> {
  const { headers } = request;
  const protocol = headers['git-protocol'];
  return {
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    REQUEST_METHOD: request.method ?? 'GET',
    PATH_INFO: path,
    QUERY_STRING: query,
    REMOTE_USER: user,
    ...(headers['content-type'] === undefined ? {} : { CONTENT_TYPE: headers['content-type'] }),
    ...(headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: headers['content-length'] }),
    ...(headers['content-encoding'] === 'gzip' ? { HTTP_CONTENT_ENCODING: 'gzip' } : {}),
    ...(typeof protocol === 'string' && /^version=[012]$/.test(protocol) ? { GIT_PROTOCOL: protocol } : {}),
  };
}

interface Head {
  status: number;
  headers: Record<string, string>;
  /** What came with it. */
  rest: Buffer;
}

/** @throws when git ends without an answer. */
async function readHead({ stdout }: GitProcess): Promise<Head> {
  let seen = Buffer.alloc(0);
  for (;;) {
    const chunk = await nextChunk(stdout);
    if (chunk === null) throw new Error('git http-backend ended without an answer');
    seen = Buffer.concat([seen, chunk]);
    const end = seen.indexOf('\r\n\r\n');
    if (end >= 0) return { ...parseHead(seen.toString('latin1', 0, end)), rest: seen.subarray(end + 4) };
    if (seen.length > HEADER_MAX_BYTES) throw new Error('git http-backend answers no CGI');
  }
}

function nextChunk(stream: GitProcess['stdout']): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      stream.off('readable', look).off('end', end).off('error', reject);
    };
    const look = (): void => {
      const chunk = stream.read() as Buffer | null;
      if (chunk === null) return;
      done();
      resolve(chunk);
    };
    const end = (): void => {
      done();
      resolve(null);
    };
    stream.on('readable', look).once('end', end).once('error', reject);
    look();
  });
}

function parseHead(text: string): { status: number; headers: Record<string, string> } {
  const headers: Record<string, string> = {};
  let status = 200;
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'status') status = Number.parseInt(value, 10);
    else headers[name] = value;
  }
  return { status, headers };
}
