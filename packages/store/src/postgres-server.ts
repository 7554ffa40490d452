/** For tests: a PostgreSQL server of its own in a temp folder, reached over its socket, so that no port is taken. Durable like a real one unless told otherwise. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import pg from 'pg';

/** Databases of a server that runs. */
interface Databases {
  /** Folder with its socket. */
  folder: string;
  /** Makes an empty database, or a copy of another; its name. */
  database(options?: { name?: string; template?: string }): Promise<string>;
  drop(database: string): Promise<void>;
  /** `postgres://` address of a database; over other sockets when their folders are given. */
  url(database: string, ...folders: string[]): string;
  /** A plain connection; whoever gets it ends it. */
  client(database: string): Promise<pg.Client>;
  /** Of the database `postgres`. */
  query(statement: string): Promise<Record<string, unknown>[]>;
}

export interface PostgresServer extends Databases, AsyncDisposable {
  /** As by an operator who restarts it at once, or by kill -9 of all of its processes; `start` brings it back. */
  stop(signal: 'SIGINT' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  /** The process above all of its others. */
  pid(): number;
  /** Stops all of its processes where they are (SIGSTOP), or lets them go on (SIGCONT). */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** A copy that follows this one. While there is a synchronous one, a commit is answered when it is there too; when it is away, commits wait. */
  standby(kind: 'synchronous' | 'asynchronous'): Promise<StandbyServer>;
}

export interface StandbyServer extends PostgresServer {
  /** It takes writes from now on, in a timeline of its own. */
  promote(): void;
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

/** A folder of a server's own, and its programs, run as its owner. */
function makePlace() {
  const bin = binaries();
  if (bin === null) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  const folder = mkdtempSync(join(tmpdir(), 'cupola-postgres-'));
  const options = { ...owner(), stdio: 'ignore', cwd: folder } as const;
  if ('uid' in options) chownSync(folder, options.uid, options.gid);
  // Of the socket: who may connect is the server's to say.
  chmodSync(folder, 0o755);
  return {
    folder,
    data: join(folder, 'data'),
    run: (program: string, ...args: string[]): void => void execFileSync(join(bin, program), args, options),
    launch: (...args: string[]): ChildProcess => spawn(join(bin, 'postgres'), args, options),
  };
}
type Place = ReturnType<typeof makePlace>;

export async function startPostgres({ durable = false } = {}): Promise<PostgresServer> {
  const place = makePlace();
  // An order of words that is not that of bytes, as most databases have it: ours must not depend on it.
  const words = ['-D', place.data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
  place.run('initdb', ...words, '--locale-provider=icu', '--icu-locale=en');
  return serve(place, durable);
}

async function serve({ folder, data, launch }: Place, durable: boolean): Promise<PostgresServer> {
  const databases = reachPostgres(folder);
  let server: ChildProcess;

  async function start(): Promise<void> {
    const settings = [
      'listen_addresses=',
      `unix_socket_directories=${folder}`,
      `fsync=${durable ? 'on' : 'off'}`,
      'max_connections=400',
      // By this name it is known to a server that it follows.
      `cluster_name=${basename(folder)}`,
    ];
    server = launch('-D', data, ...settings.flatMap(setting => ['-c', setting]));
    await untilItAnswers();
  }

  async function untilItAnswers(): Promise<void> {
    for (;;)
      try {
        await databases.query('select 1');
        return;
      } catch (error) {
        if (server.exitCode !== null) throw error;
        await new Promise(resolve => setTimeout(resolve, 20));
      }
  }

  async function stop(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const ended = once(server, 'exit');
    // All of them at once, as when a machine loses its power: those that are left alone end in order.
    if (signal === 'SIGKILL') tellAll(signal);
    else server.kill(signal);
    await ended;
  }

  function tellAll(signal: NodeJS.Signals): void {
    for (const pid of [...childrenOf(server.pid), server.pid ?? 0])
      try {
        process.kill(pid, signal);
      } catch {
        // It has just ended.
      }
  }

  async function standby(kind: 'synchronous' | 'asynchronous'): Promise<StandbyServer> {
    const place = makePlace();
    const name = basename(place.folder);
    place.run('pg_basebackup', '-h', folder, '-U', USER, '-D', place.data, '-R', '-c', 'fast', '--no-sync');
    const follower = await serve(place, durable);
    // Told after it was copied: it would wait for a standby itself once it has taken over.
    if (kind === 'synchronous')
      await databases.query(`alter system set synchronous_standby_names = 'ANY 1 ("${name}")'`);
    await databases.query('select pg_reload_conf()');
    const [state, sync] = ['streaming', kind === 'synchronous' ? 'quorum' : 'async'];
    for (;;) {
      const [row] = await databases.query(
        `select state, sync_state from pg_stat_replication where application_name = '${name}'`,
      );
      if (row?.state === state && row.sync_state === sync) break;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    return { ...follower, promote: () => place.run('pg_ctl', 'promote', '-D', place.data) };
  }

  await start();
  return {
    ...databases,
    stop,
    start,
    pid: () => server.pid ?? 0,
    signal: tellAll,
    standby,
    [Symbol.asyncDispose]: async () => {
      if (server.exitCode === null && server.signalCode === null) await stop('SIGINT');
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** The server whose socket lies in `folder`. */
export function reachPostgres(folder: string): Databases {
  const url = (database: string, ...folders: string[]): string => {
    const hosts = (folders.length === 0 ? [folder] : folders).map(over => `${encodeURIComponent(over)}:${PORT}`);
    return `postgres://${USER}@${hosts.join()}/${database}`;
  };
  const connect = async (database: string): Promise<pg.Client> => {
    const client = new pg.Client(url(database));
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const query = async (statement: string): Promise<Record<string, unknown>[]> => {
    const client = await connect('postgres');
    try {
      return (await client.query(statement)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  return {
    folder,
    url,
    client: connect,
    query,
    database: async ({ name = `test_${randomUUID().replaceAll('-', '')}`, template = 'template1' } = {}) => {
      await query(`create database ${name} template ${template}`);
      return name;
    },
    drop: async database => void (await query(`drop database if exists ${database} with (force)`)),
  };
}
