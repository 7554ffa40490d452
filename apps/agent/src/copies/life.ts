/**
 * One start of one copy, from its layers to its end: launched, probed until healthy, watched, stopped when asked to. Says how it ended; what follows from
 * that (the crash table) is decided elsewhere. When the agent leaves, it lets go of everything and touches nothing: the next agent goes on.
 */
import { DEVELOPMENT_LIMITS } from '@cupola/model/development';
import { DEFAULT_EGRESS } from '@cupola/model/egress';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { RunSpec } from '@cupola/model/run-spec';
import {
  type RunningSandbox,
  SandboxError,
  type SandboxExit,
  type Sandboxes,
  type SandboxSpec,
} from '@cupola/sandbox/sandbox';
import type { Change, Changes } from '../development/changes.ts';
import type { Addresses } from '../host/addresses.ts';
import { isOfImage, type Layers } from '../host/layers.ts';
import type { Uids } from '../host/uids.ts';
import type { LogSender } from '../logs/log-sender.ts';
import { followOutput } from '../logs/output.ts';
import { pause } from '../pause.ts';
import { type Asked, untilUnasked } from '../probes/connected.ts';
import { followReadiness, type Probed, type Unhealthy, untilHealthy, untilUnhealthy } from '../probes/health.ts';
import { lostFiles } from '../probes/lost-files.ts';
import type { PlacementView } from '../session/placement-view.ts';
import { type Copy, logSource, type StopOrder } from './copy.ts';
import type { CopyRecord, Records } from './record.ts';
import { type StartFacts, sandboxSpec } from './sandbox-spec.ts';
import type { Words } from './words.ts';

export interface LifeDeps {
  sandboxes: Sandboxes;
  layers: Layers;
  addresses: Addresses;
  uids: Uids;
  records: Records;
  sender: LogSender;
  words: Words;
  changes: Changes;
  view: PlacementView;
  /** Writes the change down and lets the API know. */
  change(copy: Copy, change: Partial<CopyRecord>): void;
  /** Work that may go on while the copy does something else already. */
  tidy(work: Promise<void>): void;
  now(): number;
  monotonic(): number;
  /** Folder of a stack's root filesystem; null: this machine's own. @throws SandboxError for one that is not here. */
  stackRoot(name: string): string | null;
  /** How long a sandbox may take to start. */
  sandboxStartMs: number;
  /** Locale of a stack by its root filesystem; null: this machine's own. */
  langOf(root: string | null): string;
}

export type End =
  /** Nobody asked for it. `unhealthy`: why we ended it ourselves. `ranMs`: how long it was RUNNING. */
  | { how: 'crashed'; exit: SandboxExit; unhealthy: Unhealthy | null; lastLines: string[]; ranMs: number }
  | { how: 'stopped' }
  /** No app code ran. */
  | { how: 'failed'; why: string }
  /** The agent goes; the copy stays. */
  | { how: 'left' };

/** `adopted`: what a former agent left running, or ended, of this copy. Never rejects for what apps or the platform do to it. */
export async function live(
  deps: LifeDeps,
  copy: Copy,
  { adopted, left }: { adopted: RunningSandbox | null; left: AbortSignal },
): Promise<End> {
  const over = new AbortController();
  try {
    const sandbox = adopted ?? (await launch(deps, copy, { left, over: over.signal }));
    if (sandbox === null) return left.aborted ? { how: 'left' } : { how: 'stopped' };
    copy.sandbox = sandbox;
    follow(deps, copy, sandbox);
    bringChanges(deps, copy);
    return await watch(deps, copy, { sandbox, left, over: over.signal });
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    deps.words.notCreated(copy, error.message);
    return { how: 'failed', why: error.message };
  } finally {
    over.abort();
  }
}

interface Signals {
  left: AbortSignal;
  /** Aborted with the end of this life: ends probes, and lets listeners go. */
  over: AbortSignal;
}

