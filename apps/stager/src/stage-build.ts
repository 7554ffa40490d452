/**
 * One claimed build, from its package to its result. Whatever ends it early (cancel, a newer stager, time) ends its sandbox at once; nothing of it is left
 * here or in the store but what the API has accepted under the build's fence.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { BuildFinish, BuildOrder, LogEnvelope, StagedResult } from '@cupola/contract/internal';
import type { RegistryPolicy } from '@cupola/images/registry/policy';
import { readCode, withCode } from '@cupola/model/causes';
import { DEFAULT_EGRESS } from '@cupola/model/egress';
import { FencedError } from '@cupola/model/errors';
import { HOST_STACK } from '@cupola/model/host-stack';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { stagingCause } from '@cupola/model/staging-cause';
import type { Egress } from '@cupola/sandbox/egress-chains';
import { localeOf } from '@cupola/sandbox/locale';
import type { Sandboxes } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import type { AppCaches } from './app-caches.ts';
import { type BuildNetwork, DEFAULT_PATH, type InsideEnd, runInside } from './build-sandbox.ts';
import { fetchZips } from './buildpack-zips.ts';
import type { InternalClient } from './internal-client.ts';
import { keepLease, type StopReason } from './lease.ts';
import { type LogSender, openLogSender } from './log-sender.ts';
import { readOperatorSettings } from './operator-settings.ts';
import type { MadeToolchain, Toolchains } from './toolchains/toolchains.ts';

export interface BuildStack {
  name: string;
  digest: string;
  abiKey: string;
  /** Folder of its root filesystem; null: this machine itself. */
  root: string | null;
}

export interface StagingDeps {
  client: InternalClient;
  sandboxes: Sandboxes;
  toolchains: Toolchains;
  caches: AppCaches;
  npmSettings(): Promise<{ npmrc: string; cafile: string | null }>;
  network(egress: Egress): Promise<BuildNetwork>;
  /** Of the sandboxes; null: started as an ordinary user, whose own it is. */
  uid: number | null;
  folder: string;
  compileCache: string;
  stacks(): readonly BuildStack[];
  /** Which registries may be asked for images. */
  registries: RegistryPolicy;
  log: Logger;
  now(): number;
}

/** Of V8's old space in build commands: Node.js sees the machine's memory, not the limit. */
const HEAP_SHARE = 0.75;

/** Of a package whose connection breaks. */
const DOWNLOADS_MAX = 3;
/** Whom this machine trusts, as far as the sandbox shows it: a registry behind a company's own authority is reached as the operator's npm reaches it. */
const CERTIFICATE_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'PIP_CERT', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE'] as const;
const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

type Outcome =
  | { outcome: 'staged'; result: StagedResult }
  | { outcome: 'failed'; title: string; error: string }
  | { outcome: 'lost'; error: string };

/** What became of a build here; `dropped`: it is another's, or nobody's, or its result was not taken. */
export type Ended = Outcome['outcome'] | 'dropped';

/** A build that is running, for whoever may have to stop it. */
export interface RunningBuild {
  readonly guid: string;
  readonly fence: number;
  stop(reason: StopReason): void;
  /** Resolves when nothing of it runs any more. Never rejects. */
  readonly done: Promise<Ended>;
}

export function startBuild(deps: StagingDeps, order: BuildOrder): RunningBuild {
  const controller = new AbortController();
  const stop = (reason: StopReason): void => controller.abort(reason);
  return {
    guid: order.buildGuid,
    fence: order.fence,
    stop,
    done: run(deps, order, { stop, signal: controller.signal }),
  };
}

interface Stopping {
  stop(reason: StopReason): void;
  signal: AbortSignal;
}

