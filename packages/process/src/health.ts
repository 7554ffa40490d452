/**
 * What an operator's machinery asks of a program, on a listener of its own: `/healthz` (its loop turns), `/readyz` (it can do its work, or one line that says
 * what is missing) and `/metrics` for Prometheus. Without CUPOLA_HEALTH_LISTEN there is none: prom-client is not even loaded, and nothing is counted.
 *
 * Nobody has to show who they are, and nothing secret is shown: names of routes, guids of apps, numbers. It belongs on an address that only operators reach.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type * as Prom from 'prom-client';

/** What is missing, in one line; or null, and `degraded` says what it does without. */
export interface Readiness {
  missing: string | null;
  degraded?: string | null;
}
type ReadinessCheck = () => Readiness | Promise<Readiness>;

export interface Health extends AsyncDisposable {
  /** Where it listens; null while that address is taken. */
  address(): { host: string; port: number } | null;
  readonly metrics: Metrics;
  /** From now on this decides what `/readyz` says; before the first call the program is starting. */
  readyWhen(check: ReadinessCheck): void;
  /** No new work from here on. */
  drain(): void;
}

interface Named<Label extends string> {
  name: string;
  help: string;
  labels: readonly Label[];
}
type Labels<Label extends string> = Readonly<Record<Label, string>>;
export type Sample<Label extends string> = [labels: Labels<Label>, value: number];

/** The kinds of numbers that we show. Each name is given once. */
export interface Metrics {
  counter<Label extends string>(named: Named<Label>): { add(labels: Labels<Label>, count?: number): void };
  histogram<Label extends string>(
    named: Named<Label> & { buckets: readonly number[] },
  ): { observe(labels: Labels<Label>, value: number): void };
  /** Numbers that are read when somebody asks for them; `counter` for those that only grow. What cannot be read, or not in time, is left out. */
  read<Label extends string>(
    named: Named<Label> & { kind: 'gauge' | 'counter' },
    samples: () => readonly Sample<Label>[] | Promise<readonly Sample<Label>[]>,
  ): void;
  /** Text in Prometheus' format that is made elsewhere. */
  text(make: () => string): void;
}

/** A check that has not answered by then has not passed (ours: kubelet's own patience is a second, Prometheus' ten). */
const CHECK_MS = 2_000;
/** The one before, which drains, may still have the address. */
const TAKEN_RETRY_MS = 500;
/** Timers of the event loop's delay: often enough for a minute's picture (ours). */
const LOOP_DELAY_MS = 100;

export interface HealthOptions {
  listen: { host: string; port: number };
  log: Logger;
}

/** Resolves when it listens, or is waiting for its address: a program does not fail for that. */
export async function openHealth({ listen, log }: HealthOptions): Promise<Health> {
  const prom = await import('prom-client');
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_DELAY_MS });
  const texts: Array<() => string> = [];
  let check: ReadinessCheck = () => ({ missing: 'it is starting' });
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return say(response, 405, 'only GET is answered here');
    if (path === '/healthz') return say(response, 200, 'ok');
    if (path === '/readyz') return void sayReadiness(response, check);
    if (path === '/metrics') return void sayMetrics(response, { registry, texts });
    say(response, 404, 'ask for /healthz, /readyz or /metrics');
  });
  server.unref();
  const closed = new AbortController();
  if (!(await tryToListen(server, listen))) {
    log.warn(
      { listen },
      'the address for /healthz, /readyz and /metrics is taken: this goes on without, and tries again',
    );
    void (async () => {
      while (!closed.signal.aborted && !(await tryToListen(server, listen)))
        await pause(TAKEN_RETRY_MS, undefined, { ref: false });
    })();
  }
  return {
    address: () => {
      const address = server.address() as AddressInfo | null;
      return address === null ? null : { host: address.address, port: address.port };
    },
    metrics: metricsOf(prom, registry, texts),
    readyWhen: ready => {
      check = ready;
    },
    drain: () => {
      check = () => ({ missing: 'it drains and ends' });
    },
    [Symbol.asyncDispose]: async () => {
      closed.abort();
      server.closeAllConnections();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

/** False where the address is taken. @throws for any other reason. */
function tryToListen(server: Server, listen: HealthOptions['listen']): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    server.once('error', failed);
    server.listen(listen, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}

function metricsOf(prom: typeof Prom, registry: Prom.Registry, texts: Array<() => string>): Metrics {
  const options = <Label extends string>({ name, help, labels }: Named<Label>) => ({
    ...{ name, help },
    labelNames: labels,
    registers: [registry],
  });
  return {
    counter: named => {
      const counter = new prom.Counter(options(named));
      return { add: (labels, count = 1) => counter.inc(labels, count) };
    },
    histogram: named => {
      const histogram = new prom.Histogram({ ...options(named), buckets: [...named.buckets] });
      return { observe: (labels, value) => histogram.observe(labels, value) };
    },
    read: (named, samples) => {
      const collected = { ...options(named), collect: () => collect() };
      const metric = named.kind === 'counter' ? new prom.Counter(collected) : new prom.Gauge(collected);
      const collect = async (): Promise<void> => {
        const now = await inTime(samples, () => []);
        metric.reset();
        for (const [labels, value] of now) metric.inc(labels, value);
      };
    },
    text: make => void texts.push(make),
  };
}

async function sayReadiness(response: ServerResponse, check: ReadinessCheck): Promise<void> {
  const { missing, degraded } = await inTime<Readiness>(check, error => ({ missing: messageOf(error) }));
  if (missing !== null) say(response, 503, `not ready: ${missing}`);
  else say(response, 200, degraded == null ? 'ready' : `ready, but ${degraded}`);
}

interface Shown {
  registry: Prom.Registry;
  texts: ReadonlyArray<() => string>;
}

async function sayMetrics(response: ServerResponse, { registry, texts }: Shown): Promise<void> {
  const known = await registry.metrics();
  say(response, 200, [known, ...texts.map(make => make())].join('\n').trimEnd(), registry.contentType);
}

/** @param otherwise what it is when `ask` fails, or has not answered within CHECK_MS. */
async function inTime<T>(ask: () => T | Promise<T>, otherwise: (error: unknown) => T): Promise<T> {
  const over = new AbortController();
  const late = pause(CHECK_MS, undefined, over).then(() => {
    throw new Error(`what it needs has not answered within ${CHECK_MS / 1000} s`);
  });
  late.catch(() => undefined); // It was in time.
  try {
    return await Promise.race([(async () => ask())(), late]);
  } catch (error) {
    return otherwise(error);
  } finally {
    over.abort();
  }
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

function say(response: ServerResponse, status: number, text: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' }).end(`${text}\n`);
}
