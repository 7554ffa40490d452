/**
 * What the router costs: CPU time a request and requests a second, beside the plainest Node proxy and what is installed of nginx and caddy, in interleaved
 * rounds, against the same backend. Read the ratios and the CPU time; wall-clock figures move with the machine (performance.md 2.1).
 *
 * `node bench/router.ts [seconds] [rounds] [connections]` prints one JSON object.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

const [secondsText = '3', roundsText = '3', connectionsText = '64'] = process.argv.slice(2);
const CLOCK_TICKS = 100;

interface Candidate {
  name: string;
  port: number;
  child: ChildProcess | null;
}
interface Round {
  requestsPerSecond: number;
  cpuMicros: number | null;
  failures: number;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const open = await new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.once('connect', () => socket.destroy()).once('error', () => resolve(false));
    });
    if (open) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/** CPU time of a process and its children, ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = ((Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS) * 1000;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return own + children.reduce((sum, child) => sum + cpuMs(Number(child)), 0);
}

/** Keeps `connections` busy, one request at a time on each, for a while. */
async function load(
  port: number,
  connections: number,
  ms: number,
): Promise<{ requests: number; failures: number; ms: number }> {
  const request = Buffer.from('GET / HTTP/1.1\r\nHost: app.localhost\r\nUser-Agent: bench\r\n\r\n');
  let requests = 0;
  let failures = 0;
  const started = performance.now();
  const end = started + ms;
  await Promise.all(
    Array.from(
      { length: connections },
      () =>
        new Promise<void>(resolve => {
          const socket = net.connect(port, '127.0.0.1', () => socket.write(request));
          let got = 0;
          let wanted = 0;
          socket.on('data', chunk => {
            if (wanted === 0) {
              const text = chunk.toString('latin1');
              if (!text.startsWith('HTTP/1.1 200')) failures++;
              wanted = text.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
            }
            got += chunk.length;
            if (got < wanted) return;
            got = 0;
            wanted = 0;
            requests++;
            if (performance.now() < end) socket.write(request);
            else socket.end();
          });
          socket.on('error', () => failures++);
          socket.on('close', () => resolve());
        }),
    ),
  );
  return { requests, failures, ms: performance.now() - started };
}

function installed(program: string): boolean {
  return spawnSync(program, ['-v'], { stdio: 'ignore' }).error === undefined;
}

