/**
 * git over SSH: `git-receive-pack` and `git-upload-pack` of one repository, and nothing else: no shell, no terminal, no forwarding, no file transfer. Who logs in
 * is found out by the API, from what their client has signed; what they do is done with a token of theirs for that push.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeSshKey } from '@cupola/certificates/ssh-key';
import type { CloudClient } from '@cupola/client/cloud-client';
import ssh2, { type AuthContext, type Connection, type ServerChannel } from 'ssh2';
import { ended, endGroup } from '../git-process.ts';
import type { ServeDeps } from '../http/serve.ts';
import { findTarget, makeApp, type RepositoryName } from '../platform.ts';
import { receive } from '../pushes/receive.ts';
import type { SshLogins } from './logins.ts';

export interface SshDeps extends ServeDeps {
  readonly logins: SshLogins;
}

export interface SshServer extends AsyncDisposable {
  /** As `ssh-keygen -l` shows it. */
  readonly address: { host: string; port: number } | null;
}

/** As OpenSSH's LoginGraceTime, shorter (ours): a key needs no typing. */
const LOGIN_MS = 30_000;
/** Keys that one connection may offer. */
const OFFERS_MAX = 10;
const CONNECTIONS_MAX = 32;
/** Of a push that is being built, git says nothing for long: the connection is asked instead. */
const KEEPALIVE_MS = 15_000;
const KEEPALIVES_MAX = 4;

/** Made once, kept: by it clients know the server again. */
function hostKey(folder: string): string {
  const file = join(folder, 'ssh-host-key');
  const known = existsSync(file) ? readFileSync(file, 'utf8') : '';
  // One that cannot be read has never been shown to anybody.
  if (!(ssh2.utils.parseKey(known) instanceof Error)) return known;
  const { private: made } = makeSshKey('cupola');
  writeFileSync(file, made, { mode: 0o600 });
  return made;
}

export async function startSsh(
  deps: SshDeps,
  listen: { path: string } | { host: string; port: number },
): Promise<SshServer> {
  const open = new Set<Connection>();
  const server = new ssh2.Server(
    {
      hostKeys: [hostKey(deps.folder)],
      ident: 'Cupola',
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: KEEPALIVES_MAX,
    },
    connection => {
      open.add(connection);
      connection.on('close', () => open.delete(connection)).on('error', error => deps.log.debug({ err: error }, 'ssh'));
      if (open.size > CONNECTIONS_MAX) return void connection.end();
      serveConnection(deps, connection);
    },
  );
  if ('path' in listen) rmSync(listen.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if ('path' in listen) server.listen(listen.path, resolve);
    else server.listen(listen.port, listen.host, resolve);
  });
  const address = server.address();
  return {
    address: typeof address === 'string' || address === null ? null : { host: address.address, port: address.port },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      for (const connection of open) connection.end();
      await closed;
    },
  };
}

function serveConnection(deps: SshDeps, connection: Connection): void {
  const login = { token: null as string | null };
  let offers = 0;
  const late = setTimeout(() => connection.end(), LOGIN_MS);
  connection.once('close', () => clearTimeout(late));
  connection.on('authentication', context => {
    if (offers++ > OFFERS_MAX * 2) return void connection.end();
    authenticate(deps.logins, context).then(
      token => {
        if (token === 'refused') return context.reject(['publickey']);
        login.token = token;
        context.accept();
      },
      (error: unknown) => {
        deps.log.warn({ err: error }, 'nobody could say whose key it is');
        context.reject(['publickey']);
      },
    );
  });
  connection.on('ready', () => {
    clearTimeout(late);
    connection.on('request', (_accept, reject) => reject?.());
    connection.on('tcpip', (_accept, reject) => reject());
    connection.on('session', accept => {
      const session = accept();
      let protocol: string | null = null;
      for (const kind of ['pty', 'window-change', 'x11', 'auth-agent', 'subsystem', 'sftp'] as const)
        session.on(kind as 'pty', (_accept, reject) => reject?.());
      session.on('env', (take, reject, { key, val }) => {
        if (key !== 'GIT_PROTOCOL' || !/^version=[012]$/.test(val)) return reject?.();
        protocol = val;
        take?.();
      });
      session.on('shell', take => refuse(take(), 'There is no shell here: this is for git push.'));
      session.on('exec', (take, _reject, { command }) => {
        const channel = take();
        // Not before: what git has said last would be cut off.
        channel.once('close', () => connection.end());
        execute(deps, channel, { command, protocol, token: login.token ?? '' }).catch((error: unknown) =>
          refuse(channel, (error as Error).message),
        );
      });
    });
  });
}

const HASHES = ['sha256', 'sha512'] as const;

/** Null: a key that is only offered. */
async function authenticate(logins: SshLogins, context: AuthContext): Promise<string | null | 'refused'> {
  if (context.method !== 'publickey') return 'refused';
  const { key, signature, blob, hashAlgo } = context;
  const hash = HASHES.find(name => name === hashAlgo) ?? null;
  const proof = signature === undefined || blob === undefined ? null : { signed: blob, signature, hash };
  return logins.ask(key.data, proof);
}

function refuse(channel: ServerChannel, text: string): void {
  channel.stderr.write(`${text}\r\n`);
  channel.exit(1);
  channel.end();
}

interface Execution {
  command: string;
  protocol: string | null;
  token: string;
}

/** `git-receive-pack '/ORG/SPACE/APP.git'`, as git asks for it. Null: anything else. */
export function readCommand(command: string): { service: 'receive-pack' | 'upload-pack'; name: RepositoryName } | null {
  const [, service, path = ''] = /^git-(receive-pack|upload-pack) '([^'\0\n]+)'$/.exec(command) ?? [];
  const [organization = '', space = '', repository = '', ...more] = path.replace(/^\//, '').split('/').map(decoded);
  const app = repository.replace(/\.git$/, '');
  if (service === undefined || more.length > 0 || organization === '' || space === '' || app === '') return null;
  return { service: service as 'receive-pack' | 'upload-pack', name: { organization, space, app } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // As it is typed.
  }
}

/** @throws what the API says. */
async function execute(deps: SshDeps, channel: ServerChannel, { command, protocol, token }: Execution): Promise<void> {
  const asked = readCommand(command);
  if (asked === null) throw new Error('Only git is served here: git push ssh://HOST:PORT/ORG/SPACE/APP.git main');
  const client = await deps.platform.as(token);
  const { repository, environment, forget } = await prepare(deps, client, asked);
  const child = deps.git.start([asked.service, repository], {
    environment: { ...environment, ...(protocol === null ? {} : { GIT_PROTOCOL: protocol }) },
  });
  channel.once('close', () => endGroup(child));
  child.stdin.on('error', () => undefined); // It has read what it wants.
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  const code = await ended(child).finally(forget);
  channel.exit(code < 0 ? 1 : code);
  channel.end();
}

interface Prepared {
  repository: string;
  environment: Record<string, string>;
  forget(): void;
}

async function prepare(
  deps: SshDeps,
  client: CloudClient,
  { service, name }: NonNullable<ReturnType<typeof readCommand>>,
): Promise<Prepared> {
  if (service === 'upload-pack') {
    const { app } = await findTarget(client, name);
    const repository = app === null ? await deps.repositories.empty() : await deps.repositories.open(app.guid);
    return { repository, environment: {}, forget: () => undefined };
  }
  const target = await makeApp(client, name);
  const repository = await deps.repositories.open(target.app.guid);
  return { repository, ...deps.door.expect(received => receive(deps, { client, target, repository }, received)) };
}
