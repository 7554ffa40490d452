/** A Cloud Foundry that fits in a test: answers what the CLI asks, from memory, and keeps a record of every request. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export interface Recorded {
  readonly method: string;
  /** Path and query, decoded. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Answer {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** It never comes. */
  hang?: boolean;
}

export interface FakeCf extends AsyncDisposable {
  readonly origin: string;
  readonly requests: Recorded[];
  /** What happened, in short: `POST /v3/builds`. */
  log(): string[];
  /** Answers of the next requests to that method and path prefix, instead of the usual; the last one stays. */
  answer(call: string, ...answers: Answer[]): void;
  /** SHA-1s that resource matching knows. */
  readonly known: Set<string>;
  readonly logLines: { type: string; instance: string; text: string }[];
  /** Seconds that new access tokens live. */
  tokenSeconds: number;
}

const TIME = '2026-11-23T05:00:00Z';

function token(seconds: number, serial: number): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ exp: Math.floor(Date.now() / 1000) + seconds, user_name: 'admin', user_id: 'user-1', origin: 'uaa', serial })}.x`;
}

function page(resources: unknown[]): unknown {
  return { pagination: { total_results: resources.length, next: null }, resources };
}

const app = {
  guid: 'app-1',
  name: 'web1',
  state: 'STOPPED',
  lifecycle: { type: 'buildpack', data: { buildpacks: [], stack: 'host' } },
  relationships: { space: { data: { guid: 'space-1' } } },
};
const web = {
  guid: 'process-1',
  type: 'web',
  command: null,
  instances: 1,
  memory_in_mb: 64,
  disk_in_mb: 1024,
  relationships: { app: { data: { guid: 'app-1' } } },
};
const running = {
  resources: [{ index: 0, state: 'RUNNING', uptime: 3, usage: { cpu: 0.01, mem: 1_000_000, disk: 2 } }],
};

/** Its instance has taken all changes, up to that one. */
function developmentApp(sequence: number): unknown {
  return {
    ...{ guid: 'app-1', name: 'web1-dev', user: 'user-1', expires_at: TIME, created_at: TIME },
    ...{ droplet_guid: 'droplet-1', sequence },
    instances: [{ process_type: 'web', index: 0, state: 'RUNNING', applied: sequence }],
  };
}

/** The usual answers, by `METHOD path`; a `*` stands for one segment. */
function usual(
  origin: string,
): Record<string, (request: Recorded) => { status?: number; body?: unknown; headers?: Record<string, string> }> {
  /** Of a development app. */
  let changes = 0;
  return {
    'GET /': () => ({
      body: {
        links: {
          cloud_controller_v3: { href: `${origin}/v3`, meta: { version: '3.211.0' } },
          login: { href: origin },
          uaa: { href: origin },
          log_cache: { href: origin },
        },
      },
    }),
    'GET /v3/info': () => ({ body: { name: 'fake', custom: { apps_scheme: 'http', apps_port: 8080 } } }),
    'GET /v3/organizations': () => ({ body: page([{ guid: 'org-1', name: 'cupola' }]) }),
    'GET /v3/spaces': () => ({
      body: page([{ guid: 'space-1', name: 'dev', relationships: { organization: { data: { guid: 'org-1' } } } }]),
    }),
    'GET /v3/domains': () => ({ body: page([{ guid: 'domain-1', name: 'localhost', internal: false }]) }),
    'POST /v3/spaces': () => ({ status: 201, body: { guid: 'space-2', name: 'new' } }),
    'POST /v3/roles': () => ({ status: 201, body: { guid: 'role-1' } }),
    'POST /v3/spaces/*/actions/apply_manifest': () => ({
      status: 202,
      headers: { location: `${origin}/v3/jobs/job-1` },
    }),
    'GET /v3/jobs/*': () => ({ body: { guid: 'job-1', operation: 'space.apply_manifest', state: 'COMPLETE' } }),
    'GET /v3/apps': () => ({ body: page([app]) }),
    'GET /v3/processes': () => ({ body: page([web]) }),
    'GET /v3/routes': () => ({
      body: page([{ guid: 'route-1', url: 'web1.localhost', destinations: [{ app: { guid: 'app-1' } }] }]),
    }),
    'GET /v3/apps/*/processes': () => ({ body: page([{ ...web, command: '[PRIVATE DATA HIDDEN IN LISTS]' }]) }),
    'GET /v3/processes/*': () => ({ body: web }),
    'GET /v3/apps/*/routes': () => ({ body: page([{ guid: 'route-1', url: 'web1.localhost', destinations: [] }]) }),
    'GET /v3/apps/*/droplets/current': () => ({
      body: { guid: 'droplet-1', stack: 'host', buildpacks: [{ name: 'nodejs_buildpack' }] },
    }),
    'GET /v3/apps/*/env': () => ({
      body: { environment_variables: { GREETING: 'hi' }, system_env_json: {}, application_env_json: {} },
    }),
    'PATCH /v3/apps/*/environment_variables': () => ({ body: { var: {} } }),
    'PATCH /v3/apps/*/relationships/current_droplet': () => ({ body: { data: { guid: 'droplet-1' } } }),
    'POST /v3/apps/*/actions/*': () => ({ body: app }),
    'POST /v3/apps/*/processes/*/actions/scale': () => ({ status: 202, body: web }),
    'DELETE /v3/apps/*': () => ({ status: 202, headers: { location: `${origin}/v3/jobs/job-2` } }),
    'DELETE /v3/routes/*': () => ({ status: 204 }),
    'GET /v3/processes/*/stats': () => ({ body: running }),
    'POST /v3/packages': () => ({
      status: 201,
      body: { guid: 'package-1', state: 'AWAITING_UPLOAD', created_at: TIME },
    }),
    'GET /v3/packages': () => ({ body: page([{ guid: 'package-1', state: 'READY', created_at: TIME }]) }),
    'POST /v3/packages/*/upload': () => ({ body: { guid: 'package-1', state: 'READY', created_at: TIME } }),
    'POST /v3/builds': () => ({ status: 201, body: { guid: 'build-1', state: 'STAGING' } }),
    'GET /v3/builds/*': () => ({ body: { guid: 'build-1', state: 'STAGED', droplet: { guid: 'droplet-1' } } }),
    'POST /v3/deployments': () => ({
      status: 201,
      body: { guid: 'deployment-1', status: { value: 'ACTIVE', reason: 'DEPLOYING' } },
    }),
    'GET /v3/deployments/*': () => ({
      body: { guid: 'deployment-1', status: { value: 'FINALIZED', reason: 'DEPLOYED' } },
    }),
    'GET /v3/deployments': () => ({ body: page([]) }),
    'GET /v3/apps/*': () => ({ body: app }),
    'GET /v3/droplets/*': () => ({ body: { guid: 'droplet-1', buildpacks: [{ name: 'nodejs_buildpack' }] } }),
    'POST /v3/development_apps': () => ({ body: developmentApp(0) }),
    'GET /v3/apps/*/development': () => ({ body: developmentApp(changes) }),
    'DELETE /v3/apps/*/development': () => ({ status: 204 }),
    'POST /v3/apps/*/development/changes': () => ({
      status: 201,
      body: { sequence: ++changes, droplet_guid: 'droplet-1', files: 1, removed: 0, restart: true },
    }),
    'GET /v3/audit_events': () => ({ body: page([]) }),
  };
}

export async function fakeCf(): Promise<FakeCf> {
  const requests: Recorded[] = [];
  const overrides = new Map<string, Answer[]>();
  const known = new Set<string>();
  const logLines: FakeCf['logLines'] = [];
  let serial = 0;
  let validRefresh = '';
  const server = http.createServer((request, response) => {
    void collect(request).then(body => {
      const recorded: Recorded = {
        method: request.method ?? '',
        url: decodeURIComponent(request.url ?? ''),
        headers: request.headers,
        body,
      };
      requests.push(recorded);
      const { status = 200, body: answer, headers = {}, hang = false } = respond(recorded);
      if (hang) return;
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(answer === undefined ? '' : JSON.stringify(answer));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const table = usual(origin);

  const respond = (request: Recorded): Answer => {
    const path = (request.url.split('?')[0] ?? '').replace(/(?<=.)\/$/, '');
    const call = `${request.method} ${path}`;
    for (const [wanted, answers] of overrides)
      if (matches(wanted, call)) return (answers.length > 1 ? answers.shift() : answers[0]) ?? {};
    if (call === 'POST /oauth/token') return grant(new URLSearchParams(request.body.toString()));
    if (path.startsWith('/v3/') && path !== '/v3/info' && !request.headers.authorization?.startsWith('bearer '))
      return {
        status: 401,
        body: { errors: [{ code: 10002, title: 'CF-NotAuthenticated', detail: 'Authentication error' }] },
      };
    if (call === 'POST /v3/resource_matches') {
      const { resources } = JSON.parse(request.body.toString()) as { resources: { checksum: { value: string } }[] };
      return { body: { resources: resources.filter(({ checksum }) => known.has(checksum.value)) } };
    }
    if (path.startsWith('/api/v1/read/')) return { body: { envelopes: { batch: readLog(request.url, logLines) } } };
    const found = Object.entries(table).find(([wanted]) => matches(wanted, call));
    return (
      found?.[1](request) ?? {
        status: 404,
        body: { errors: [{ code: 10000, title: 'CF-NotFound', detail: `Unknown request ${call}` }] },
      }
    );
  };
  const grant = (form: URLSearchParams): { status?: number; body?: unknown } => {
    const isPassword = form.get('grant_type') === 'password';
    const good = isPassword ? form.get('password') === 'secret' : form.get('refresh_token') === validRefresh;
    if (!good)
      return {
        status: 401,
        body: {
          error: isPassword ? 'unauthorized' : 'invalid_token',
          error_description: isPassword ? 'Bad credentials' : 'The token has been used',
        },
      };
    serial++;
    validRefresh = `refresh-${serial}`;
    return {
      body: { access_token: token(cf.tokenSeconds, serial), refresh_token: validRefresh, token_type: 'bearer' },
    };
  };
  const cf: FakeCf = {
    origin,
    requests,
    known,
    logLines,
    tokenSeconds: 600,
    log: () => requests.map(({ method, url }) => `${method} ${url.split('?')[0]}`),
    answer: (call, ...answers) => overrides.set(call, answers),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
  return cf;
}

/** log-cache's read: one line each nanosecond. */
function readLog(url: string, logLines: FakeCf['logLines']): unknown[] {
  const query = new URL(url, 'http://cf').searchParams;
  const startNs = BigInt(query.get('start_time') ?? '0');
  const base = BigInt(Date.parse(TIME)) * 1_000_000n;
  const batch = logLines
    .map(({ type, instance, text }, at) => ({
      timestamp: String(base + BigInt(at)),
      instance_id: instance,
      tags: { source_type: type },
      log: { payload: Buffer.from(text).toString('base64'), type: 'OUT' },
    }))
    .filter(({ timestamp }) => BigInt(timestamp) >= startNs);
  return query.get('descending') === 'true' ? batch.reverse() : batch;
}

function matches(wanted: string, call: string): boolean {
  return new RegExp(`^${wanted.replace(/[.?+]/g, '\\$&').replaceAll('*', '[^/]+')}$`).test(call);
}

async function collect(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface SentEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly mtimeSeconds: number;
  readonly target: string;
  readonly text: string;
}

/** Of a plain tar, in its order. */
export function tarEntries(tar: Buffer): SentEntry[] {
  const entries: SentEntry[] = [];
  const word = (at: number, from: number, length: number): string =>
    tar.toString('utf8', at + from, at + from + length).replace(/\0.*$/s, '');
  for (let at = 0; tar[at] !== 0; ) {
    const size = Number.parseInt(word(at, 124, 12), 8);
    entries.push({
      name: word(at, 0, 100),
      type: word(at, 156, 1),
      mode: Number.parseInt(word(at, 100, 8), 8),
      mtimeSeconds: Number.parseInt(word(at, 136, 12), 8),
      target: word(at, 157, 100),
      text: tar.toString('utf8', at + 512, at + 512 + size),
    });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return entries;
}

/**
 * The CLI as `./cupola` runs it: made of the sources as they are now, by the launcher itself. A command takes a third of the CPU that the sources take. Where it
 * makes no programs (the libraries are another checkout's), the sources.
 */
export const CLI = madeCli(resolve(import.meta.dirname, '../../..'));

function madeCli(root: string): string {
  execFileSync(join(root, 'cupola'), ['completion', 'bash']);
  const made = join(root, '.programs/current/cli.mjs');
  // What lies there may be of older sources then.
  const isLeftAlone = lstatSync(join(root, 'node_modules')).isSymbolicLink();
  return existsSync(made) && !isLeftAlone ? made : join(import.meta.dirname, 'entry.mjs');
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of the test's own, and the CLI run in it as a user would. */
export interface Bench extends Disposable {
  readonly folder: string;
  readonly home: string;
  /** Files by path; a value that begins with `-> ` is a link, `null` an empty folder. */
  write(files: Record<string, string | null>): void;
  run(args: readonly string[], environment?: Record<string, string>, input?: string): Promise<Ran>;
  /** As `run`, of a command that stays. */
  start(args: readonly string[]): Running;
}

export interface Running extends AsyncDisposable {
  /** Resolves to the first match in what it prints from here on, from behind the last one. Rejects when it ends without. */
  until(pattern: RegExp): Promise<string>;
  /** Everything so far. */
  printed(): string;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code. */
  readonly ended: Promise<number>;
}

function started(child: ChildProcessWithoutNullStreams): Running {
  let printed = '';
  let at = 0;
  let isOver = false;
  let look = (): void => undefined;
  const hear = (text: string): void => {
    printed += text;
    look();
  };
  child.stdout.setEncoding('utf8').on('data', hear);
  child.stderr.setEncoding('utf8').on('data', hear);
  const ended = new Promise<number>(resolve => {
    child.on('close', code => {
      isOver = true;
      look();
      resolve(code ?? -1);
    });
  });
  return {
    ended,
    printed: () => printed,
    kill: signal => void child.kill(signal),
    until: pattern =>
      new Promise((resolve, reject) => {
        look = () => {
          const found = pattern.exec(printed.slice(at));
          if (found !== null) {
            at += found.index + found[0].length;
            look = () => undefined;
            resolve(found[0]);
          } else if (isOver) reject(new Error(`${pattern} was never printed, but:\n${printed}`));
        };
        look();
      }),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export function bench(): Bench {
  const root = mkdtempSync(join(tmpdir(), 'cupola-cli-'));
  const folder = join(root, 'app');
  const home = join(root, 'home');
  mkdirSync(folder);
  const spawnCli = (args: readonly string[], environment: Record<string, string>): ChildProcessWithoutNullStreams => {
    const env = { PATH: process.env.PATH ?? '', HOME: root, CUPOLA_HOME: home, ...environment };
    return spawn(process.execPath, [CLI, ...args], { cwd: folder, env, stdio: 'pipe' });
  };
  return {
    folder,
    home,
    write: files => {
      for (const [path, content] of Object.entries(files)) {
        const full = join(folder, path);
        mkdirSync(content === null ? full : dirname(full), { recursive: true });
        if (content?.startsWith('-> ')) symlinkSync(content.slice(3), full);
        else if (content !== null) writeFileSync(full, content);
      }
    },
    run: (args, environment = {}, input = '') =>
      new Promise((resolve, reject) => {
        const child = spawnCli(args, environment);
        let stdout = '';
        let stderr = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          stdout += text;
        });
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          stderr += text;
        });
        child.on('error', reject);
        child.on('close', code => resolve({ code: code ?? -1, stdout, stderr }));
        child.stdin.end(input);
      }),
    start: args => started(spawnCli(args, {})),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** What the first login has left in its home, and where that was. */
let kept: { origin: string; config: string } | undefined;

/** A bench that is logged in at `cf`: the first by the CLI, the others by what that has written, with tokens of their own `cf`. */
export async function loggedIn(cf: FakeCf): Promise<Bench> {
  const made = bench();
  if (kept === undefined) {
    const { code, stderr } = await made.run(['login', '-a', cf.origin, '-u', 'admin', '-o', 'cupola', '-s', 'dev'], {
      CUPOLA_PASSWORD: 'secret',
    });
    if (code !== 0) throw new Error(`login failed: ${stderr}`);
    kept = { origin: cf.origin, config: readFileSync(join(made.home, 'config.json'), 'utf8') };
  } else {
    const body = new URLSearchParams({ grant_type: 'password', username: 'admin', password: 'secret' });
    const given = await (await fetch(`${cf.origin}/oauth/token`, { method: 'POST', body })).json();
    const { access_token: access, refresh_token: refresh } = given as Record<string, string>;
    const config = JSON.parse(kept.config.replaceAll(kept.origin, cf.origin)) as object;
    mkdirSync(made.home, { mode: 0o700 });
    writeFileSync(join(made.home, 'config.json'), JSON.stringify({ ...config, tokens: { access, refresh } }), {
      mode: 0o600,
    });
  }
  cf.requests.length = 0;
  return made;
}