async function run(deps: StagingDeps, order: BuildOrder, { stop, signal }: Stopping): Promise<Ended> {
  const { client, caches, now } = deps;
  const log = deps.log.child({ build: order.buildGuid, app: order.appName, attempt: order.attempt });
  const send = (envelopes: LogEnvelope[]): Promise<void> => client.log(order.buildGuid, envelopes);
  const { lines, last } = keepLast(openLogSender(send, { appGuid: order.appGuid, now }));
  const work = join(deps.folder, 'w', randomBytes(4).toString('hex'));
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const lease = keepLease({
    client,
    buildGuid: order.buildGuid,
    fence: order.fence,
    leaseMs: order.leaseMs,
    lost: stop,
    beat: async () => {
      if (await caches.isTooLarge(cacheOf(order))) stop('cache');
    },
  });
  const timer = setTimeout(() => stop('time'), order.timeoutMs);
  const startedMs = performance.now();
  const afterwards: Array<() => Promise<void>> = [];
  try {
    const outcome = await stage(deps, order, { work, lines, signal, later: task => void afterwards.push(task) });
    const final = signal.aborted ? stoppedOutcome(signal.reason as StopReason, order) : outcome;
    if (final === null) {
      log.info({ reason: signal.reason }, 'the build was dropped');
      return 'dropped';
    }
    if (final.outcome === 'failed' && readCode(final.error).code === null)
      final.error = withCode(final.error, stagingCause({ ...final, lines: last }).code);
    if (final.outcome === 'failed') lines.line(`**ERROR** ${final.error}`, 'ERR');
    // What becomes of an app counts for more than what was said of it.
    await Promise.race([lines.flush(), pause(LINES_WAIT_MS, undefined, { ref: false })]);
    await client.finish(order.buildGuid, { fence: order.fence, ...final } satisfies BuildFinish);
    log.info(
      {
        outcome: final.outcome,
        ms: Math.round(performance.now() - startedMs),
        why: 'error' in final ? final.error : undefined,
      },
      'the build has ended',
    );
    return final.outcome;
  } catch (error) {
    // Another has the build, or it is gone: not ours to speak of.
    if (error instanceof FencedError) log.info('the build was taken over');
    else log.error({ err: error }, 'the result of the build could not be handed over');
    return 'dropped';
  } finally {
    clearTimeout(timer);
    lease.stop();
    for (const task of afterwards) await task();
    await rm(work, { recursive: true, force: true });
    await caches.trim(cacheOf(order));
  }
}

/** So long the result waits for its last lines to be taken (ours): an API that is frozen would keep them for minutes. */
const LINES_WAIT_MS = 5_000;

/** Lines that a failure may be told by: package managers say much after what matters (ours). */
const LAST_LINES = 200;

/** The same sender, and the newest lines that went through it. */
function keepLast(sender: LogSender): { lines: LogSender; last: readonly string[] } {
  const last: string[] = [];
  const line: LogSender['line'] = (text, type) => {
    last.push(text);
    if (last.length > LAST_LINES) last.shift();
    sender.line(text, type);
  };
  return { lines: { ...sender, line }, last };
}

/** What a build that was stopped is; null: nobody is told, it is not ours. */
function stoppedOutcome(reason: StopReason, order: BuildOrder): Outcome | null {
  if (reason === 'time')
    return {
      outcome: 'failed',
      title: 'StagingTimeExpired',
      error: `Staging took longer than ${Math.round(order.timeoutMs / 60_000)} minutes and was stopped. Build less, or push what is built already.`,
    };
  if (reason === 'cache')
    return {
      outcome: 'failed',
      title: 'BuildpackCompileFailed',
      error:
        'The build wrote too much into its cache folder and was stopped. Its build commands must write less there.',
    };
  return reason === 'closing' ? { outcome: 'lost', error: 'the stager was stopped' } : null;
}

interface Work {
  work: string;
  lines: LogSender;
  signal: AbortSignal;
  /** Done when the result has been handed over. */
  later(work: () => Promise<void>): void;
}

