/**
 * The stager: takes hints that a build waits, claims, stages, hands the result over. Holds no database and keeps no state that matters: killed at any moment,
 * its build is somebody's again when the lease has passed, and what lies about here is cleared at the next start.
 */
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { InternalAddress } from '@cupola/certificates/members/dial';
import { tenantsPolicy } from '@cupola/images/registry/policy';
import { FencedError } from '@cupola/model/errors';
import type { Egress } from '@cupola/sandbox/egress-chains';
import type { Sandboxes } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import { openAppCaches } from './app-caches.ts';
import { type BuildNetwork, warmCompileCache } from './build-sandbox.ts';
import { type InternalClient, openInternal } from './internal-client.ts';
import { openNpmClient } from './npm-client.ts';
import { type BuildStack, type Ended, type RunningBuild, type StagingDeps, startBuild } from './stage-build.ts';
import { openToolchains } from './toolchains/toolchains.ts';

export interface Deps {
  internal: InternalAddress;
  /** For builds alone: all that runs in it at start is ended. */
  sandboxes: Sandboxes;
  /** Ours alone. Its path and 14 bytes more must fit a socket's address. */
  folder: string;
  stagerId: string;
  /** That builds run as; null: started as an ordinary user. */
  uid: number | null;
  /** A network for one build, from where `egress` is reached. Absent: this machine's. */
  network?(egress: Egress): Promise<BuildNetwork>;
  /** What droplets can be built for, now. */
  stacks(): readonly BuildStack[];
  /** Registries that the operator lists (`registry/policy.ts`): others are asked by HTTPS, at public addresses alone. Absent: none. */
  registries?: readonly string[];
  log: Logger;
  /** Epoch ms. */
  now(): number;
}

/** A hint is waited for so long by one request: no longer, since an API that is frozen or gone gives none (ours). */
const HINT_WAIT_MS = 5_000;
/** Builds at once: each may take a gigabyte of memory. */
const BUILDS_MAX = 2;
/** After an API that did not answer. */
const RETRY_MS = 500;

export interface Stager extends AsyncDisposable {
  /** What it does and did since it began, for whoever watches. */
  figures(): StagerFigures;
}

export interface StagerFigures {
  running: number;
  /** Builds by what became of them here. */
  ended: Readonly<Record<Ended, number>>;
}

export async function start(deps: Deps): Promise<Stager> {
  const { folder, log, now, uid } = deps;
  const compileCache = join(folder, 'compile-cache');
  mkdirSync(compileCache, { recursive: true, mode: 0o755 });
  if (uid !== null) chownSync(compileCache, uid, uid);
  await clearLeftovers(deps);
  const client = openInternal(deps.internal, deps.stagerId);
  const ending = new AbortController();
  const npm = openNpmClient(ending.signal);
  const settings = npm.settings().catch((error: unknown) => {
    if (!ending.signal.aborted) log.warn({ err: error }, "npm's settings could not be read: builds use its defaults");
    return { npmrc: '', cafile: null };
  });
  const toolchains = openToolchains({ client, npm, folder, now });
  const caches = openAppCaches(join(folder, 'cache'));
  const staging: StagingDeps = {
    ...deps,
    client,
    toolchains,
    caches,
    compileCache,
    npmSettings: () => settings,
    network: deps.network ?? hostNetwork,
    registries: tenantsPolicy(deps.registries ?? []),
  };
  const builds = new Set<RunningBuild>();
  const ended: Record<Ended, number> = { staged: 0, failed: 0, lost: 0, dropped: 0 };
  const warm = makeReady({ ...staging, uid }, ending.signal);
  const workers = Array.from({ length: BUILDS_MAX }, () => work(staging, { builds, ended }, ending.signal));
  const watcher = watchCancels(client, builds, ending.signal);
  return {
    figures: () => ({ running: builds.size, ended }),
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      for (const build of builds) build.stop('closing');
      await Promise.all([...workers, watcher, ...[...builds].map(({ done }) => done)]);
      await client.close();
      await warm;
    },
  };
}

const hostNetwork = async (): Promise<BuildNetwork> => ({
  network: { kind: 'host' },
  resolvers: null,
  release: async () => undefined,
});

/** Sandboxes and folders of a former stager: its builds will be claimed anew. */
async function clearLeftovers({ sandboxes, folder, log }: Deps): Promise<void> {
  for (const left of await sandboxes.adopt()) {
    log.info({ sandbox: left.guid }, 'a build of a former stager is ended');
    await left.kill();
    await left.ended;
    await left.remove();
  }
  rmSync(join(folder, 'w'), { recursive: true, force: true });
}

/** What the first build would have to wait for, made while nobody waits. Its failure is told again by the build that needs it. */
async function makeReady(
  { sandboxes, toolchains, caches, uid, compileCache, log }: StagingDeps,
  signal: AbortSignal,
): Promise<void> {
  const quietly = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      if (!signal.aborted) await work();
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, `${what} could not be made ahead`);
    }
  };
  await Promise.all([
    quietly('the compile cache', () =>
      warmCompileCache(sandboxes, { guid: `warm-${process.pid}`, uid, folder: compileCache }),
    ),
    quietly('Node.js for apps', async () => {
      const node = await toolchains.ensure({ name: 'node', range: null, nodeVersion: null });
      await toolchains.ensure({ name: 'npm', range: null, nodeVersion: node.version });
    }),
  ]);
  await quietly('the size of the caches', () => caches.trimAll());
}

/** One build after the other, until the end. */
async function work(
  staging: StagingDeps,
  { builds, ended }: { builds: Set<RunningBuild>; ended: Record<Ended, number> },
  signal: AbortSignal,
): Promise<void> {
  const { client, log } = staging;
  while (!signal.aborted)
    try {
      const hint = await client.nextHint(
        HINT_WAIT_MS,
        staging.stacks().map(({ name }) => name),
        signal,
      );
      if (hint === null || signal.aborted) continue;
      const order = await client.claim(hint);
      const build = startBuild(staging, order);
      builds.add(build);
      if (signal.aborted) build.stop('closing');
      ended[await build.done]++;
      builds.delete(build);
    } catch (error) {
      // Another was first: the queue gives its hints at least once.
      if (error instanceof FencedError || signal.aborted) continue;
      log.debug({ err: error }, 'the API did not answer; trying again');
      await pause(RETRY_MS, signal);
    }
}

/** Cancels at once; the heartbeat would tell of them too, some seconds later. */
async function watchCancels(client: InternalClient, builds: Set<RunningBuild>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted)
    try {
      for await (const { guid, fence, cancel } of client.watchBuilds(signal))
        for (const build of builds) if (build.guid === guid && build.fence === fence && cancel) build.stop('cancelled');
    } catch {
      // The API is being restarted, or we end: asked again below, or not.
    } finally {
      await pause(RETRY_MS, signal);
    }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>(resolve => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
