/** Rows 1 to 4: CPU time of a request, requests a second and latency beside nginx and Caddy by turns, and what more routes cost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get, pace, percentile, right, saturate, type Target } from './load.ts';
import { pssKib } from './processes.ts';
import {
  BODY,
  cpuMs,
  hostOf,
  isInstalled,
  type Running,
  startBackend,
  startCaddy,
  startNginx,
  startRouter,
  takeLogs,
} from './proxies.ts';
import { median, megabytes, micros, ms, notInstalled, type Row } from './table.ts';

const CONNECTIONS = 64;
/** The same rate for all where CPU time and latency are compared: a rate that each of them carries on one core. */
const PER_SECOND = 3_000;
const ROUND_MS = 2_500;
const WARM_MS = 1_500;
const PEERS = { nginx: { start: startNginx, apt: 'nginx-light' }, caddy: { start: startCaddy, apt: 'caddy' } };
const ROUTES = [10, 1_000, 10_000, 100_000];

interface Measured {
  cpuMicros: number[];
  perSecond: number[];
  p50Ms: number[];
  p99Ms: number[];
}

const target = ({ port }: Running, hosts: readonly string[]): Target => ({
  port,
  requests: hosts.map(host => get(host)),
  bodyBytes: BODY.length,
  connections: CONNECTIONS,
});

async function measureRound(proxy: Running, into: Measured): Promise<void> {
  const full = right(proxy.name, await saturate(target(proxy, [hostOf(0)]), ROUND_MS));
  into.perSecond.push((full.requests / full.ms) * 1_000);
  const before = cpuMs(proxy.pid);
  const paced = right(proxy.name, await pace(target(proxy, [hostOf(0)]), PER_SECOND, ROUND_MS));
  into.cpuMicros.push(((cpuMs(proxy.pid) - before) / paced.requests) * 1_000);
  into.p50Ms.push(percentile(paced.latenciesMs, 0.5));
  into.p99Ms.push(percentile(paced.latenciesMs, 0.99));
}

export async function benchRouter(rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-router-'));
  const logs = takeLogs(folder);
  const proxies: Running[] = [];
  try {
    const backend = await startBackend();
    proxies.push(backend, await startRouter(folder, backend.port, 1));
    for (const [name, { start }] of Object.entries(PEERS))
      if (isInstalled(name)) proxies.push(await start(folder, backend.port));
    const results = new Map<string, Measured>();
    for (const proxy of proxies) {
      results.set(proxy.name, { cpuMicros: [], perSecond: [], p50Ms: [], p99Ms: [] });
      right(proxy.name, await saturate(target(proxy, [hostOf(0)]), WARM_MS));
    }
    for (let round = 0; round < Math.max(rounds, 3); round++)
      for (const proxy of proxies) await measureRound(proxy, results.get(proxy.name) as Measured);
    for (const proxy of proxies.splice(1)) await proxy.end();
    return [...compare(results), ...(await moreRoutes(folder, backend))];
  } finally {
    for (const proxy of proxies) await proxy.end();
    logs.closeAllConnections();
    logs.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function compare(results: ReadonlyMap<string, Measured>): Row[] {
  const of = (name: string, pick: keyof Measured): number => median(results.get(name)?.[pick] ?? []);
  const direct = `direct ${Math.round(of('direct', 'perSecond'))}/s`;
  const row = (
    number: string,
    what: string,
    peer: keyof typeof PEERS,
    {
      pick,
      aim,
      show,
      isMet,
    }: { pick: keyof Measured; aim: string; show(value: number): string; isMet(ratio: number): boolean },
  ): Row => {
    const ours = of('cupola', pick);
    if (!results.has(peer)) return notInstalled({ row: number, what, ours: show(ours), aim }, peer, PEERS[peer].apt);
    const ratio = ours / of(peer, pick);
    return {
      row: number,
      what,
      ours: show(ours),
      beside: `${show(of(peer, pick))} ${peer}`,
      ratio,
      aim,
      met: isMet(ratio),
    };
  };
  const rate = (value: number): string => `${Math.round(value)}/s`;
  return [
    row('1', `router: CPU of a request at ${PER_SECOND}/s, 1 KB, all duties, access log written by all`, 'nginx', {
      pick: 'cpuMicros',
      aim: '<= 4x nginx',
      show: micros,
      isMet: ratio => ratio <= 4,
    }),
    row('2', `router: requests a second, ${CONNECTIONS} connections (${direct})`, 'caddy', {
      pick: 'perSecond',
      aim: '>= 1.5x Caddy',
      show: rate,
      isMet: ratio => ratio >= 1.5,
    }),
    row('3', `router: p50 at ${PER_SECOND}/s`, 'nginx', {
      pick: 'p50Ms',
      aim: '<= 2x nginx',
      show: ms,
      isMet: ratio => ratio <= 2,
    }),
    row('3', `router: p99 at ${PER_SECOND}/s`, 'nginx', {
      pick: 'p99Ms',
      aim: '<= 3x nginx',
      show: ms,
      isMet: ratio => ratio <= 3,
    }),
  ];
}

/** Row 4: the same load, spread over as many hosts as there are routes (at most 5,000). */
async function moreRoutes(folder: string, backend: Running): Promise<Row[]> {
  const seen: Array<{ routes: number; cpuMicros: number; kib: number; startMs: number }> = [];
  for (const routes of ROUTES) {
    const router = await startRouter(folder, backend.port, routes);
    const step = Math.ceil(routes / 5_000);
    const hosts = Array.from({ length: Math.ceil(routes / step) }, (_, index) => hostOf(index * step));
    try {
      right('cupola', await saturate(target(router, hosts), WARM_MS));
      const cpu: number[] = [];
      for (let round = 0; round < 3; round++) {
        const before = cpuMs(router.pid);
        const { requests } = right('cupola', await pace(target(router, hosts), PER_SECOND, ROUND_MS));
        cpu.push(((cpuMs(router.pid) - before) / requests) * 1_000);
      }
      seen.push({ routes, cpuMicros: median(cpu), kib: pssKib(router.pid), startMs: router.startMs });
    } finally {
      await router.end();
    }
  }
  const [few, many] = [seen[0], seen.at(-1)];
  if (few === undefined || many === undefined) return [];
  const curve = (show: (one: (typeof seen)[number]) => string): string => seen.map(show).join(' / ');
  const what = ROUTES.join(' / ');
  const ratio = many.cpuMicros / few.cpuMicros;
  return [
    {
      row: '4',
      what: `router: CPU of a request with ${what} routes`,
      ours: curve(({ cpuMicros }) => micros(cpuMicros)),
      beside: 'the first of them',
      ratio,
      aim: '<= 1.3x',
      met: ratio <= 1.3,
    },
    {
      row: '4',
      what: `router: memory with ${what} routes (PSS, after the load)`,
      ours: curve(({ kib }) => megabytes(kib)),
      beside: '',
      ratio: null,
      aim: '<= 150 MB at 100,000',
      met: many.kib <= 150 * 1_024,
    },
    {
      row: '4',
      what: `router: start to listening with ${what} routes on disk`,
      ours: curve(({ startMs }) => ms(startMs)),
      beside: '',
      ratio: null,
      aim: '<= 1 s at 10,000 (ours)',
      met: (seen[2]?.startMs ?? 0) <= 1_000,
    },
  ];
}