/** Null when it shall not run after all. */
async function launch(deps: LifeDeps, copy: Copy, { left, over }: Signals): Promise<RunningSandbox | null> {
  const { layers, addresses, uids, change, words, now } = deps;
  const { placement, attempt } = copy.record;
  const { guid, generation, runSpec } = placement;
  words.creating(copy);
  const uid = uids.of(runSpec.appGuid);
  const owner = uids.separate ? uid : null;
  const laidOut = layOut(layers, runSpec, owner);
  const sources = await Promise.race([laidOut, aborted(left, over), aborted(copy.stopping.signal, over)]);
  if (sources === undefined) {
    laidOut.catch(() => undefined); // Nobody waits for them any more.
    return null;
  }
  const { address, resolvConf } = await addresses.lease(runSpec.ports[0] ?? 8080, {
    rules: runSpec.egress ?? DEFAULT_EGRESS,
    label: runSpec.appGuid,
  });
  const sandboxGuid = `${guid}-${generation}-${attempt}`;
  const isDevelopment = runSpec.development === true;
  const started = { sandboxGuid, address, startedMs: now() };
  change(copy, { launch: { ...started, isStarted: false }, ...(isDevelopment ? { appliedChange: 0 } : {}) });
  try {
    const preparing = isDevelopment ? deps.changes.prepare(sandboxGuid, changesOf(deps, copy), owner) : null;
    const changesFolder = await Promise.race([preparing, aborted(left, over), aborted(copy.stopping.signal, over)]);
    if (changesFolder === undefined) {
      // A fetch may wait for the API: what comes of it after all goes.
      void preparing?.catch(() => undefined).then(() => deps.changes.remove(sandboxGuid));
      if (left.aborted) return null;
      await addresses.release(address);
      change(copy, { launch: null });
      return null;
    }
    const root = sources.image === null ? deps.stackRoot(runSpec.stack) : null;
    const spec = sandboxSpec({
      sandboxGuid,
      placement,
      address,
      resolvConf,
      uid,
      ...sources,
      stackRoot: root,
      lang: deps.langOf(root),
      changesFolder,
    });
    const sandbox = await startInTime(deps, spec);
    change(copy, { launch: { ...started, isStarted: true } });
    words.created(copy);
    return sandbox;
  } catch (error) {
    await addresses.release(address);
    if (isDevelopment) await deps.changes.remove(sandboxGuid);
    change(copy, { launch: null });
    throw error;
  }
}

/** Where what it stands on lies. @throws SandboxError */
async function layOut(
  layers: Layers,
  runSpec: RunSpec,
  owner: number | null,
): Promise<Pick<StartFacts, 'layerSources' | 'image'>> {
  if (runSpec.image === undefined) {
    const layerSources = await Promise.all(runSpec.layers.map(layer => layers.ensure(layer, owner)));
    return { layerSources, image: null };
  }
  const root = await layers.ensureImage(runSpec.layers.filter(isOfImage), owner);
  const { imageFacts } = await import('../host/image-facts.ts');
  return { layerSources: [], image: imageFacts(root, runSpec.image) };
}

/** @throws SandboxError when it takes longer than a start may: what comes of it after all is removed. */
async function startInTime({ sandboxes, sandboxStartMs, tidy }: LifeDeps, spec: SandboxSpec): Promise<RunningSandbox> {
  const enough = new AbortController();
  const starting = sandboxes.start(spec);
  try {
    const sandbox = await Promise.race([starting, pause(sandboxStartMs, enough.signal)]);
    if (sandbox !== undefined) return sandbox;
  } finally {
    enough.abort();
  }
  starting.then(
    late => tidy(removeSandbox(late)),
    () => undefined, // It failed at last, and has left nothing.
  );
  throw new SandboxError(`the sandbox did not start within ${sandboxStartMs / 1_000} s`);
}

/** Of a development app: as the view has them now, for what the copy runs. */
function changesOf({ view }: Pick<LifeDeps, 'view'>, { record }: Copy): readonly Change[] {
  const { placement } = record;
  const seen = view.get(placement.guid);
  return (seen?.runSpec.guid === placement.runSpec.guid ? seen : placement).changes ?? [];
}

/** To what runs: those that have come since it began. */
export function bringChanges(deps: Pick<LifeDeps, 'view' | 'changes' | 'uids'>, copy: Copy): void {
  const { uids, changes } = deps;
  const { runSpec } = copy.record.placement;
  if (runSpec.development !== true || copy.sandbox === null) return;
  changes.bring(copy.sandbox.guid, changesOf(deps, copy), uids.separate ? uids.of(runSpec.appGuid) : null);
}

/**
 * The launcher's word. Each number counts once and none beyond what there may be: an app that forges words without end must not keep this process writing. The
 * last words of a sandbox that has ended come late, and are nothing to what runs now.
 */
