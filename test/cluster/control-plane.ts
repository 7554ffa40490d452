/**
 * The control plane of a cluster on this machine: two APIs, two schedulers and the one that takes pushes by git, each a program of its own, on PostgreSQL,
 * Redis and S3. Users reach the APIs under one address, by turns, as through the balancer of an operator.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type S3Server, startS3 } from '@cupola/blobs/s3-server';
import { freePort } from '@cupola/process/free-port';
import { type RedisServer, startRedis } from '@cupola/redis/redis-server';
import { type PostgresServer, type StandbyServer, startPostgres } from '@cupola/store/postgres-server';
import { ROOT, run } from '../platform.ts';
import { type Program, startProgram } from './programs.ts';

export const PASSWORD = 'let-me-in';

export interface ControlPlane extends AsyncDisposable {
  readonly postgres: PostgresServer;
  /** Follows `postgres` synchronously, and is known to every program; null unless asked for. */
  readonly standby: StandbyServer | null;
  readonly redis: RedisServer;
  readonly s3: S3Server;
  readonly apis: readonly Program[];
  readonly schedulers: readonly Program[];
  readonly git: Program;
  /** Where users reach the APIs. */
  readonly url: string;
  readonly port: number;
  /** Where members call, `HOST:PORT` each. */
  readonly addresses: readonly string[];
  /** Unix sockets of the APIs, for commands of the operator. */
  readonly sockets: readonly string[];
  /** Makes a token by which a machine joins once, with all roles unless told otherwise. */
  token(roles?: string): Promise<string>;
  /** Answer of a program's health listener; its name is `api-0`, `scheduler-1`. */
  health(name: string, path: string): Promise<{ status: number; body: string }>;
}

interface Options {
  /** A folder of the caller's, which outlives this. */
  work: string;
  environment?: Record<string, string>;
  /** Of the router that users ask for apps; not given: that of HTTP. */
  appsPort?: number;
  /** Programs that end are started again. */
  isKept: boolean;
  /** The engines write through to disk, as an operator's do. */
  durable?: boolean;
  /** Another PostgreSQL follows the first one. */
  isFollowed?: boolean;
  /** Where members call; this machine only unless told otherwise. */
  memberHost?: string;
  /** Pushes by git are taken over SSH as well. */
  ssh?: boolean;
}

