/**
 * The agent: runs on each cell what the scheduler has placed there. Holds no database; desired state comes by a watch of the internal API, what is so goes
 * back by reports, and both may be away for as long as they like: what runs goes on, and what crashes starts again by the table.
 *
 * It may die at any moment. Each app runs under a shim of its own, each copy has a record on disk, and the next agent adopts them.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { InternalAddress } from '@cupola/certificates/members/dial';
import { FencedError } from '@cupola/model/errors';
import { CELL_LIMITS } from '@cupola/model/limits';
import { localeOf } from '@cupola/sandbox/locale';
import type { Networks } from '@cupola/sandbox/networks';
import { SandboxError, type Sandboxes } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import { adoptCopies } from './copies/adopt.ts';
import { type Copies, createCopies } from './copies/copies.ts';
import type { Copy } from './copies/copy.ts';
import { reportOf } from './copies/copy.ts';
import { openRecords } from './copies/record.ts';
import { createWords, type Words } from './copies/words.ts';
import { openChanges } from './development/changes.ts';
import { type Forwarder, type ForwarderDeps, startForwarder } from './forward/forwarder.ts';
import { createAddresses } from './host/addresses.ts';
import { createLayerSource, type LayerSource } from './host/layer-source.ts';
import { type Layers, openLayers } from './host/layers.ts';
import { openPorts } from './host/ports.ts';
import { openUids } from './host/uids.ts';
import { createLogSender } from './logs/log-sender.ts';
import type { GateDeps } from './peers/gate.ts';
import { type PeerService, startPeers } from './peers/start-peers.ts';
import { type Cell, type CellStack, keepSession } from './session/cell-session.ts';
import { createInternalApi, type InternalApi } from './session/internal-api.ts';
import { createPlacementView } from './session/placement-view.ts';
import { createReporter } from './session/reporter.ts';
import { followPlacements } from './session/watch.ts';
import { createUsage, type Usage, type UsageSample } from './usage.ts';

export interface AgentDeps {
  /** Where the internal API listens. */
  internal: InternalAddress;
  sandboxes: Sandboxes;
  /** A network for each copy; null: copies share the host's, each on a port of its own. */
  networks: Networks | null;
  /** Where other machines reach what runs here, and where is heard what is sent to them from here; null: there are none. */
  forward: (Pick<ForwarderDeps, 'identity' | 'listen'> & { host: string; gate: GateDeps['listen'] }) | null;
  /** Records, layers, user ids: kept from agent to agent. */
  folder: string;
  cell: Cell;
  /** What it offers now: asked again and again, since stacks come and go while it runs. */
  stacks(): readonly CellStack[];
  /** User ids for apps; null: an ordinary user, everything runs as us. */
  uids: { first: number; count: number } | null;
  log: Logger;
  /** Epoch ms. */
  now(): number;
  /** ms of a clock that never jumps. */
  monotonic(): number;
  /** How long a sandbox may take to start; `CELL_LIMITS.sandboxStartMs` but in tests. */
  sandboxStartMs?: number;
}

/** Disposing leaves all instances running; the next agent adopts them. */
export interface Agent extends AsyncDisposable {
  /** Stops every copy gracefully (SIGTERM, 10 s, SIGKILL). Desired state is untouched: the next agent starts them again. */
  stopAll(): Promise<void>;
  /** Registered, and everything of the former agent adopted. */
  readonly ready: Promise<void>;
  /** Resolves when a newer agent holds this cell: this one has let go of everything and does nothing any more. */
  readonly fenced: Promise<void>;
  /** What it has and did, for whoever watches. */
  figures(): AgentFigures;
}

/** `cpu`: 1 is one core. */
export interface InstanceUse extends Pick<UsageSample, 'cpu' | 'memoryBytes' | 'diskBytes'> {
  appGuid: string;
  processType: string;
  index: number;
}

export interface AgentFigures {
  /** Copies by state. */
  copies: Readonly<Record<string, number>>;
  /** Sandboxes that came up, and processes of them that ended though nobody had asked them to, since this agent began. */
  starts: number;
  crashes: number;
  /** Of the copies that ran when they were last measured. */
  used: readonly InstanceUse[];
  /** Since the API last heard this cell; null: it never did. */
  unheardMs: number | null;
  /** Of droplets' layers on this machine. */
  layersBytes: number;
}