function takeApplied(
  { change, changes }: LifeDeps,
  copy: Copy,
  { sandbox, number }: { sandbox: RunningSandbox; number: number },
): void {
  const isNews = number > (copy.record.appliedChange ?? 0) && number <= DEVELOPMENT_LIMITS.changesMax;
  if (!isNews || copy.sandbox !== sandbox) return;
  change(copy, { appliedChange: number });
  changes.taken(sandbox.guid, number);
}

function follow(deps: LifeDeps, copy: Copy, sandbox: RunningSandbox): void {
  const { sender, records } = deps;
  const { guid, runSpec } = copy.record.placement;
  copy.output = followOutput({
    sandbox,
    source: logSource(copy, 'APP'),
    sidecars: runSpec.sidecars ?? [],
    applied: runSpec.development !== true ? null : number => takeApplied(deps, copy, { sandbox, number }),
    logRateBytesPerSecond: runSpec.logRateBytesPerSecond,
    sender,
    from: records.position(guid, sandbox.guid),
    reached: position => records.savePosition(guid, sandbox.guid, position),
  });
}

type Event =
  | { what: 'ended' | 'stop' | 'left' | 'healthy' }
  /** What a probe found. */
  | { what: 'unhealthy'; found: Unhealthy };

async function watch(
  deps: LifeDeps,
  copy: Copy,
  { sandbox, left, over }: Signals & { sandbox: RunningSandbox },
): Promise<End> {
  const stopSignal = copy.stopping.signal;
  const happens = Promise.race<Event>([
    sandbox.ended.then(() => ({ what: 'ended' })),
    aborted(left, over).then(() => ({ what: 'left' })),
    aborted(stopSignal, over).then(() => ({ what: 'stop' })),
  ]);
  // A stop that a former agent has begun is gone on with.
  let event: Event = copy.record.phase === 'stopping' ? { what: 'stop' } : { what: 'healthy' };
  if (copy.record.phase === 'starting') event = await Promise.race([happens, firstHealth(deps, copy, sandbox, over)]);
  if (event.what === 'healthy') event = await Promise.race([happens, lastHealth(deps, copy, sandbox, over)]);

  const ranMs = copy.runningSinceMs === null ? 0 : deps.monotonic() - copy.runningSinceMs;
  if (event.what === 'stop') await stop(deps, copy, { sandbox, left });
  if (event.what === 'unhealthy') {
    deps.words.unhealthy(copy, event.found.reason);
    await sandbox.kill();
  }
  const exit = await Promise.race([sandbox.ended, aborted(left, over)]);
  if (exit === undefined) return { how: 'left' };
  const isStopped = event.what === 'stop';
  if (!isStopped) deps.words.exited(copy, exit);
  const lastLines = isStopped ? [] : ((await copy.output?.lastLines()) ?? []);
  putAway(deps, copy, { sandbox, left });
  if (isStopped) return { how: 'stopped' };
  return { how: 'crashed', exit, unhealthy: event.what === 'unhealthy' ? event.found : null, lastLines, ranMs };
}

async function firstHealth(deps: LifeDeps, copy: Copy, sandbox: RunningSandbox, over: AbortSignal): Promise<Event> {
  const { launch, placement } = copy.record;
  const startedMsAgo = Math.max(0, deps.now() - (launch?.startedMs ?? deps.now()));
  deps.words.monitoring(copy);
  const found = await untilHealthy(placement.runSpec.healthCheck, probed(copy, sandbox), {
    startedMsAgo,
    monotonic: deps.monotonic,
    signal: over,
  });
  return found === null ? { what: 'healthy' } : { what: 'unhealthy', found };
}

/** RUNNING from here on. Resolves when a liveness probe fails; readiness only changes the routes. */
async function lastHealth(
  { change, words, monotonic }: LifeDeps,
  copy: Copy,
  sandbox: RunningSandbox,
  over: AbortSignal,
): Promise<Event> {
  const { readinessHealthCheck, healthCheck } = copy.record.placement.runSpec;
  if (copy.record.phase === 'starting') {
    copy.startingSinceMs = null;
    copy.runningSinceMs = monotonic();
    const routable = readinessHealthCheck.type === 'process';
    change(copy, { phase: 'running', state: 'RUNNING', errors: 0, routable });
    // While the API hears of it: requests wait for that, and a look through /proc takes milliseconds.
    await lookForLostFiles(words, copy, sandbox, over);
    if (over.aborted) return { what: 'left' };
    words.healthy(copy);
  }
  const target = probed(copy, sandbox);
  void followReadiness(readinessHealthCheck, target, {
    wasReady: copy.record.routable,
    changed: routable => {
      words.ready(copy, routable);
      change(copy, { routable });
    },
    signal: over,
  });
  const found = await untilUnhealthy(healthCheck, target, over);
  return found === null ? { what: 'left' } : { what: 'unhealthy', found };
}

