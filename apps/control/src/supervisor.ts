/**
 * Holds one platform together: binds the public ports, starts the parts, starts again what ends, answers `status`, `restart` and `down` on a unix socket
 * in the data folder. Holds no state of its own: killed with -9, the parts end by their closed stdin, instances live on, and the next `up` adopts them.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { type GivenCertificate, keepGiven } from './given-certificate.ts';
import { endLeftParts, forgetParts } from './left-parts.ts';
import { bindListener, type Listener } from './listener.ts';
import type { Part } from './part.ts';
import type { OnDemand } from './part-on-demand.ts';
import { startGitOnDemand, startParts } from './parts.ts';
import { command, PlainError, type PlatformConfig, publicUrl } from './platform-config.ts';
import { giveState } from './platform-user.ts';
import { isAlive, startTime } from './process-life.ts';
import type { Programs } from './programs.ts';

export interface PartStatus {
  name: string;
  pid: number | null;
  restarts: number;
}
export interface PlatformStatus {
  data: string;
  pid: number;
  api: string;
  port: number;
  apiPort: number;
  httpsPort: number;
  domain: string;
  /** Of a machine that has joined a cluster: where its APIs are. Null: the API is one of its parts. */
  joined: string[] | null;
  /** Where members of the cluster call; null: there are none. */
  clusterPort: number | null;
  /** Where git is spoken over SSH; null: nowhere. */
  sshPort: number | null;
  parts: PartStatus[];
}

export interface Supervisor {
  status(): PlatformStatus;
  /** Resolves when API, cell and router serve. */
  ready(): Promise<void>;
  /** Swaps every part for a fresh process, of the bundle that asks for it if it is of this checkout; keeps the instances. */
  restart(programs: Programs): Promise<void>;
  /** Stops every instance (what is desired stays as it is), then every part. */
  down(): Promise<void>;
  /** Resolves after `down`, whoever asked for it. */
  readonly over: Promise<void>;
  /** Resolves, with words for the user, when a part cannot be started here and no repetition will mend it. */
  readonly refused: Promise<string>;
}

/** Long enough for an app's 10 s of grace after SIGTERM, its 1 s pause, and the rest. */
const STOP_INSTANCES_MS = 20_000;
const PART_GRACE_MS = 5_000;
/** What other machines have under way with its instances ends first. */
const CELL_GRACE_MS = 15_000;
/** How long `down` waits for a cell that is just being started again. */
const CELL_BACK_MS = 10_000;

interface Options {
  data: string;
  config: PlatformConfig;
  /** Where the port of HTTPS is taken, take a free one. */
  httpsPortMayMove: boolean;
  programs: Programs;
  admin: { password: string; reset: boolean };
  report(text: string): void;
}

/** Throws PlainError when a port is taken or another supervisor holds the data folder. */
export async function startSupervisor(options: Options): Promise<Supervisor> {
  const { data, config } = options;
  const unlock = lockData(data);
  let bound: Bound;
  let given: GivenCertificate;
  try {
    await endLeftParts(data);
    given = keepGiven({ data, config, report: options.report });
    bound = bindAll(options);
  } catch (error) {
    unlock();
    throw error;
  }
  const { apps, api, secure, cluster, forward, gate } = bound;
  const resolved: PlatformConfig = { ...config, port: apps.port, apiPort: api.port, httpsPort: secure.port };
  giveState(join(data, 'state'), resolved.platformUid);
  rmSync(join(data, 'state', 'internal.sock'), { force: true });
  const refused = Promise.withResolvers<string>();
  let programs = options.programs;
  const common = {
    ...options,
    programs: () => programs,
    config: resolved,
    refused: refused.resolve,
    gitSecret: randomBytes(32).toString('base64url'),
  };
  const git = await startGitOnDemand(common).catch((error: unknown) => {
    for (const one of [...Object.values(bound), given]) one?.close();
    unlock();
    throw error;
  });
  const sshPort = git.ports[1] ?? null;
  const { control, cell, router } = startParts({
    ...common,
    config: { ...resolved, sshPort },
    appsFd: apps.fd,
    apiFd: api.fd,
    secureFd: secure.fd,
    clusterFd: cluster?.fd ?? null,
    forwardFds: forward === null || gate === null ? null : [forward.fd, gate.fd],
  });
  return superviseParts({
    data,
    parts: { control, cell, router, git },
    refused: refused.promise,
    setPrograms: next => {
      if (next.root === programs.root) programs = next;
    },
    facts: {
      api: publicUrl(resolved),
      port: apps.port,
      apiPort: api.port,
      httpsPort: secure.port,
      domain: resolved.domain,
      joined: null,
      clusterPort: cluster?.port ?? null,
      sshPort,
    },
    closing: [...Object.values(bound), given],
    unlock,
  });
}

/** What is held together, whichever parts there are. */
export interface Held {
  data: string;
  parts: { control?: Part; cell?: Part; router?: Part; git?: OnDemand };
  refused: Promise<string>;
  setPrograms(programs: Programs): void;
  facts: Omit<PlatformStatus, 'data' | 'pid' | 'parts'>;
  /** Closed once no part runs any more. */
  closing: ReadonlyArray<{ close(): void } | null>;
  unlock(): void;
}