/** After the last stop: for the last words to reach the API (ours). */
const LAST_WORDS_MS = 1_000;

/** Returns once the copies of the former agent are adopted; registers by and by. */
export async function start(deps: AgentDeps): Promise<Agent> {
  const { folder, cell, log, now, monotonic, sandboxes, networks } = deps;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ended = new AbortController();
  const api = createInternalApi(deps.internal);
  const sender = createLogSender({ api, now, log });
  const view = createPlacementView(monotonic);
  const records = openRecords({ folder, log });
  const addresses = createAddresses({ networks, ports: openPorts({ folder }) });
  const session = randomUUID();
  const lang = localeOf('/');
  const counted = { starts: 0, crashes: 0, heardAtMs: null as number | null };
  const source = createLayerSource({ api, monotonic, signal: ended.signal, log });
  const { fetch } = source;
  const layers = openLayers({ folder, fetch, log, now });
  const changes = openChanges({ folder, fetch, log });
  const told = (guid: string) => {
    const copy = copies.get(guid);
    return copy === null ? null : reportOf(copy);
  };
  const reporter = createReporter({
    api,
    cellId: cell.id,
    session,
    reportOf: told,
    all: () => copies.all().map(({ record }) => record.placement.guid),
    log,
  });
  const copies: Copies = createCopies({
    sandboxes,
    layers,
    changes,
    addresses,
    uids: openUids({ folder, range: deps.uids, now }),
    records,
    sender,
    words: countStarts(createWords({ cellId: cell.id, sender, now }), counted),
    view,
    touched: guid => {
      reporter.touch(guid);
      peers.look();
    },
    crashed: report => {
      counted.crashes++;
      reporter.crashed(report);
    },
    gone: report => {
      reporter.gone(report);
      peers.look();
    },
    log,
    now,
    monotonic,
    stackRoot: name => stackRoot(deps.stacks(), name),
    sandboxStartMs: deps.sandboxStartMs ?? CELL_LIMITS.sandboxStartMs,
    langOf: root => (root === null ? lang : localeOf(root)),
  });
  const gate = deps.forward === null ? null : { identity: deps.forward.identity, listen: deps.forward.gate };
  const peers = await startPeers({ networks, gate, cellId: cell.id, folder, copies: copies.all, monotonic, log });
  copies.resume(await adoptCopies({ sandboxes, networks, records, addresses, changes, now, monotonic, log }));
  copies.look();
  // What was adopted reaches others and is reached from here on.
  await peers.open();
  const addressOf = (guid: string) => told(guid)?.address ?? null;
  const { peerAddressOf } = peers;
  const forwarder =
    deps.forward === null ? null : await startForwarder({ ...deps.forward, addressOf, peerAddressOf, log });
  const usage = createUsage({ copies: copies.all, monotonic });
  const { ready, loops } = runLoops(
    deps,
    { api, session, view, copies, reporter, peers, forwarder, sender, usage, counted },
    ended.signal,
  );
  const figures = () => figuresOf({ copies, counted, layers, usage, monotonic });
  return agent({ copies, loops, ended, ready, figures, api, source, peers, forwarder, reporter, sender, log });
}

interface Measured extends Pick<AgentDeps, 'monotonic'> {
  copies: Copies;
  counted: { starts: number; crashes: number; heardAtMs: number | null };
  layers: Layers;
  usage: Usage;
}

function figuresOf({ copies, counted, layers, usage, monotonic }: Measured): AgentFigures {
  return {
    copies: countBy(copies.all().map(({ record }) => record.state)),
    starts: counted.starts,
    crashes: counted.crashes,
    unheardMs: counted.heardAtMs === null ? null : monotonic() - counted.heardAtMs,
    layersBytes: layers.sizeBytes(),
    used: usage.newest().flatMap(sample => usedBy(copies.get(sample.guid), sample)),
  };
}

function countStarts(words: Words, counted: { starts: number }): Words {
  return {
    ...words,
    created: copy => {
      counted.starts++;
      words.created(copy);
    },
  };
}

