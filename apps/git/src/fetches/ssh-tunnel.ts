/**
 * A fetch over SSH: git starts a stand-in for ssh, which passes bytes to here, and here is who speaks SSH: to the address that was judged, with the webhook's
 * key, which is in no file, and for nothing but that one repository. No agent, no configuration of a user, no `ssh` on the machine (which does not start for a
 * uid without a name, as this part's). The host is known by the key that it has shown at first, or that was given.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { WordedError } from '@cupola/push/failures';
import type { Client, ServerHostKeyAlgorithm } from 'ssh2';
import type { Place } from './place.ts';

export interface SshKey {
  /** In OpenSSH's form. */
  readonly private: string;
  /** Null: any host is taken, and remembered. */
  readonly known_hosts: string | null;
}

export interface TunnelAsked {
  /** This part's own. */
  readonly folder: string;
  /** Where git's stand-in for ssh is. */
  readonly hooks: string;
  readonly place: Place;
  readonly key: SshKey;
}

export interface Tunnel extends AsyncDisposable {
  /** For git. */
  readonly environment: Record<string, string>;
  /** What the host is to be known by, if that is new. */
  readonly seen: () => string | null;
  /** Why it did not work, where SSH is the reason. */
  readonly failure: () => WordedError | null;
}

/** As long as git's own patience with a silent host (ours). */
const READY_MS = 15_000;
const KEEPALIVE_MS = 15_000;
const COMMAND_MAX = 2_048;

export async function openTunnel({ folder, hooks, place, key }: TunnelAsked): Promise<Tunnel> {
  // MB, and a tenth of a second: only where somebody fetches over SSH.
  const { default: ssh2 } = await import('ssh2');
  const path = join(folder, `ssh-${randomBytes(6).toString('hex')}.sock`);
  const state = { seen: null as string | null, failure: null as WordedError | null };
  const open = new Set<Socket>();
  const clients = new Set<Client>();
  // As git writes it: below somebody's home there is no slash before the tilde.
  const wanted = `git-upload-pack '${place.url.pathname.replace(/^\/~/, '~')}'`;
  const server = createServer({ allowHalfOpen: true }, socket => {
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
    const failed = (error: Error): void => {
      state.failure ??= wordsOf(error, place);
      socket.destroy();
    };
    readCommand(socket, failed, command => {
      if (command !== wanted) return void socket.destroy();
      const client = new ssh2.Client();
      clients.add(client);
      socket.once('close', () => client.end());
      client.once('close', () => {
        clients.delete(client);
        socket.destroy();
      });
      client.on('error', failed);
      client.once('ready', () =>
        client.exec(command, { env: { GIT_PROTOCOL: 'version=2' } }, (error, channel) => {
          if (error !== undefined) return failed(error);
          channel.stderr.resume();
          socket.pipe(channel);
          channel.pipe(socket);
        }),
      );
      client.connect({
        host: place.addresses[0] ?? '',
        port: place.port,
        username: place.url.username,
        privateKey: key.private,
        authHandler: ['none', 'publickey'],
        readyTimeout: READY_MS,
        keepaliveInterval: KEEPALIVE_MS,
        ...algorithmsFor(key.known_hosts),
        hostVerifier: (shown: Buffer) => {
          const isKnown = key.known_hosts === null || keysOf(key.known_hosts).some(({ wire }) => wire.equals(shown));
          if (isKnown && key.known_hosts === null) state.seen = lineOf(place, shown);
          if (!isKnown) state.failure = anotherHost(place);
          return isKnown;
        },
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    environment: {
      GIT_SSH: join(hooks, 'ssh'),
      GIT_SSH_VARIANT: 'ssh',
      CUPOLA_SSH_NODE: process.execPath,
      CUPOLA_SSH_SCRIPT: join(hooks, 'ssh.mjs'),
      CUPOLA_SSH_SOCKET: path,
    },
    seen: () => state.seen,
    failure: () => state.failure,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      for (const client of clients) client.destroy();
      for (const socket of open) socket.destroy();
      await closed;
      rmSync(path, { force: true });
    },
  };
}

/** The first line; what comes behind it stays in the socket. */
function readCommand(socket: Socket, failed: (error: Error) => void, take: (command: string) => void): void {
  let text = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    text = Buffer.concat([text, chunk]);
    const end = text.indexOf(10);
    if (end < 0) {
      if (text.length > COMMAND_MAX) socket.destroy();
      return;
    }
    socket.off('data', read);
    socket.pause();
    if (end + 1 < text.length) socket.unshift(text.subarray(end + 1));
    try {
      take(String((JSON.parse(text.toString('utf8', 0, end)) as { command?: unknown }).command));
    } catch (error) {
      failed(error as Error);
    }
  };
  socket.on('data', read);
}

interface HostKey {
  readonly type: string;
  readonly wire: Buffer;
}

function keysOf(knownHosts: string): HostKey[] {
  return knownHosts.split(/\r?\n/).flatMap(line => {
    const [, type = '', text = ''] = line.split(' ');
    return text === '' || line.startsWith('#') ? [] : [{ type, wire: Buffer.from(text, 'base64') }];
  });
}

/** A host has several keys: it is asked for one of those that are known. */
function algorithmsFor(knownHosts: string | null): { algorithms?: { serverHostKey: ServerHostKeyAlgorithm[] } } {
  if (knownHosts === null) return {};
  const names = keysOf(knownHosts).flatMap(({ type }) =>
    type === 'ssh-rsa' ? (['rsa-sha2-512', 'rsa-sha2-256'] as const) : [type as ServerHostKeyAlgorithm],
  );
  return { algorithms: { serverHostKey: [...new Set(names)] } };
}

/** As a line of known_hosts. */
function lineOf({ url, port }: Place, shown: Buffer): string {
  const host = port === SSH_PORT ? url.hostname : `[${url.hostname}]:${port}`;
  const type = shown.toString('latin1', 4, 4 + shown.readUInt32BE(0));
  return `${host} ${type} ${shown.toString('base64')}`;
}
const SSH_PORT = 22;

function anotherHost({ url }: Place): WordedError {
  return new WordedError(`${url.host} shows another key than the one that it is known by: it may be somebody else.`, {
    next: 'Ask who runs it. If its key has changed: cupola git:webhook APP --repo URL, and give the forge the new deploy key.',
  });
}

function wordsOf(error: Error & { level?: string }, { url }: Place): WordedError {
  return error.level === 'client-authentication'
    ? new WordedError(`${url.host} does not take the deploy key of this webhook.`, {
        next: 'Give it to the forge, to read this repository: cupola git:webhook APP shows it.',
      })
    : new WordedError(`${url.host} cannot be reached over SSH: ${error.message}`, {
        next: 'Check address and port: cupola git:webhook APP --repo URL',
      });
}
