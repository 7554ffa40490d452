/** A forge in a test: the machine's own `git http-backend` behind a login, on a port of loopback, and the part of its API that takes statuses of commits. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Git } from '../git-process.ts';
import { callBackend } from '../http/backend.ts';

export interface TestForge extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Folder of its repositories. */
  readonly root: string;
  /** Requests of git: path, and whether the login was right. */
  readonly asked: string[];
  readonly statuses: { path: string; headers: IncomingHttpHeaders; body: Record<string, unknown> }[];
  /** Answers every request of git so, instead. */
  redirect: string | null;
}

/** `root` holds bare repositories: `team/shop.git`. */
export async function startForge(
  git: Git,
  { root, user, token }: { root: string; user: string; token: string },
): Promise<TestForge> {
  const wanted = `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '', 'http://forge');
    if (pathname.startsWith('/api/')) {
      let text = '';
      request.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      request.on('end', () => {
        forge.statuses.push({ path: pathname, headers: request.headers, body: JSON.parse(text) });
        response.writeHead(201).end('{}');
      });
      return;
    }
    const isRight = request.headers.authorization === wanted;
    forge.asked.push(`${pathname} ${isRight ? 'with the login' : 'without'}`);
    if (forge.redirect !== null) return void response.writeHead(302, { location: forge.redirect }).end();
    if (!isRight) return void response.writeHead(401, { 'www-authenticate': 'Basic realm="forge"' }).end();
    callBackend(
      git,
      { request, response },
      { root, path: pathname, query: search.slice(1), user: 'x', environment: {} },
    ).catch(() => response.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const forge: TestForge = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    root,
    asked: [],
    statuses: [],
    redirect: null,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
  return forge;
}