/** Answers on the data folder's socket from now on. */
export async function superviseParts({
  data,
  parts: named,
  refused,
  setPrograms,
  facts,
  closing,
  unlock,
}: Held): Promise<Supervisor> {
  const { control, cell, router, git } = named;
  const parts = [control, cell, router].filter(part => part !== undefined);
  const over = Promise.withResolvers<void>();
  let goingDown: Promise<void> | null = null;

  const supervisor: Supervisor = {
    over: over.promise,
    refused,
    status: () => ({
      data,
      pid: process.pid,
      ...facts,
      parts: [...parts, ...(git === undefined || git.pid === null ? [] : [git])].map(({ name, pid, restarts }) => ({
        name,
        pid,
        restarts,
      })),
    }),
    ready: async () => {
      await Promise.all(parts.map(part => part.ready()));
    },
    restart: async next => {
      setPrograms(next);
      await control?.replaceAfter(PART_GRACE_MS);
      await cell?.replaceAfter(CELL_GRACE_MS);
      await router?.replaceBeside();
      await git?.rest(PART_GRACE_MS);
      // What was asked to end meanwhile has begun no successor.
      if (goingDown !== null) throw new PlainError(`It is being taken down. Start it again: ${command('up', data)}`);
    },
    down: () => {
      goingDown ??= takeDown();
      return goingDown;
    },
  };
  const door = await openDoor(data, supervisor);

  async function takeDown(): Promise<void> {
    // A cell that is just being started again must first know what runs, or it would leave it running.
    if (cell?.isRefused === false)
      await Promise.race([cell.ready(), new Promise(resolve => setTimeout(resolve, CELL_BACK_MS).unref())]);
    cell?.tell('stop-all');
    await cell?.end(STOP_INSTANCES_MS);
    await Promise.all([git?.end(PART_GRACE_MS), router?.end(PART_GRACE_MS), control?.end(PART_GRACE_MS)]);
    for (const one of closing) one?.close();
    door.close();
    rmSync(socketPath(data), { force: true });
    forgetParts(data);
    unlock();
    over.resolve();
  }
  return supervisor;
}

interface Bound {
  apps: Listener;
  api: Listener;
  secure: Listener;
  /** Where members of the cluster call; null: there are none. */
  cluster: Listener | null;
  /** Where their routers reach what runs here. */
  forward: Listener | null;
  /** Where the agent hears what instances here send to those of other machines. */
  gate: Listener | null;
}

function bindAll({ config, httpsPortMayMove, report }: Options): Bound {
  const bound: Listener[] = [];
  const bind = (port: number): Listener => {
    const listener = bindListener(config.listen, port);
    bound.push(listener);
    return listener;
  };
  try {
    return {
      apps: bind(config.port),
      api: bind(config.apiPort),
      secure: bindSecure(),
      cluster: config.cluster === null ? null : bindCluster(config.cluster),
      forward: config.cluster === null ? null : bindCluster({ ...config.cluster, port: 0 }),
      gate: config.cluster === null ? null : bindCluster({ listen: '0.0.0.0', port: 0 }),
    };
  } catch (error) {
    for (const listener of bound) listener.close();
    throw error;
  }
  function bindCluster({ listen, port }: { listen: string; port: number }): Listener {
    const listener = bindListener(listen, port, 'Choose another with --cluster-listen.');
    bound.push(listener);
    return listener;
  }
  function bindSecure(): Listener {
    try {
      return bind(config.httpsPort);
    } catch (error) {
      if (!httpsPortMayMove) throw error;
      const listener = bind(0);
      report(`port ${config.httpsPort} is taken: HTTPS is at ${listener.port} (choose with --https-port)`);
      return listener;
    }
  }
}

export function socketPath(data: string): string {
  return join(data, 'run', 'supervisor.sock');
}

/** Who asks is this user: nobody else opens the socket. */
function programsOf({ searchParams }: URL): Programs {
  return { root: searchParams.get('root') ?? '', bundle: searchParams.get('bundle') };
}

/** The unix socket on which the other commands speak to a running supervisor. */
async function openDoor(data: string, supervisor: Supervisor): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body));
    };
    const act = async (): Promise<void> => {
      const url = new URL(request.url ?? '/', 'http://supervisor');
      if (url.pathname === '/ready') await supervisor.ready();
      else if (url.pathname === '/restart') await supervisor.restart(programsOf(url));
      else if (url.pathname === '/down') await supervisor.down();
      else if (url.pathname !== '/status') return answer(404, {});
      answer(200, supervisor.status());
    };
    act().catch((error: unknown) => answer(500, { error: String(error) }));
  });
  const path = socketPath(data);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  server.unref();
  return server;
}

/**
 * One supervisor for each data folder: a file that names its process by pid and start time, so that a reused pid is no lock. Returns how to unlock.
 * This lock is also what lets a new scheduler lead at once: the old one ended with its supervisor.
 */
export function lockData(data: string): () => void {
  const file = join(data, 'run', 'supervisor.lock');
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const fd = openSync(file, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
      writeSync(fd, `${process.pid} ${startTime(process.pid) ?? ''}\n`);
      closeSync(fd);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const [pid, started] = readFileSync(file, 'utf8').trim().split(' ');
      if (pid !== undefined && isAlive(Number(pid), started))
        throw new PlainError(`A platform with the data folder ${data} is running already (pid ${pid}).`);
      rmSync(file, { force: true });
    }
  }
  throw new PlainError(`Another command is starting the platform in ${data} at this moment. Try again.`);
}