/** Databases are opened at the start, or with the first request (ours). */
const SECOND_LOOK_MS = 20_000;

/** Told once, of the first start of what was pushed; a crash restart says nothing new. Before the word that it is healthy, by which a push knows that all is said. */
async function lookForLostFiles(words: Words, copy: Copy, sandbox: RunningSandbox, over: AbortSignal): Promise<void> {
  const { placement, attempt } = copy.record;
  if (placement.index !== 0 || attempt !== 1) return;
  const look = async (): Promise<boolean> => {
    const files = sandbox.pid === null || over.aborted ? [] : await lostFiles(sandbox.pid);
    if (files.length > 0) words.filesNotKept(copy, files);
    return files.length > 0;
  };
  if (!(await look())) void pause(SECOND_LOOK_MS, over).then(look);
}

function probed({ record }: Copy, sandbox: RunningSandbox): Probed {
  const address = record.launch?.address ?? { host: '127.0.0.1', port: 0, network: null };
  return { address, pid: () => sandbox.pid };
}

/** Out of the routes, then, when nobody asks it any more, SIGTERM, then SIGKILL to all that is left. Returns when it has ended, or the agent leaves. */
async function stop(
  deps: LifeDeps,
  copy: Copy,
  { sandbox, left }: { sandbox: RunningSandbox; left: AbortSignal },
): Promise<void> {
  const order = copy.stopping.signal.reason as StopOrder | undefined;
  const wasRouted = copy.record.state === 'RUNNING' && copy.record.routable;
  deps.words.stopping(copy);
  deps.change(copy, { phase: 'stopping', state: 'STOPPING', routable: false });
  const done = new AbortController();
  void sandbox.ended.then(() => done.abort());
  const either = AbortSignal.any([done.signal, left]);
  if (wasRouted && order !== undefined && order.routePauseMs > 0) {
    await pause(order.routePauseMs, either);
    await untilUnasked(asked(copy, sandbox), INSTANCE_LIMITS.requestsEndMs, either);
  }
  if (either.aborted) return;
  await sandbox.terminate();
  await pause(INSTANCE_LIMITS.stopGraceMs, either);
  if (!either.aborted) await sandbox.kill();
}

function asked({ record }: Copy, sandbox: RunningSandbox): Asked {
  const address = record.launch?.address;
  const isOwnNetwork = address !== undefined && address.network !== null;
  const port = isOwnNetwork ? (record.placement.runSpec.ports[0] ?? 0) : (address?.port ?? 0);
  return { pid: () => sandbox.pid, port, isOwnNetwork };
}

/** The rest of its output is handed on, then nothing is left of this start. The copy does not wait for it. */
function putAway(deps: LifeDeps, copy: Copy, { sandbox, left }: { sandbox: RunningSandbox; left: AbortSignal }): void {
  const { output, record } = copy;
  const { launch } = record;
  const { tidy, addresses, words, changes } = deps;
  copy.sandbox = null;
  copy.output = null;
  copy.runningSinceMs = null;
  words.destroying(copy);
  const end = new AbortController();
  tidy(
    (async () => {
      await Promise.race([output?.drained(), aborted(left, end.signal)]);
      end.abort();
      // Left as it is, ended: the next agent finds nobody who knows it, and removes it.
      if (left.aborted) return;
      try {
        await sandbox.remove();
      } finally {
        if (launch !== null) await addresses.release(launch.address);
        if (record.placement.runSpec.development === true) await changes.remove(sandbox.guid);
      }
      words.destroyed(copy);
    })(),
  );
}

/** Resolves, with nothing, when `signal` is aborted; listens until `over`. */
function aborted(signal: AbortSignal, over: AbortSignal): Promise<undefined> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true, signal: over });
  });
}

/** All of it, at once: it belongs to nobody. */
export async function removeSandbox(sandbox: RunningSandbox): Promise<void> {
  await sandbox.kill();
  await sandbox.ended;
  await sandbox.remove();
}
