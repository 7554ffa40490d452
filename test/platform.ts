/**
 * Starts a whole platform as its user would, on a data folder and ports of its own, and looks at it from outside: by HTTP, by the CLI, by /proc.
 * In two forms, for the same tests: embedded (`cupola up`), and with CUPOLA_TEST_FORM=cluster as a cluster on this machine (test/cluster/form.ts).
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@cupola/process/free-port';
import { createClient } from './client.ts';
import { askApi, askSupervisor } from './sockets.ts';

export const ROOT = resolve(import.meta.dirname, '..');
export const run = promisify(execFile);

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export interface PlatformFacts {
  data: string;
  pid: number;
  api: string;
  port: number;
  apiPort: number;
  httpsPort: number;
  parts: Array<{ name: string; pid: number; restarts: number }>;
  instances: Array<{ app: string; process: string; index: number; state: string; crashes: number }>;
}

export interface Platform extends AsyncDisposable {
  /** All of its files; names its processes too. */
  readonly data: string;
  /** Data folders of the machines that run apps and pass requests on, within `data` or the same. */
  readonly machines: readonly string[];
  readonly facts: PlatformFacts;
  /** `./cupola ARGS`, with this platform's data folder or CLI home. Throws when it ends with another code than 0. */
  cupola(
    args: string[],
    options?: { cwd?: string; env?: Record<string, string> },
  ): Promise<{ stdout: string; stderr: string }>;
  /** Of admin. */
  password(): string;
  /** Logs our CLI in as admin, in the space that the first start has made. */
  login(): Promise<void>;
  status(): Promise<PlatformFacts>;
  /** Pid of a part now; waits until it has one. */
  pidOf(part: string): Promise<number>;
  /** Pids of what holds each machine's parts. */
  supervisors(): Promise<number[]>;
  /** A request to an app through the router. */
  ask(
    host: string,
    path?: string,
    options?: { method?: string; body?: string; headers?: Record<string, string> },
  ): Promise<Answer>;
  /** A call of the API as admin. */
  api(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown; headers: http.IncomingHttpHeaders }>;
  /** A token of admin, or of somebody else, as a client sends it. */
  token(user?: { username: string; password: string }): Promise<string>;
  /** A zip as the `bits` of a multipart upload, as admin. */
  upload(path: string, zip: Buffer): Promise<Answer>;
  /** Starts what does not run, with the ports that it had. */
  up(args?: string[]): Promise<void>;
  down(): Promise<void>;
  /** Swaps every part for a fresh process, as its operator would for an upgrade. */
  restart(): Promise<void>;
}

const FORM = process.env.CUPOLA_TEST_FORM === 'cluster' ? 'cluster' : 'embedded';

/** Processes of ours that may die at any time. */
export const PARTS = {
  embedded: ['control', 'cell', 'router'],
  cluster: ['api-0', 'api-1', 'scheduler-0', 'scheduler-1', 'git', 'cell-0', 'router-0', 'cell-1', 'router-1'],
}[FORM];
/** One of each kind, and the scheduler that follows. */
export const PART_KINDS = PARTS.filter(part => !/^(api|cell|router)-1$/.test(part));
/** Those among them that hold no request of an app's client. */
export const PARTS_ASIDE = PARTS.filter(part => !part.startsWith('router'));
/** By which `facts.port` is served. */
export const ROUTER_PART = { embedded: 'router', cluster: 'router-0' }[FORM];

/** A folder `NAME` in `work` with a small app of that name: one file, no dependencies. */
export function appFolder(work: string, name: string): string {
  const made = join(work, name);
  mkdirSync(made, { recursive: true });
  cpSync(join(ROOT, 'examples/node-hello/server.js'), join(made, 'server.js'));
  writeFileSync(join(made, 'package.json'), JSON.stringify({ name, scripts: { start: 'node server.js' } }));
  writeFileSync(join(made, 'manifest.yml'), `applications:\n- name: ${name}\n  memory: 64M\n`);
  return made;
}

/** A look that takes long is mostly a program's start: the next one waits twice as long, so that what is waited for has the machine. */
const PAUSE_MS = { least: 25, most: 1_000 };

/** Of whatever takes as long as the machine needs: only a wait that is in vain costs it. */
const LIMIT_MS = 120_000;

/** Runs `probe` until it answers something other than null, false or undefined; throws after `limitMs` with what it saw last. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | false | undefined>,
  limitMs = LIMIT_MS,
): Promise<T> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    const began = performance.now();
    try {
      const value = await probe();
      if (value !== null && value !== false && value !== undefined) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}; last: ${String(last)}`);
    const pauseMs = Math.min(PAUSE_MS.most, Math.max(PAUSE_MS.least, 2 * (performance.now() - began)));
    await new Promise(done => setTimeout(done, pauseMs));
  }
}

/** What a platform could leave on the machine: the teardown audit. Processes and mounts are told by its data folder. */
export function traces(data: string): { processes: string[]; mounts: string[] } {
  const processes = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap(pid => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const state = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
        const line = `${readFileSync(`/proc/${pid}/cmdline`, 'utf8')} ${readFileSync(`/proc/${pid}/environ`, 'utf8')}`;
        return state !== 'Z' && line.includes(data)
          ? [`${pid} ${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()}`]
          : [];
      } catch {
        return []; // It has ended, or is another user's.
      }
    });
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter(line => line.includes(data));
  return { processes, mounts };
}

