/**
 * `node apps/router/src/main.ts`: reads the environment once, serves until SIGTERM, SIGINT, or the end of the parent's pipe, then drains.
 * Under a supervisor (a listening socket was passed on) stdin is that pipe and fd 3 takes one line `{"ready":{...}}` once requests are served.
 */
import { createReadStream, readFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Acme, createAcme } from '@cupola/certificates/acme';
import { type Certificates, firstOf } from '@cupola/certificates/certificates';
import { createGivenCertificate } from '@cupola/certificates/given';
import { type Address, parseAddress } from '@cupola/certificates/members/dial';
import { identityFrom } from '@cupola/certificates/members/identity';
import { callAs, keepIdentity, keepLocalIdentity } from '@cupola/certificates/members/joining';
import { createOwnCertificates } from '@cupola/certificates/own';
import { openOwnCa } from '@cupola/certificates/own-ca';
import { apiHostNames } from '@cupola/model/system-hosts';
import { collectAtRest } from '@cupola/process/collect-at-rest';
import { listenAddress } from '@cupola/process/settings';
import { pino } from 'pino';
import { z } from 'zod';
import type { Membership } from './backends/dial.ts';
import { createLatency } from './logs/latency.ts';
import { addRouterMetrics, readinessOf } from './metrics.ts';
import { type RouterDeps, start } from './start.ts';

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
const fd = z.coerce.number().int().nonnegative();
const environment = z
  .object({
    /** Folder with `internal.sock` and the saved table, unless named one by one below. */
    CUPOLA_STATE: z.string().min(1).exactOptional(),
    /** Unix socket of the internal API, or its origin. */
    CUPOLA_ROUTER_INTERNAL: z.string().min(1).exactOptional(),
    CUPOLA_ROUTER_TABLE_FILE: z.string().min(1).exactOptional(),
    CUPOLA_ROUTER_LISTEN_FD: fd.exactOptional(),
    /** `host:port`, where no socket is passed on. */
    CUPOLA_ROUTER_LISTEN: z
      .string()
      .regex(/^.+:\d+$/)
      .exactOptional(),
    /** The same two for HTTPS; without either none is spoken. */
    CUPOLA_ROUTER_TLS_LISTEN_FD: fd.exactOptional(),
    CUPOLA_ROUTER_TLS_LISTEN: z
      .string()
      .regex(/^.+:\d+$/)
      .exactOptional(),
    /** Folder of the own CA, and of `given.pem` and `given.key` where the operator gave a certificate. */
    CUPOLA_ROUTER_TLS_FOLDER: z.string().min(1).exactOptional(),
    /** Strict-Transport-Security for apps that set none, in seconds. */
    CUPOLA_ROUTER_HSTS_SECONDS: z.coerce.number().int().nonnegative().exactOptional(),
    /** Where certificates are ordered, by whom; without an address none are. */
    CUPOLA_ACME_EMAIL: z.string().default(''),
    CUPOLA_ACME_DIRECTORY: z.url().default(LETS_ENCRYPT),
    /** File of the CA behind the authority's own address, where that is a private one. */
    CUPOLA_ACME_CA: z.string().default(''),
    /** The platform's own domain. */
    CUPOLA_DOMAIN: z.string().min(1).default('localhost'),
    /** Unix socket on which the API serves the platform's own hosts on that domain; without it and CUPOLA_STATE none are served. */
    CUPOLA_ROUTER_API_SOCKET: z.string().min(1).exactOptional(),
    /** The cell of this machine, on a platform that is a cluster's: copies of others are reached through their agents, as whom `member.pem` in CUPOLA_STATE says. */
    CUPOLA_ROUTER_CELL: z.string().min(1).exactOptional(),
    /** `HOST:PORT` of each API, with commas between: this router has joined their cluster. */
    CUPOLA_APIS: z
      .string()
      .default('')
      .transform(text => (text === '' ? [] : text.split(',').map(address => parseAddress(address)))),
    /** Read until it ends; then the router ends too. */
    CUPOLA_ROUTER_PARENT_FD: fd.exactOptional(),
    CUPOLA_ROUTER_READY_FD: fd.exactOptional(),
    /** Addresses or networks, with commas between. */
    CUPOLA_ROUTER_TRUSTED_HOPS: z.string().default(''),
    /** Where `/healthz`, `/readyz` and `/metrics` are answered; not given: nowhere. Beside an agent, which has another one. */
    CUPOLA_ROUTER_HEALTH_LISTEN: listenAddress.exactOptional(),
    CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  })
  .refine(
    env =>
      env.CUPOLA_STATE !== undefined ||
      (env.CUPOLA_ROUTER_INTERNAL !== undefined && env.CUPOLA_ROUTER_TABLE_FILE !== undefined),
    {
      message: 'set CUPOLA_STATE, or both CUPOLA_ROUTER_INTERNAL and CUPOLA_ROUTER_TABLE_FILE',
    },
  )
  .refine(env => env.CUPOLA_ROUTER_LISTEN_FD !== undefined || env.CUPOLA_ROUTER_LISTEN !== undefined, {
    message: 'set CUPOLA_ROUTER_LISTEN (host:port) or CUPOLA_ROUTER_LISTEN_FD',
  });

