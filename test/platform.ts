/**
 * Starts a whole platform as its user would, on a data folder and ports of its own, and looks at it from outside: by HTTP, by the CLI, by /proc.
 * Nothing here imports Cupola's code: the judge stands outside.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

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
  parts: Array<{ name: string; pid: number; restarts: number }>;
  instances: Array<{ app: string; process: string; index: number; state: string; crashes: number }>;
}

export interface Platform extends AsyncDisposable {
  readonly data: string;
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
  /** Starts it again, with the ports that it had. */
  up(args?: string[]): Promise<void>;
  down(): Promise<void>;
}

/** A folder `NAME` in `work` with a small app of that name: one file, no dependencies. */
export function appFolder(work: string, name: string): string {
  const made = join(work, name);
  mkdirSync(made, { recursive: true });
  cpSync(join(ROOT, 'examples/node-hello/server.js'), join(made, 'server.js'));
  writeFileSync(join(made, 'package.json'), JSON.stringify({ name, scripts: { start: 'node server.js' } }));
  writeFileSync(join(made, 'manifest.yml'), `applications:\n- name: ${name}\n  memory: 64M\n`);
  return made;
}

/** Runs `probe` until it answers something other than null, false or undefined; throws after `limitMs` with what it saw last. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | false | undefined>,
  limitMs = 60_000,
): Promise<T> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== null && value !== false && value !== undefined) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}; last: ${String(last)}`);
    await new Promise(done => setTimeout(done, 25));
  }
}

/** Longer than any request is held; a test that waits for more says what it waits for, instead of hanging. */
const SILENCE_MS = 60_000;

function request(options: {
  port: number;
  host: string;
  path: string;
  method: string;
  headers: Record<string, string>;
  body?: string | undefined;
}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port, host, path, method, headers, body } = options;
    const sent = http.request(
      { host: '127.0.0.1', port, path, method, headers: { host, ...headers }, agent: false },
      response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
        response.on('error', reject);
      },
    );
    sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error(`nothing was heard for ${SILENCE_MS} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
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

/** Network namespaces whose names are made from a platform's (`installation` in its config.json): those of other platforms come and go beside them. */
export function namespacesOf(installation: string): string[] {
  const ours = `cupola-${createHash('sha256').update(installation).digest('hex').slice(0, 6)}-`;
  return existsSync('/run/netns') ? readdirSync('/run/netns').filter(name => name.startsWith(ours)) : [];
}

/** Of a process that has just ended: nothing. */
function ofProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Host pids of the shims that keep this platform's instances; not of the one that is kept ahead. */
export function shimPids(data: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => ofProcess(pid, 'cmdline').startsWith(`cupola-shim ${data}/cell/instances/sandboxes/`));
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

/**
 * A platform that serves, on a fresh data folder, or on one made from a backup; down and away when disposed. `args` are more flags of `up`, `env` is what
 * its processes get besides ours.
 */
export async function startPlatform(
  args: string[] = [],
  { backup, within = tmpdir(), env = {} }: { backup?: string; within?: string; env?: Record<string, string> } = {},
): Promise<Platform> {
  const data = mkdtempSync(join(within, 'cupola-'));
  if (backup !== undefined) await run(join(ROOT, 'cupola'), ['restore', backup, '--data', data]);
  const home = join(data, 'cli-home');
  let facts = await launch(data, ['--port', '0', '--api-port', '0', ...args], env);
  let token: string | null = null;

  const cupola: Platform['cupola'] = (argv, { cwd = ROOT, env = {} } = {}) =>
    run(join(ROOT, 'cupola'), argv, {
      cwd,
      env: { ...process.env, CUPOLA_HOME: home, ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
  const status = async (): Promise<PlatformFacts> =>
    JSON.parse((await cupola(['status', '--data', data, '--json'])).stdout) as PlatformFacts;
  const password = (): string => readFileSync(join(data, 'admin-password'), 'utf8').trim();
  const newToken = async (user = { username: 'admin', password: password() }): Promise<string> => {
    const answer = await request({
      port: facts.apiPort,
      host: 'localhost',
      path: '/oauth/token',
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from('cf:').toString('base64')}`,
      },
      body: new URLSearchParams({ grant_type: 'password', ...user }).toString(),
    });
    if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.body}`);
    return (JSON.parse(answer.body) as { access_token: string }).access_token;
  };

  return {
    data,
    get facts() {
      return facts;
    },
    cupola,
    password,
    login: async () => {
      await cupola(['login', '-a', facts.api, '-u', 'admin', '-o', 'cupola', '-s', 'dev'], {
        env: { CUPOLA_PASSWORD: password() },
      });
    },
    status,
    pidOf: part =>
      until(`${part} has a pid`, async () => (await status()).parts.find(({ name }) => name === part)?.pid),
    ask: (host, path = '/', { method = 'GET', body, headers = {} } = {}) =>
      request({ port: facts.port, host, path, method, headers, body }),
    api: async (method, path, body) => {
      const send = async (): Promise<Answer> => {
        token ??= await newToken();
        return request({
          port: facts.apiPort,
          host: 'localhost',
          path,
          method,
          headers: { authorization: `bearer ${token}`, 'content-type': 'application/json' },
          body: body === undefined ? undefined : JSON.stringify(body),
        });
      };
      let answer = await send();
      if (answer.status === 401) {
        // Tokens live for ten minutes.
        token = null;
        answer = await send();
      }
      return {
        status: answer.status,
        headers: answer.headers,
        body: answer.body === '' ? null : (JSON.parse(answer.body) as unknown),
      };
    },
    token: newToken,
    upload: async (path, zip) => {
      token ??= await newToken();
      const form = new FormData();
      form.append('bits', new Blob([new Uint8Array(zip)]), 'bits.zip');
      const answer = await fetch(`http://127.0.0.1:${facts.apiPort}${path}`, {
        method: 'POST',
        headers: { authorization: `bearer ${token}` },
        body: form,
      });
      return { status: answer.status, headers: {}, body: await answer.text() };
    },
    up: async (args = []) => {
      facts = await launch(data, args, env);
      token = null;
    },
    down: async () => {
      await cupola(['down', '--data', data]);
    },
    [Symbol.asyncDispose]: async () => {
      await cupola(['down', '--data', data]);
      rmSync(data, { recursive: true, force: true });
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