/** Never throws but FencedError: whatever goes wrong on our side is `lost`, and tried again. */
async function stage(deps: StagingDeps, order: BuildOrder, { work, lines, signal, later }: Work): Promise<Outcome> {
  try {
    if (order.image !== undefined)
      return await stageFromRegistry(deps, { ...order, image: order.image }, { work, lines, signal });
    const stack = deps.stacks().find(({ name }) => name === order.stack);
    if (stack === undefined) return notHere(order.stack);
    const packageFile = join(work, 'package.zip');
    lines.line('Downloading app package...');
    await download(deps.client, order, { file: packageFile, signal });
    lines.line(`Downloaded app package (${inUnits(order.packageSizeBytes)})`);
    const used = new Map<string, MadeToolchain>();
    const end = await compile(deps, order, { work, lines, signal, later, packageFile, used, stack });
    later(end.remove);
    const failure = failureOf(end, order);
    if (failure !== null || end.said?.type !== 'staged' || end.layer === null)
      return failure ?? { outcome: 'lost', error: 'the build ended without a result' };

    const { digest, sizeBytes } = end.layer;
    lines.line('Uploading droplet, build artifacts cache...');
    lines.line(`Uploaded droplet (${inUnits(sizeBytes)})`);
    lines.line('Uploading complete');
    return {
      outcome: 'staged',
      result: {
        layers: [
          ...[...used.values()].map(({ layer }) => layer),
          { digest, sizeBytes, kind: 'app', mountPath: '/home/vcap' },
        ],
        buildpacks: end.said.buildpacks,
        processTypes: end.said.processTypes,
        sidecars: end.said.sidecars,
        executionMetadata: '',
        stack: order.stack,
        stackDigest: stack.digest,
        abiKey: stack.abiKey,
        imageDigest: null,
      },
    };
  } catch (error) {
    if (error instanceof FencedError) throw error;
    if (!signal.aborted) deps.log.warn({ err: error, build: order.buildGuid }, 'the build failed on our side');
    return { outcome: 'lost', error: (error as Error).message };
  }
}

/** What only builds of images need is loaded with the first of them. */
async function stageFromRegistry(
  deps: StagingDeps,
  order: BuildOrder & { image: NonNullable<BuildOrder['image']> },
  { work, lines, signal }: Pick<Work, 'work' | 'lines' | 'signal'>,
): Promise<Outcome> {
  const { ImageRefusedError, stageImage } = await import('./stage-image.ts');
  try {
    const result = await stageImage(deps, order, { work, signal, say: text => lines.line(text) });
    return { outcome: 'staged', result };
  } catch (error) {
    if (!(error instanceof ImageRefusedError)) throw error;
    return { outcome: 'failed', title: 'StagingError', error: withCode(error.message, error.code) };
  }
}

/** A connection that breaks in the middle is no reason to lose the build: the API may have been restarted. */
async function download(
  client: InternalClient,
  order: BuildOrder,
  { file, signal }: { file: string; signal: AbortSignal },
): Promise<void> {
  for (let tried = 1; ; tried++)
    try {
      return await downloadOnce(client, order, { file, signal });
    } catch (error) {
      if (error instanceof FencedError || signal.aborted || tried === DOWNLOADS_MAX) throw error;
    }
}

async function downloadOnce(
  client: InternalClient,
  order: BuildOrder,
  { file, signal }: { file: string; signal: AbortSignal },
): Promise<void> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const source = await client.openPackage(order.buildGuid, order.fence, signal);
  await pipeline(source, hashing, createWriteStream(file, { flags: 'w', mode: 0o644 }), { signal });
  if (hash.digest('hex') !== order.packageDigest)
    throw new Error('the package came with other bytes than its digest says');
}

function notHere(stack: string): Outcome {
  return {
    outcome: 'failed',
    title: 'StagingError',
    error: `The stack "${stack}" is not on this machine any more. Push onto another (-s ${HOST_STACK}), or let the operator add it again: ./cupola stack add`,
  };
}

/** What one stack's build keeps is of no use to another's. */
function cacheOf({ appGuid, stack }: BuildOrder): string {
  return stack === HOST_STACK ? appGuid : `${appGuid}.${stack}`;
}

interface CompileWork extends Work {
  stack: BuildStack;
  packageFile: string;
  /** Filled with the toolchains that the build has asked for. */
  used: Map<string, MadeToolchain>;
}

