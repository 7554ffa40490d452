/** git's part: receives pushes and deploys them, each as the user who pushed. Holds no login and no key of the platform; its folder is a cache. */
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createTransport } from '@cupola/client/transport';
import { tenantsPolicy } from '@cupola/images/registry/policy';
import { API_LIMITS, PUSH_LIMITS } from '@cupola/model/limits';
import type { Logger } from 'pino';
import { type Git, NoGitError, openGit } from './git-process.ts';
import { serve } from './http/serve.ts';
import { endLeftProcesses } from './left-processes.ts';
import { createPlatform } from './platform.ts';
import { openHookDoor } from './pushes/hook-door.ts';
import { createTurns } from './pushes/turns.ts';
import { openRepositories } from './repositories.ts';
import { createSshLogins } from './ssh/logins.ts';

type Listen = { path: string } | { host: string; port: number };

export interface GitDeps {
  /** Absolute, this part's own: repositories, and pushes while they are deployed. */
  readonly folder: string;
  readonly api: {
    /** As users know it. */
    readonly url: string;
    /** Where it is really asked, when that is elsewhere. */
    readonly via: string | null;
    readonly skipSslValidation: boolean;
  };
  readonly listen: Listen;
  /** `HOST[:PORT]`, with commas between, that lie in no public network and may be fetched from all the same; `http://` before it: by plain HTTP. */
  readonly hosts: string;
  /** Null: not over SSH. `secret`: by which the API knows this part. */
  readonly ssh: { readonly listen: Listen; readonly secret: string } | null;
  readonly log: Logger;
}

export interface GitPart extends AsyncDisposable {
  /** Null: a unix socket. */
  readonly address: { host: string; port: number } | null;
}

/** More pushes at once wait for one of these to end (ours: each unpacks what it receives). */
const REQUESTS_MAX = 16;

/** Resolves when pushes are received, or, where the machine has no git, told that. */
export async function start(given: GitDeps): Promise<GitPart> {
  const { folder, listen, log } = given;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(join(folder, 'work'), { recursive: true, force: true });
  await using starting = new AsyncDisposableStack();
  const handle = await openHandler(given, starting);
  let busy = 0;
  const server = createServer(
    { maxHeaderSize: API_LIMITS.headerBytesMax, requestTimeout: PUSH_LIMITS.uploadTimeoutMs },
    (request, response) => {
      if (busy >= REQUESTS_MAX) return refuse(response, 'Many pushes are under way. Push again in a moment.');
      busy++;
      void handle(request, response).finally(() => busy--);
    },
  );
  server.headersTimeout = API_LIMITS.headersTimeoutMs;
  if ('path' in listen) rmSync(listen.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, resolve);
  });
  starting.defer(async () => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  });
  const address = server.address();
  const running = starting.move();
  log.info('pushes by git are received');
  return {
    address: typeof address === 'string' || address === null ? null : addressOf(address),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

async function openHandler({ folder, api, hosts, ssh, log }: GitDeps, starting: AsyncDisposableStack): Promise<Handle> {
  let git: Git;
  try {
    git = openGit({ folder, hooks: join(import.meta.dirname, 'hooks') });
  } catch (error) {
    if (!(error instanceof NoGitError)) throw error;
    log.error(error.message);
    return async (_request, response) => refuse(response, error.message);
  }
  await endLeftProcesses(git);
  const transport = starting.use(
    createTransport({
      userAgent: 'cupola-git/0.1.0',
      skipSslValidation: api.skipSslValidation,
      proxyFromEnvironment: false,
      ...(api.via === null ? {} : { via: { of: new URL(api.url).origin, to: new URL(api.via).origin } }),
    }),
  );
  const door = starting.use(await openHookDoor(folder, join(import.meta.dirname, 'hooks', 'pre-receive.mjs')));
  const deps = {
    ...{ git, folder, log, door },
    policy: tenantsPolicy(listed(hosts)),
    repositories: openRepositories(git, folder),
    turns: createTurns(),
    platform: createPlatform(transport, api.url),
  };
  if (ssh !== null) {
    // A tenth of a second, and MB: where nobody has asked for SSH it is not loaded.
    const { startSsh } = await import('./ssh/server.ts');
    starting.use(
      await startSsh({ ...deps, logins: createSshLogins(transport, { url: api.url, secret: ssh.secret }) }, ssh.listen),
    );
  }
  return (request, response) => serve(deps, { request, response });
}

function refuse(response: ServerResponse, text: string): void {
  response.writeHead(503, { 'content-type': 'text/plain', 'retry-after': '5', connection: 'close' });
  response.end(`${text}\n`);
}

function addressOf({ address, port }: AddressInfo): { host: string; port: number } {
  return { host: address, port };
}

function listed(hosts: string): string[] {
  return hosts
    .split(',')
    .map(host => host.trim())
    .filter(host => host !== '');
}