const parsed = environment.safeParse(process.env);
if (!parsed.success) {
  console.error(`The router's settings cannot be used.\n${z.prettifyError(parsed.error)}`);
  process.exit(2);
}
const env = parsed.data;
const state = env.CUPOLA_STATE ?? '';
const supervised = env.CUPOLA_ROUTER_LISTEN_FD !== undefined;
const log = pino({ name: 'router', level: env.CUPOLA_LOG_LEVEL });
const internal = env.CUPOLA_ROUTER_INTERNAL ?? join(state, 'internal.sock');

const ended = new AbortController();
const membership = openMembership();
let acme: Acme | null = null;
const apiPlaces = whereTheApiIs();
const tlsListen = whereTo(env.CUPOLA_ROUTER_TLS_LISTEN_FD, env.CUPOLA_ROUTER_TLS_LISTEN);
const health = await openHealth();
const latency = createLatency();
const router = await start({
  internal: internalAddress(),
  ...(membership === null ? {} : { membership }),
  listen: whereTo(env.CUPOLA_ROUTER_LISTEN_FD, env.CUPOLA_ROUTER_LISTEN) ?? splitAddress(''),
  tls: tlsListen === null ? null : { listen: tlsListen, certificates },
  challenge: path => acme?.answer(path) ?? null,
  proofFor: host => acme?.proofFor(host) ?? null,
  system: apiPlaces.length === 0 ? null : { names: apiHostNames(env.CUPOLA_DOMAIN), places: apiPlaces },
  tableFile: env.CUPOLA_ROUTER_TABLE_FILE ?? join(state, 'router-table.json'),
  trustedHops: env.CUPOLA_ROUTER_TRUSTED_HOPS.split(',')
    .map(hop => hop.trim())
    .filter(hop => hop !== ''),
  settings: env.CUPOLA_ROUTER_HSTS_SECONDS === undefined ? {} : { hstsSeconds: env.CUPOLA_ROUTER_HSTS_SECONDS },
  latency,
  log,
  now: Date.now,
  monotonic: () => performance.now(),
});
if (health !== null) addRouterMetrics(health.metrics, latency, router);
health?.readyWhen(() => readinessOf(router));
collectAtRest();
log.info({ address: router.address }, 'the router serves');

let ending = false;
const end = (why: string): void => {
  if (ending) return;
  ending = true;
  log.info({ why }, 'the router drains and ends');
  health?.drain();
  ended.abort();
  router[Symbol.asyncDispose]().then(
    () => process.exit(0),
    (error: unknown) => {
      log.error({ err: error }, 'the router did not end in order');
      process.exit(1);
    },
  );
};
process.on('SIGTERM', () => end('SIGTERM'));
process.on('SIGINT', () => end('SIGINT'));
const parentFd = env.CUPOLA_ROUTER_PARENT_FD ?? (supervised ? 0 : undefined);
if (parentFd !== undefined) followParent(parentFd);
const readyFd = env.CUPOLA_ROUTER_READY_FD ?? (supervised ? 3 : undefined);
if (readyFd !== undefined) writeSync(readyFd, `${JSON.stringify({ ready: router.address })}\n`);