async function compile(
  deps: StagingDeps,
  order: BuildOrder,
  { work, lines, signal, packageFile, used, stack }: CompileWork,
): Promise<InsideEnd> {
  const operator = readOperatorSettings(process.env, homedir());
  const buildpacks = await fetchZips(deps.client, order, join(deps.folder, 'buildpacks'));
  const [settings, network] = await Promise.all([
    deps.npmSettings(),
    deps.network({ rules: order.egress ?? DEFAULT_EGRESS, label: order.appGuid }),
  ]);
  try {
    return await runInside(
      deps.sandboxes,
      {
        guid: `build-${order.buildGuid}-${order.fence}`,
        uid: deps.uid,
        network,
        limits: { memoryMb: order.memoryMb, diskMb: order.diskMb },
        stackRoot: stack.root,
        places: {
          packageFile,
          work,
          cache: deps.caches.open(cacheOf(order), { uid: deps.uid, generation: order.cacheGeneration ?? 0 }),
          toolchains: deps.toolchains.folder,
          buildpacks,
          compileCache: deps.compileCache,
          cafile: settings.cafile,
        },
        begin: {
          npmrc: settings.npmrc,
          asked: order.buildpacks,
          detectOrder: order.detectOrder,
          unpackedMaxBytes: Math.min(PUSH_LIMITS.unpackedMaxBytes, order.diskMb * 1024 * 1024),
          defaults: buildDefaults(order, {
            variables: operator.variables,
            certificates: existsSync(join(stack.root ?? '/', SYSTEM_CERTIFICATES)) ? SYSTEM_CERTIFICATES : null,
            root: stack.root ?? '/',
            host: network.network.kind === 'namespace' ? network.network.address : '127.0.0.1',
          }),
          mavenSettings: operator.mavenSettings,
          environment: order.environment,
        },
        line: (text, type) => lines.line(text, type),
        keep: async layer => {
          if (await deps.client.hasLayer(layer.digest)) return;
          await deps.client.putLayer({ ...layer, open: () => createReadStream(layer.file) }, order, signal);
        },
        toolchain: async ask => {
          const made = await deps.toolchains.ensure(ask, order);
          used.set(made.folderName, made);
          return made;
        },
      },
      signal,
    );
  } finally {
    await network.release();
  }
}

interface Surroundings {
  variables: Record<string, string>;
  certificates: string | null;
  /** Its own address. */
  host: string;
  /** Of the stack's root filesystem. */
  root: string;
}

/**
 * What a build finds unless the app says otherwise. The proxy is the operator's: without it nothing is reached. Nobody asks a build for anything: it has no
 * ports, which CF says in these words.
 */
function buildDefaults(
  { memoryMb, stack }: BuildOrder,
  { variables, certificates, host, root }: Surroundings,
): Record<string, string> {
  const proxies = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap(name => {
    const value = process.env[name];
    return value === undefined || value === '' ? [] : [[name, value]];
  });
  return {
    ...(Object.fromEntries(proxies) as Record<string, string>),
    ...(certificates === null
      ? {}
      : Object.fromEntries(CERTIFICATE_VARIABLES.map(name => [name, certificates] as const))),
    ...variables,
    PATH: DEFAULT_PATH,
    LANG: localeOf(root),
    CF_INSTANCE_IP: host,
    CF_INSTANCE_INTERNAL_IP: host,
    CF_INSTANCE_ADDR: '',
    CF_INSTANCE_PORT: '',
    CF_INSTANCE_PORTS: '[]',
    CF_STACK: stack,
    MEMORY_LIMIT: `${memoryMb}m`,
    NODE_OPTIONS: `--max-old-space-size=${Math.floor(memoryMb * HEAP_SHARE)}`,
  };
}

/** Why a build has no result; null when it has one. */
function failureOf({ said, exit }: InsideEnd, { memoryMb }: BuildOrder): Outcome | null {
  if (exit.outOfMemory)
    return {
      outcome: 'failed',
      title: 'BuildpackCompileFailed',
      error: `The build ran out of memory: its limit is ${memoryMb} MB. Push with more, -m ${2 * memoryMb}M: a build has as much as its app. Or push what is built already.`,
    };
  if (said?.type === 'staged') return null;
  if (said !== null && said.title !== '') return { outcome: 'failed', title: said.title, error: said.error };
  const ended = exit.lost ? 'its sandbox was lost' : `exit status ${exit.code}, signal ${exit.signal}`;
  return { outcome: 'lost', error: said?.error ?? `the build ended without a word (${ended})` };
}

/** As CF's staging log says sizes: 512B, 1.2K, 34.5M. */
function inUnits(bytes: number): string {
  const units = ['B', 'K', 'M', 'G'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || Number.isInteger(value) ? value : value.toFixed(1)}${units[power]}`;
}