function usedBy(copy: Copy | null, { cpu, memoryBytes, diskBytes }: UsageSample): InstanceUse[] {
  if (copy === null) return [];
  const { index, runSpec } = copy.record.placement;
  return [{ appGuid: runSpec.appGuid, processType: runSpec.processType, index, cpu, memoryBytes, diskBytes }];
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

interface Parts extends Pick<Running, 'api' | 'copies' | 'reporter' | 'peers' | 'forwarder' | 'sender'> {
  session: string;
  view: ReturnType<typeof createPlacementView>;
  usage: Usage;
  counted: { heardAtMs: number | null };
}

/** Everything that goes on until `signal` is aborted. */
function runLoops(
  { cell, stacks, sandboxes, forward, monotonic, log }: AgentDeps,
  { api, session, view, copies, reporter, peers, forwarder, sender, usage, counted }: Parts,
  signal: AbortSignal,
): { ready: Promise<void>; loops: Promise<void>[] } {
  const ready = Promise.withResolvers<void>();
  const registering = {
    api,
    cell:
      forward === null || forwarder === null
        ? cell
        : { ...cell, forward: { host: forward.host, port: forwarder.port } },
    session,
    stacks,
    rung: sandboxes.report,
    usage,
    heard: (removed: readonly string[]) => {
      counted.heardAtMs = monotonic();
      forwarder?.refuse(removed);
    },
    registered: () => {
      counted.heardAtMs = monotonic();
      reporter.touchAll();
      ready.resolve();
    },
    log,
  };
  const watched = {
    api,
    cellId: cell.id,
    view,
    placementOf: (guid: string) => copies.get(guid)?.record.placement ?? null,
    connected: reporter.touchAll,
    changed: copies.look,
    log,
  };
  // Before its registration the API knows no such cell; after our end nobody asks it any more.
  const known = Promise.race([ready.promise, new Promise(resolve => signal.addEventListener('abort', resolve))]);
  return {
    ready: ready.promise,
    loops: [
      keepSession(registering, signal),
      known.then(() => followPlacements(watched, signal)),
      known.then(() => reporter.run(signal)),
      known.then(() => peers.follow(api, signal)),
      sender.run(signal),
      usage.run(signal),
    ],
  };
}

interface Running {
  copies: Copies;
  loops: Promise<void>[];
  ended: AbortController;
  ready: Promise<void>;
  figures: Agent['figures'];
  api: InternalApi;
  peers: PeerService;
  forwarder: Forwarder | null;
  source: LayerSource;
  reporter: ReturnType<typeof createReporter>;
  sender: ReturnType<typeof createLogSender>;
  log: Logger;
}

function agent({
  copies,
  loops,
  ended,
  ready,
  figures,
  api,
  source,
  peers,
  forwarder,
  reporter,
  sender,
  log,
}: Running): Agent {
  const fenced = Promise.withResolvers<void>();
  let leaving: Promise<void> | null = null;
  const leave = async (): Promise<void> => {
    // Requests on their way end first: what runs goes on, and is reached through the next agent.
    await forwarder?.[Symbol.asyncDispose]();
    await copies.leave();
    ended.abort();
    await peers[Symbol.asyncDispose]();
    await Promise.all([api.close(), source.close()]);
    await Promise.allSettled(loops);
  };
  const end = (): Promise<void> => {
    leaving ??= leave();
    return leaving;
  };
  for (const loop of loops)
    loop.catch(async (error: unknown) => {
      if (!(error instanceof FencedError)) throw error;
      log.error('another agent holds this cell now: this one stops taking work');
      await end();
      fenced.resolve();
    });
  return {
    ready,
    figures,
    fenced: fenced.promise,
    stopAll: async () => {
      await copies.stopAll();
      await lastWords(reporter, sender);
    },
    [Symbol.asyncDispose]: end,
  };
}

/** @throws SandboxError where a stack was removed since the copy was placed. */
function stackRoot(stacks: readonly CellStack[], name: string): string | null {
  const found = stacks.find(stack => stack.name === name);
  if (found !== undefined) return found.root;
  throw new SandboxError(`the stack "${name}" is not on this machine any more: ./cupola stack add brings it back`);
}

async function lastWords(
  reporter: Pick<ReturnType<typeof createReporter>, 'settled'>,
  sender: Pick<ReturnType<typeof createLogSender>, 'settled'>,
): Promise<void> {
  await Promise.all([reporter.settled(LAST_WORDS_MS), sender.settled(LAST_WORDS_MS)]);
}
