/** For tests: a PostgreSQL server of its own in a temp folder, reached over its socket, so that no port is taken. Durable like a real one unless told otherwise. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/** Databases of a server that runs. */
interface Databases {
  /** Folder with its socket. */
  folder: string;
  /** Makes an empty database, or a copy of another; its name. */
  database(options?: { name?: string; template?: string }): Promise<string>;
  drop(database: string): Promise<void>;
  /** `postgres://` address of a database; over another socket when its folder is given. */
  url(database: string, folder?: string): string;
}

export interface PostgresServer extends Databases, AsyncDisposable {
  /** As by an operator who restarts it at once, or by kill -9; `start` brings it back. */
  stop(signal: 'SIGINT' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
}

const USER = 'cupola';
const PORT = 5432;

export function hasPostgres(): boolean {
  return binaries() !== null;
}

/** Of the newest version that is installed. */
function binaries(): string | null {
  const found = globSync('/usr/lib/postgresql/*/bin/initdb').sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  return found.at(-1)?.replace(/\/initdb$/, '') ?? null;
}

/** The server refuses to run as root. */
function owner(): { uid: number; gid: number } | Record<string, never> {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export async function startPostgres({ durable = false } = {}): Promise<PostgresServer> {
  const bin = binaries();
  if (bin === null) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  const folder = mkdtempSync(join(tmpdir(), 'cupola-postgres-'));
  const as = owner();
  if ('uid' in as) chownSync(folder, as.uid, as.gid);
  // Of the socket: who may connect is the server's to say.
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  // An order of words that is not that of bytes, as most databases have it: ours must not depend on it.
  const words = ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
  execFileSync(join(bin, 'initdb'), [...words, '--locale-provider=icu', '--icu-locale=en'], {
    ...as,
    stdio: 'ignore',
    cwd: folder,
  });
  let server: ChildProcess;

  async function start(): Promise<void> {
    const settings = [
      'listen_addresses=',
      `unix_socket_directories=${folder}`,
      `fsync=${durable ? 'on' : 'off'}`,
      'max_connections=400',
    ];
    server = spawn(join(bin as string, 'postgres'), ['-D', data, ...settings.flatMap(setting => ['-c', setting])], {
      ...as,
      stdio: 'ignore',
      cwd: folder,
    });
    await untilItAnswers();
  }

  async function untilItAnswers(): Promise<void> {
    for (;;) {
      const client = new pg.Client(url('postgres'));
      client.on('error', () => undefined);
      try {
        await client.connect();
        return await client.end();
      } catch (error) {
        if (server.exitCode !== null) throw error;
        await new Promise(resolve => setTimeout(resolve, 20));
      }
    }
  }

  async function stop(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  const { url, ...databases } = reachPostgres(folder);
  await start();
  return {
    ...databases,
    url,
    stop,
    start,
    [Symbol.asyncDispose]: async () => {
      if (server.exitCode === null && server.signalCode === null) await stop('SIGINT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The server whose socket lies in `folder`. */
export function reachPostgres(folder: string): Databases {
  const url = (database: string, over = folder): string =>
    `postgres://${USER}@/${database}?host=${encodeURIComponent(over)}&port=${PORT}`;
  const run = async (statement: string): Promise<void> => {
    const client = new pg.Client(url('postgres'));
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return {
    folder,
    url,
    database: async ({ name = `test_${randomUUID().replaceAll('-', '')}`, template = 'template1' } = {}) => {
      await run(`create database ${name} template ${template}`);
      return name;
    },
    drop: database => run(`drop database if exists ${database} with (force)`),
  };
}