async function peers(folder: string, backendPort: number): Promise<Candidate[]> {
  const found: Candidate[] = [];
  const run = async (name: string, argv: (port: number) => string[]): Promise<void> => {
    if (!installed(name)) return;
    const port = await freePort();
    const [file = '', ...args] = argv(port);
    found.push({ name, port, child: spawn(file, args, { stdio: 'ignore', env: { ...process.env, GOMAXPROCS: '1' } }) });
    await listening(port);
  };
  await run('nginx', port => {
    const file = join(folder, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log /dev/null; events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; upstream b { server 127.0.0.1:${backendPort}; keepalive 128; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`,
    );
    return ['nginx', '-c', file];
  });
  await run('caddy', port => [
    'caddy',
    'reverse-proxy',
    '--from',
    `http://127.0.0.1:${port}`,
    '--to',
    `127.0.0.1:${backendPort}`,
  ]);
  return found;
}

/** The plainest proxy that Node can be: no route, no header, no log. There on every machine, so the ratio always has a base. */
async function plainNode(backendPort: number): Promise<Candidate> {
  const port = await freePort();
  const code = `const http = require('node:http'); const agent = new http.Agent({ keepAlive: true });
http.createServer((q, r) => { const p = http.request({ port: ${backendPort}, host: '127.0.0.1', agent, method: q.method, path: q.url, headers: q.headers },
  a => { r.writeHead(a.statusCode, a.rawHeaders); a.pipe(r); }); q.pipe(p); }).listen(${port}, '127.0.0.1')`;
  const child = spawn(process.execPath, ['-e', code], { stdio: 'ignore' });
  await listening(port);
  return { name: 'node:http + Agent', port, child };
}

/** Our router as a process, with one route, from a table on disk: no API is needed. */
async function ours(folder: string, backendPort: number): Promise<Candidate> {
  const endpoints = [{ instanceGuid: 'copy', index: 0, host: '127.0.0.1', port: backendPort }];
  const destination = {
    appGuid: 'app',
    appName: 'app',
    spaceName: 's',
    organizationName: 'o',
    processGuid: 'p',
    processType: 'web',
    endpoints,
    holdMs: 0,
  };
  const items = [{ guid: 'r', host: 'app', domain: 'localhost', path: '', destinations: [destination], options: {} }];
  writeFileSync(join(folder, 'router-table.json'), JSON.stringify({ version: 1, cursor: null, items }));
  const port = await freePort();
  const child = spawn(process.execPath, [join(import.meta.dirname, '../apps/router/src/main.ts')], {
    env: {
      PATH: process.env.PATH ?? '',
      CUPOLA_STATE: folder,
      CUPOLA_ROUTER_LISTEN: `127.0.0.1:${port}`,
      CUPOLA_LOG_LEVEL: 'error',
      NODE_ENV: 'production',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await listening(port);
  return { name: 'cupola', port, child };
}

/** The access log is taken, as it is in a platform. */
function takeLogs(folder: string): http.Server {
  return http
    .createServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(200).flushHeaders();
      request.resume().on('end', () => response.writeHead(204).end());
    })
    .listen(join(folder, 'internal.sock'));
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-router-'));
const program = `const body = Buffer.alloc(1024, 'x'); require('node:http').createServer((_, r) => r.end(body)).listen(+process.argv[1], '127.0.0.1')`;
const backendPort = await freePort();
const backend = spawn(process.execPath, ['-e', program, String(backendPort)], { stdio: 'ignore' });
await listening(backendPort);
const logs = takeLogs(folder);
const candidates: Candidate[] = [
  { name: 'direct', port: backendPort, child: null },
  await ours(folder, backendPort),
  await plainNode(backendPort),
  ...(await peers(folder, backendPort)),
];
const results = new Map<string, Round[]>(candidates.map(({ name }) => [name, []]));
for (let round = 0; round < Number(roundsText); round++)
  for (const { name, port, child } of candidates) {
    await load(port, Number(connectionsText), 300);
    const before = child?.pid === undefined ? 0 : cpuMs(child.pid);
    const { requests, failures, ms } = await load(port, Number(connectionsText), Number(secondsText) * 1000);
    const used = child?.pid === undefined ? null : cpuMs(child.pid) - before;
    results.get(name)?.push({
      requestsPerSecond: (requests / ms) * 1000,
      cpuMicros: used === null ? null : (used / requests) * 1000,
      failures,
    });
  }
for (const { child } of candidates) child?.kill('SIGTERM');
backend.kill('SIGTERM');
logs.closeAllConnections();
logs.close();
rmSync(folder, { recursive: true, force: true });

const table = [...results].map(([name, rounds]) => ({
  name,
  requestsPerSecond: Math.round(Math.max(...rounds.map(round => round.requestsPerSecond))),
  cpuMicrosPerRequest:
    rounds[0]?.cpuMicros === null ? null : Math.round(median(rounds.map(round => round.cpuMicros ?? 0)) * 10) / 10,
  failures: rounds.reduce((sum, round) => sum + round.failures, 0),
}));
const own = table.find(({ name }) => name === 'cupola');
console.log(
  JSON.stringify(
    {
      bench: 'router',
      cores: availableParallelism(),
      connections: Number(connectionsText),
      table: table.map(row => ({
        ...row,
        cpuRatio:
          row.cpuMicrosPerRequest === null || !own?.cpuMicrosPerRequest
            ? null
            : Math.round((own.cpuMicrosPerRequest / row.cpuMicrosPerRequest) * 100) / 100,
      })),
    },
    null,
    2,
  ),
);
