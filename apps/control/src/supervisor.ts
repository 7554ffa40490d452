/**
 * Holds one platform together: binds the public ports, starts the parts, starts again what ends, answers `status`, `restart` and `down` on a unix socket
 * in the data folder. Holds no state of its own: killed with -9, the parts end by their closed stdin, instances live on, and the next `up` adopts them.
 */
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { bindListener, type Listener } from './listener.ts';
import { type Part, type PartCommand, startPart } from './part.ts';
import { openPartLog } from './part-log.ts';
import { PlainError, type PlatformConfig, publicUrl } from './platform-config.ts';
import { giveState, platformCommand } from './platform-user.ts';

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
  domain: string;
  parts: PartStatus[];
}

export interface Supervisor {
  status(): PlatformStatus;
  /** Resolves when API, cell and router serve. */
  ready(): Promise<void>;
  /** Swaps every part for a fresh process, keeps the instances. */
  restart(): Promise<void>;
  /** Stops every instance (what is desired stays as it is), then every part. */
  down(): Promise<void>;
  /** Resolves after `down`, whoever asked for it. */
  readonly over: Promise<void>;
}

/** Long enough for an app's 10 s of grace after SIGTERM, its 1 s pause, and the rest. */
const STOP_INSTANCES_MS = 20_000;
const PART_GRACE_MS = 5_000;

interface Options {
  data: string;
  config: PlatformConfig;
  sources: string;
  report(text: string): void;
}

/** Throws PlainError when a port is taken or another supervisor holds the data folder. */
export async function startSupervisor({ data, config, sources, report }: Options): Promise<Supervisor> {
  const unlock = lockData(data);
  const bound: Listener[] = [];
  try {
    bound.push(bindListener(config.listen, config.port), bindListener(config.listen, config.apiPort));
  } catch (error) {
    for (const listener of bound) listener.close();
    unlock();
    throw error;
  }
  const [apps, api] = bound as [Listener, Listener];
  const resolved: PlatformConfig = { ...config, port: apps.port, apiPort: api.port };
  giveState(join(data, 'state'), resolved.platformUid);
  rmSync(join(data, 'state', 'internal.sock'), { force: true });

  const start = (name: string, command: () => PartCommand): Part =>
    startPart(name, command, {
      now: () => performance.now(),
      log: openPartLog(join(data, 'log', `${name}.log`)),
      report,
    });
  const common = commonEnvironment(resolved);
  const control = start('control', () =>
    platformCommand({
      config: resolved,
      data,
      sources,
      entry: 'apps/control/src/entry.mjs',
      args: ['part', 'control'],
      environment: { ...common, CUPOLA_API_FD: '4' },
      passFds: [api.fd],
    }),
  );
  const cell = start('cell', () => ({
    argv: [process.execPath, join(sources, 'apps/control/src/entry.mjs'), 'part', 'cell'],
    cwd: data,
    environment: {
      ...process.env,
      ...common,
      CUPOLA_SOURCES: sources,
      CUPOLA_STATE: join(data, 'state'),
      CUPOLA_CELL: join(data, 'cell'),
    } as Record<string, string>,
    passFds: [],
  }));
  const router = start('router', () =>
    platformCommand({
      config: resolved,
      data,
      sources,
      entry: 'apps/router/src/main.ts',
      args: [],
      environment: { ...common, CUPOLA_ROUTER_LISTEN_FD: '4' },
      passFds: [apps.fd],
    }),
  );
  const parts = [control, cell, router];
  const over = Promise.withResolvers<void>();
  let goingDown: Promise<void> | null = null;

  const supervisor: Supervisor = {
    over: over.promise,
    status: () => ({
      data,
      pid: process.pid,
      api: publicUrl(resolved),
      port: apps.port,
      apiPort: api.port,
      domain: resolved.domain,
      parts: parts.map(({ name, pid, restarts }) => ({ name, pid, restarts })),
    }),
    ready: async () => {
      await Promise.all(parts.map(part => part.ready()));
    },
    restart: async () => {
      await control.replaceAfter(PART_GRACE_MS);
      await cell.replaceAfter(PART_GRACE_MS);
      await router.replaceBeside();
    },
    down: () => {
      goingDown ??= takeDown();
      return goingDown;
    },
  };
  const door = await openDoor(data, supervisor);

  async function takeDown(): Promise<void> {
    cell.tell('stop-all');
    await cell.end(STOP_INSTANCES_MS);
    await Promise.all([router.end(PART_GRACE_MS), control.end(PART_GRACE_MS)]);
    for (const listener of bound) listener.close();
    door.close();
    rmSync(socketPath(data), { force: true });
    unlock();
    over.resolve();
  }
  return supervisor;
}

export function socketPath(data: string): string {
  return join(data, 'run', 'supervisor.sock');
}

/** What every part reads of the platform. */
function commonEnvironment(config: PlatformConfig): Record<string, string> {
  return {
    NODE_ENV: 'production',
    CUPOLA_PUBLIC_URL: publicUrl(config),
    CUPOLA_DOMAIN: config.domain,
    CUPOLA_PORT: String(config.port),
    CUPOLA_LISTEN: config.listen,
    CUPOLA_INSTALLATION: config.installation,
    CUPOLA_ALLOW_UNSANDBOXED: config.allowUnsandboxed ? '1' : '0',
  };
}

/** The unix socket on which the other commands speak to a running supervisor. */
async function openDoor(data: string, supervisor: Supervisor): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body));
    };
    const act = async (): Promise<void> => {
      if (request.url === '/ready') await supervisor.ready();
      else if (request.url === '/restart') await supervisor.restart();
      else if (request.url === '/down') await supervisor.down();
      else if (request.url !== '/status') return answer(404, {});
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
function lockData(data: string): () => void {
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

/** Field 22 of /proc/PID/stat; null where there is no /proc. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function isAlive(pid: number, started: string | undefined): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startTime(pid);
  return now === null || started === undefined || started === '' || now === started;
}
