/** One probe of one kind: null when the app answered as it should, else what was found, in words. */
import { request } from 'node:http';
import { connect } from 'node:net';

/** Where to dial, and how long one answer may take. */
export interface Dial {
  host: string;
  port: number;
  timeoutMs: number;
}

/** Something takes connections at that port. */
export function probePort({ host, port, timeoutMs }: Dial): Promise<string | null> {
  return new Promise(resolve => {
    const socket = connect({ host, port });
    const answer = (found: string | null): void => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(timeoutMs, () => answer(`no connection to port ${port} within ${timeoutMs} ms`));
    socket.once('connect', () => answer(null));
    socket.once('error', error => answer(`${inWords(error)} on port ${port}`));
  });
}

/** The endpoint answers 200 (CF). A redirect is an answer like any other: not 200 (ours). */
export function probeHttp({ host, port, timeoutMs }: Dial, path: string): Promise<string | null> {
  return new Promise(resolve => {
    const asked = request({ host, port, path, agent: false, headers: { 'user-agent': 'cupola-health-check' } });
    const answer = (found: string | null): void => {
      clearTimeout(timer);
      asked.destroy();
      resolve(found);
    };
    const timer = setTimeout(
      () => answer(`no answer to GET ${path} on port ${port} within ${timeoutMs} ms`),
      timeoutMs,
    );
    asked.once('response', ({ statusCode }) =>
      answer(statusCode === 200 ? null : `GET ${path} on port ${port} answered ${statusCode}, not 200`),
    );
    asked.on('error', error => answer(`${inWords(error)} on port ${port}`));
    asked.end();
  });
}

function inWords(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ECONNRESET') return 'connection reset';
  return error.message;
}