/** What the names of a platform's networks, links and rules are made of. */
export const networkName = (installation: string): string =>
  createHash('sha256').update(installation).digest('hex').slice(0, 6);

/** Network namespaces whose names are made from a platform's (`installation` in its config.json): those of other platforms come and go beside them. */
export function namespacesOf(installation: string): string[] {
  const ours = `cupola-${networkName(installation)}-`;
  return existsSync('/run/netns') ? readdirSync('/run/netns').filter(name => name.startsWith(ours)) : [];
}

/** SIGKILL for a part, also when it has just ended and is about to be started again. */
export async function killPart(platform: Platform, part: string): Promise<void> {
  await until(`${part} is killed`, async () => {
    const pid = await platform.pidOf(part);
    try {
      return process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  });
}

/** Whether it runs, or is still to be waited for by who started it. */
export function isThere(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** Of a process that has just ended: nothing. */
function ofProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Of an instance, on whichever machine; not the one that is kept ahead. */
const SHIM = /^cupola-shim \/[^ ]*\/cell\/instances\/sandboxes\//;

/** Host pids of the shims that keep this platform's instances. */
export function shimPids(data: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(
      pid => SHIM.test(ofProcess(pid, 'cmdline')) && ofProcess(pid, 'cmdline').startsWith(`cupola-shim ${data}/`),
    );
}

/** Host pids of `node server.js` below these shims: other platforms on this machine may run the same program. */
export function appPids(data: string): number[] {
  const below = (pid: number): number[] => {
    const children = ofProcess(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number);
    return children.flatMap(child => [child, ...below(child)]);
  };
  return shimPids(data)
    .flatMap(below)
    .filter(pid => /^(\S*\/)?node\0server\.js/.test(ofProcess(pid, 'cmdline')));
}

export interface StartOptions {
  /** Made from that, instead of an empty one. */
  backup?: string;
  /** Folder for the data folder. */
  within?: string;
  /** What its processes get besides ours. */
  env?: Record<string, string>;
  /** Pushes by git are taken over SSH as well, on a port that is free. */
  ssh?: boolean;
}

/**
 * A platform that serves, on a fresh data folder, or on one made from a backup; down and away when disposed. `args` are more flags of `up`, which a cluster does
 * not know.
 */
export async function startPlatform(args: string[] = [], options: StartOptions = {}): Promise<Platform> {
  if (FORM === 'embedded') return startEmbedded(args, options);
  const { startCluster } = await import('./cluster/form.ts');
  return startCluster(args, options);
}

async function startEmbedded(
  args: string[],
  { backup, within = tmpdir(), env = {}, ssh = false }: StartOptions,
): Promise<Platform> {
  const data = mkdtempSync(join(within, 'cupola-'));
  if (backup !== undefined) await run(join(ROOT, 'cupola'), ['restore', backup, '--data', data]);
  const flags = ['--port', '--api-port', '--https-port', ...(ssh ? ['--ssh-port'] : [])];
  const ports = await Promise.all(flags.map(async flag => [flag, String(await freePort())]));
  let facts = await launch(data, [...ports.flat(), ...args], env);
  const client = createClient({
    home: join(data, 'cli-home'),
    places: () => facts,
    password: () => readFileSync(join(data, 'admin-password'), 'utf8').trim(),
  });
  const { cupola } = client;
  const status = async (): Promise<PlatformFacts> => {
    const found = await askSupervisor<Omit<PlatformFacts, 'instances'>>(data);
    // As the command: none while the API is being restarted.
    const none: Pick<PlatformFacts, 'instances'> = { instances: [] };
    const { instances } = await askApi<typeof none>({ data }, '/internal/instances').catch(() => none);
    return { ...found, instances };
  };
  return {
    ...client,
    data,
    machines: [data],
    get facts() {
      return facts;
    },
    status,
    pidOf: part =>
      until(
        `${part} has a pid`,
        async () => (await askSupervisor<PlatformFacts>(data)).parts.find(({ name }) => name === part)?.pid,
      ),
    supervisors: async () => [facts.pid],
    up: async (args = []) => {
      facts = await launch(data, args, env);
      client.forget();
    },
    down: async () => {
      await cupola(['down', '--data', data]);
    },
    restart: async () => {
      await cupola(['restart', '--data', data]);
    },
    [Symbol.asyncDispose]: async () => {
      await cupola(['down', '--data', data]);
      rmSync(data, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function launch(data: string, args: string[], env: Record<string, string>): Promise<PlatformFacts> {
  const { stdout } = await run(
    join(ROOT, 'cupola'),
    ['up', '--data', data, '--detach', '--json', '--no-install', ...args],
    { env: { ...process.env, ...env } },
  );
  return { instances: [], ...(JSON.parse(stdout) as Omit<PlatformFacts, 'instances'>) };
}