export async function startControlPlane({
  work,
  environment = {},
  appsPort,
  isKept,
  durable = false,
  isFollowed = false,
  memberHost = '127.0.0.1',
  ssh = false,
}: Options): Promise<ControlPlane> {
  await using starting = new AsyncDisposableStack();
  const [postgres, redis, s3] = await Promise.all([startPostgres({ durable }), startRedis(), startS3()]);
  for (const engine of [postgres, redis, s3]) starting.use(engine);
  writeFileSync(join(work, 'admin-password'), `${PASSWORD}\n`, { mode: 0o600 });
  const name = await postgres.database();
  const standby = isFollowed ? starting.use(await postgres.standby('synchronous')) : null;
  const database = standby === null ? postgres.url(name) : postgres.url(name, postgres.folder, standby.folder);
  const blobs = s3.bucket('cupola');
  const ports = { api: [await freePort(), await freePort()], member: [await freePort(), await freePort()] };
  const balancer = starting.use(await startBalancer(ports.api));
  const url = `http://localhost:${balancer.port}`;
  const gitListen = `127.0.0.1:${await freePort()}`;
  const sshPort = ssh ? await freePort() : null;
  const secret = ssh ? { CUPOLA_GIT_SECRET: randomBytes(32).toString('hex') } : {};
  const healthPorts: Record<string, number> = {};
  const program = async (
    name: string,
    program: 'api' | 'scheduler' | 'git',
    settings: Record<string, string>,
  ): Promise<Program> => {
    healthPorts[name] = await freePort();
    return starting.use(
      await startProgram({
        name,
        program,
        environment: {
          CUPOLA_HEALTH_LISTEN: `127.0.0.1:${healthPorts[name]}`,
          ...environment,
          ...settings,
        },
        isKept,
      }),
    );
  };
  const folderOf = (index: number): string => join(work, `api-${index}`);
  const api = (index: number): Promise<Program> => {
    const state = join(folderOf(index), 'state');
    mkdirSync(state, { recursive: true });
    return program(`api-${index}`, 'api', {
      CUPOLA_DATABASE_URL: database,
      CUPOLA_REDIS_URL: redis.url,
      CUPOLA_BLOBS_URL: blobs,
      CUPOLA_KEYS: join(work, 'keys'),
      CUPOLA_WORK: state,
      CUPOLA_PUBLIC_URL: url,
      CUPOLA_GIT_URL: `http://${gitListen}`,
      ...secret,
      ...(sshPort === null ? {} : { CUPOLA_GIT_SSH_PORT: String(sshPort) }),
      CUPOLA_DOMAIN: 'localhost',
      CUPOLA_APPS_PORT: String(appsPort ?? ''),
      CUPOLA_LISTEN: `127.0.0.1:${ports.api[index]}`,
      CUPOLA_CLUSTER_LISTEN: `${memberHost}:${ports.member[index]}`,
      CUPOLA_ADMIN_PASSWORD_FILE: join(work, 'admin-password'),
    });
  };
  // The first one makes the keys and the schema; the second one finds both.
  const apis = [await api(0), await api(1)];
  const scheduler = (index: number): Promise<Program> =>
    program(`scheduler-${index}`, 'scheduler', { CUPOLA_DATABASE_URL: database, CUPOLA_WORK: work });
  const pushesByGit = program('git', 'git', {
    CUPOLA_PUBLIC_URL: url,
    CUPOLA_GIT_FOLDER: join(work, 'git'),
    CUPOLA_LISTEN: gitListen,
    ...secret,
    ...(sshPort === null ? {} : { CUPOLA_SSH_LISTEN: `127.0.0.1:${sshPort}` }),
  });
  const [git, ...schedulers] = await Promise.all([pushesByGit, scheduler(0), scheduler(1)]);
  const running = starting.move();
  return {
    postgres,
    standby,
    redis,
    s3,
    apis,
    schedulers,
    git,
    url,
    port: balancer.port,
    addresses: ports.member.map(port => `${memberHost}:${port}`),
    sockets: apis.map((_, index) => join(folderOf(index), 'state', 'internal.sock')),
    token: async (roles = 'agent,stager,router') => {
      const words = ['cluster', 'token', '--role', roles, '--json', '--data', folderOf(0)];
      return (JSON.parse((await run(join(ROOT, 'cupola'), words)).stdout) as { token: string }).token;
    },
    health: async (name, path) => {
      const answer = await fetch(`http://127.0.0.1:${healthPorts[name]}${path}`).catch((error: unknown) => {
        throw new Error(`${name} does not answer ${path}`, { cause: error });
      });
      return { status: answer.status, body: await answer.text() };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Hands each connection to the next place that takes it, and knows nothing of what is said. */
async function startBalancer(places: readonly number[]): Promise<AsyncDisposable & { port: number }> {
  let turn = 0;
  const open = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, client => {
    open.add(client);
    client.on('close', () => open.delete(client));
    client.on('error', () => client.destroy());
    const first = turn++;
    const dial = (tried: number): void => {
      const place = places[(first + tried) % places.length];
      if (tried === places.length || place === undefined) return void client.destroy();
      const upstream = connect({ port: place, host: '127.0.0.1', allowHalfOpen: true });
      upstream.once('error', () => dial(tried + 1));
      upstream.once('connect', () => {
        upstream.removeAllListeners('error');
        upstream.on('error', () => client.resetAndDestroy());
        client.on('close', () => upstream.destroy());
        upstream.on('close', () => client.destroy());
        client.pipe(upstream);
        upstream.pipe(client);
        client.resume();
      });
    };
    dial(0);
  });
  const port = await freePort();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