/** The pipe ends when the supervisor ends, however that happened. */
function followParent(pipe: number): void {
  const stream = pipe === 0 ? process.stdin : createReadStream('', { fd: pipe });
  stream.on('error', () => end('the parent is gone'));
  stream.on('end', () => end('the parent is gone'));
  stream.on('close', () => end('the parent is gone'));
  stream.resume();
}

async function openHealth() {
  if (env.CUPOLA_ROUTER_HEALTH_LISTEN === undefined) return null;
  const { openHealth: open } = await import('@cupola/process/health');
  return open({ listen: env.CUPOLA_ROUTER_HEALTH_LISTEN, log });
}

/** For requests to the platform's own hosts. */
function whereTheApiIs(): Array<string | Address> {
  if (env.CUPOLA_ROUTER_API_SOCKET !== undefined) return [env.CUPOLA_ROUTER_API_SOCKET];
  // The API of a router that has joined is on other machines.
  if (env.CUPOLA_APIS.length > 0) return env.CUPOLA_APIS;
  return env.CUPOLA_STATE === undefined ? [] : [join(env.CUPOLA_STATE, 'api.sock')];
}

function internalAddress(): RouterDeps['internal'] {
  if (env.CUPOLA_APIS.length > 0 && membership !== null)
    return { addresses: env.CUPOLA_APIS, identity: membership.identity };
  return /^https?:\/\//.test(internal) ? { origin: internal } : { socketPath: internal };
}

/** As whom agents of other machines are asked; null: there are none. The certificate is kept up to date. */
function openMembership(): Membership | null {
  const ownCellId = env.CUPOLA_ROUTER_CELL ?? null;
  if (env.CUPOLA_APIS.length === 0 && ownCellId === null) return null;
  const file = join(state, 'member.pem');
  const identity = identityFrom(file);
  const keeping = {
    file,
    now: Date.now,
    warn: (error: unknown) =>
      log.warn({ err: error }, 'the certificate of this router could not be renewed; this is tried again'),
  };
  if (env.CUPOLA_APIS.length > 0)
    void keepIdentity({ ...keeping, post: callAs({ addresses: env.CUPOLA_APIS, identity }) }, ended.signal);
  else
    void keepLocalIdentity(
      {
        ...keeping,
        socketPath: internal,
        id: `router-${ownCellId}`,
        hostName: hostname(),
        roles: ['router'],
      },
      ended.signal,
    );
  return { identity, ownCellId };
}

/** The operator's certificate for the names that it is made for, the own CA's for all others. */
function certificates(isServed: (host: string) => boolean): Certificates {
  const folder = env.CUPOLA_ROUTER_TLS_FOLDER ?? join(state, 'tls');
  const given = createGivenCertificate({
    certFile: join(folder, 'given.pem'),
    keyFile: join(folder, 'given.key'),
    monotonic: () => performance.now(),
    complain: text => log.error(text),
  });
  if (env.CUPOLA_ACME_EMAIL !== '')
    acme = createAcme({
      folder: join(folder, 'acme'),
      directoryUrl: env.CUPOLA_ACME_DIRECTORY,
      email: env.CUPOLA_ACME_EMAIL,
      ...(env.CUPOLA_ACME_CA === '' ? {} : { ca: readFileSync(env.CUPOLA_ACME_CA, 'utf8') }),
      isServed,
      now: Date.now,
      say: text => log.info(text),
    });
  const ca = openOwnCa({ folder, now: Date.now });
  return firstOf([
    given,
    ...(acme === null ? [] : [acme]),
    createOwnCertificates({ ca, domain: env.CUPOLA_DOMAIN, isServed, now: Date.now }),
  ]);
}

function whereTo(passed: number | undefined, address: string | undefined): RouterDeps['listen'] | null {
  if (passed !== undefined) return { fd: passed };
  return address === undefined ? null : splitAddress(address);
}

function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
