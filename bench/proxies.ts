/**
 * The router, and the proxies that it is measured beside, each as a process on a free port in front of one backend. All do the same for a request: find the
 * backend by host, set the headers that an app gets of Cloud Foundry, give the answer the request's id, keep connections on both sides, write an access log.
 * What differs: nginx and Caddy have one route; they write their log lines to a file (nginx through a buffer of 64 KB), the router sends its own in batches
 * to a unix socket; Caddy's are JSON. One thread each: nginx one worker, Caddy GOMAXPROCS=1.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { MALLOC_ENVIRONMENT, NODE_FLAGS } from '../apps/control/src/programs.ts';

/** What the backend answers. */
export const BODY = 'x'.repeat(1_024);

export interface Running {
  name: string;
  port: number;
  pid: number;
  /** From its start until it listens. */
  startMs: number;
  end(): Promise<void>;
}

export function isInstalled(program: string): boolean {
  return spawnSync(program, ['-v'], { stdio: 'ignore' }).error === undefined;
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Long enough for a Node process on a busy machine, with a large table. */
const LISTEN_WITHIN_MS = 60_000;

async function listening(child: ChildProcess, port: number): Promise<void> {
  const until = performance.now() + LISTEN_WITHIN_MS;
  while (child.exitCode === null && child.signalCode === null && performance.now() < until) {
    const isOpen = await new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.once('connect', () => socket.destroy()).once('error', () => resolve(false));
    });
    if (isOpen) return;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  child.kill('SIGKILL');
  throw new Error(`${child.spawnargs.join(' ')} did not listen on port ${port} (exit code ${child.exitCode})`);
}

async function launch(
  name: string,
  port: number,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Running> {
  const [file = '', ...args] = argv;
  const startedMs = performance.now();
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  await listening(child, port);
  return {
    name,
    port,
    pid: child.pid ?? 0,
    startMs: performance.now() - startedMs,
    end: async () => {
      const ended = new Promise(resolve => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Answers whatever it is asked: one write for each request, no HTTP library, so that its own cost is small. */
export async function startBackend(): Promise<Running> {
  const port = await freePort();
  const answer = `HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: ${BODY.length}\\r\\n\\r\\n${BODY}`;
  const program = `const answer = Buffer.from('${answer}');
require('node:net').createServer({ noDelay: true }, socket => {
  socket.on('error', () => {});
  socket.on('data', chunk => chunk.includes('\\r\\n\\r\\n') && socket.write(answer));
}).listen(${port}, '127.0.0.1')`;
  return launch('direct', port, [process.execPath, '-e', program]);
}

/** Takes the router's access log as the API does, on `internal.sock` of that folder. */
export function takeLogs(folder: string): http.Server {
  return http
    .createServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(200).flushHeaders();
      request.resume().on('end', () => response.writeHead(204).end());
    })
    .listen(join(folder, 'internal.sock'));
}

export const hostOf = (route: number): string => `app-${route}.example.com`;

/** Our router with so many routes, from a table on disk, as the platform runs it: no API is needed. */
export async function startRouter(folder: string, backendPort: number, routes: number): Promise<Running> {
  const items = Array.from({ length: routes }, (_, route) => ({
    guid: `route-${route}`,
    host: `app-${route}`,
    domain: 'example.com',
    path: '',
    options: {},
    destinations: [
      {
        appGuid: `app-${route}`,
        appName: `app-${route}`,
        spaceName: 'space',
        organizationName: 'organization',
        processGuid: `process-${route}`,
        processType: 'web',
        holdMs: 0,
        endpoints: [{ instanceGuid: `copy-${route}`, index: 0, host: '127.0.0.1', port: backendPort }],
      },
    ],
  }));
  writeFileSync(join(folder, 'router-table.json'), JSON.stringify({ version: 1, cursor: null, items }));
  const port = await freePort();
  const main = join(import.meta.dirname, '../apps/router/src/main.ts');
  return launch('cupola', port, [process.execPath, ...NODE_FLAGS, main], {
    ...MALLOC_ENVIRONMENT,
    CUPOLA_STATE: folder,
    CUPOLA_ROUTER_LISTEN: `127.0.0.1:${port}`,
    CUPOLA_LOG_LEVEL: 'error',
    NODE_ENV: 'production',
  });
}

export async function startNginx(folder: string, backendPort: number): Promise<Running> {
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  const set = (name: string, value: string): string => `proxy_set_header ${name} ${value};`;
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log /dev/null; events { worker_connections 1024; }
http {
  log_format cf '$host - [$time_iso8601] "$request" $status $request_length $body_bytes_sent "$http_referer" "$http_user_agent" "$remote_addr:$remote_port" "$upstream_addr" x_forwarded_for:"$proxy_add_x_forwarded_for" x_forwarded_proto:"$scheme" vcap_request_id:"$request_id" response_time:$request_time gorouter_time:$upstream_response_time app_id:"app-0" app_index:"0" instance_id:"copy-0"';
  access_log ${folder}/nginx.log cf buffer=64k flush=1s;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  keepalive_requests 100000000;
  upstream app { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port}; server_name ${hostOf(0)};
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_buffering on;
      ${set('Connection', '""')} ${set('Host', '$http_host')}
      ${set('X-Forwarded-For', '$proxy_add_x_forwarded_for')} ${set('X-Forwarded-Proto', '$scheme')} ${set('X-Request-Start', '$msec')}
      ${set('X-Vcap-Request-Id', '$request_id')} ${set('X-CF-ApplicationId', 'app-0')} ${set('X-CF-InstanceId', 'copy-0')} ${set('X-CF-InstanceIndex', '0')}
      add_header X-Vcap-Request-Id $request_id;
    }
  }
}`,
  );
  return launch('nginx', port, ['nginx', '-c', file]);
}

export async function startCaddy(folder: string, backendPort: number): Promise<Running> {
  const port = await freePort();
  const file = join(folder, 'Caddyfile');
  writeFileSync(
    file,
    `{
  admin off
  auto_https off
}
http://${hostOf(0)}:${port} {
  bind 127.0.0.1
  log {
    output file ${folder}/caddy.log
  }
  header X-Vcap-Request-Id {http.request.uuid}
  reverse_proxy 127.0.0.1:${backendPort} {
    header_up X-Request-Start {time.now.unix_ms}
    header_up X-Vcap-Request-Id {http.request.uuid}
    header_up X-CF-ApplicationId app-0
    header_up X-CF-InstanceId copy-0
    header_up X-CF-InstanceIndex 0
  }
}
`,
  );
  const home = join(folder, 'caddy');
  mkdirSync(home, { recursive: true });
  return launch('caddy', port, ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'], {
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_DATA_HOME: home,
    GOMAXPROCS: '1',
  });
}

const CLOCK_TICKS = 100;

/** CPU time of a process and its children, user and system, ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = ((Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS) * 1_000;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return own + children.reduce((sum, child) => sum + cpuMs(Number(child)), 0);
}
