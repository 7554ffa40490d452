/**
 * The part `cell`: agent and stager, which both launch sandboxes (docs/decisions/0001). Holds no database: speaks to the api over its unix socket alone.
 * Started as root it stays root, to give each app a user, a network and limits of its own.
 */
import { hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import { start as startAgent } from '@cupola/agent/start';
import { parseAddress } from '@cupola/certificates/members/dial';
import { pruneStacks, readStacks } from '@cupola/images/rootfs/installed-stacks';
import { embeddedCapacityMb } from '@cupola/model/placement';
import { listenAddress } from '@cupola/process/settings';
import type { Egress } from '@cupola/sandbox/egress-chains';
import { type Networks, openNetworks } from '@cupola/sandbox/networks';
import { type OpenOptions, openSandboxes } from '@cupola/sandbox/open-sandboxes';
import { SandboxError, type Sandboxes } from '@cupola/sandbox/sandbox';
import { start as startStager } from '@cupola/stager/start';
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import { cellId } from './cell-id.ts';
import { addAgentMetrics, addStagerMetrics } from './cell-metrics.ts';
import { hostCopyIn } from './host-copy.ts';
import { hostStack } from './host-stack.ts';
import { type Membership, openMembership } from './membership.ts';
import { RefusedStartError, type RunningPart, runPart } from './part-process.ts';

/** Apps' uids: above those of people and containers' own maps of 65,536, so that nothing else on the machine has them. */
const UIDS = { first: 70_000, count: 60_000 } as const;
/** Everything that builds run as; owns nothing but its work folder. */
const BUILD_UID = 69_999;
/** The next instance's shim comes up this long after a start: not while the app that has just begun needs the processors. */
const SPARE_AFTER_MS = 1_000;
/** Tries the rungs of the sandbox ladder. */
const CANARY_UID = 69_998;

const environment = z.object({
  CUPOLA_STATE: z.string().min(1),
  CUPOLA_CELL: z.string().min(1),
  /** Of added stacks; a supervisor of before they were says nothing. */
  CUPOLA_STACKS: z.string().default('/nonexistent'),
  CUPOLA_INSTALLATION: z.string().min(1),
  /** A supervisor of before there were any says nothing. */
  CUPOLA_HOST_PORTS: z
    .string()
    .default('')
    .transform(text => (text === '' ? [] : text.split(',').map(Number))),
  /** Registries that images may come from besides those that everybody reaches by HTTPS. */
  CUPOLA_REGISTRIES: z
    .string()
    .default('')
    .transform(text =>
      text
        .split(',')
        .map(entry => entry.trim())
        .filter(entry => entry !== ''),
    ),
  CUPOLA_ALLOW_UNSANDBOXED: z.enum(['0', '1']),
  /** Empty: no Docker. */
  CUPOLA_DOCKER_HOST: z.string().default(''),
  /** Folder for a copy of our own files, under the same path for us and for that engine, where we run in a container of it; empty: we do not. */
  CUPOLA_HOST_COPIES: z.string().default(''),
  /** `1/2`: the first of two cells on this machine, each with half of its memory and of the user ids of apps. */
  CUPOLA_CELL_SHARE: z
    .string()
    .regex(/^[1-9]\d*\/[1-9]\d*$/, 'write 1/2 for the first of two cells of a machine')
    .default('1/1')
    .transform(text => text.split('/').map(Number) as [number, number]),
  CUPOLA_ZONE: z.string().default('z1'),
  /** Empty: everybody's. */
  CUPOLA_SEGMENT: z.string().default(''),
  /** Where routers of other machines reach what runs here, and under which name of this machine; without them they do not. */
  CUPOLA_FORWARD_FD: z.coerce.number().int().nonnegative().exactOptional(),
  CUPOLA_FORWARD_HOST: z.string().default(''),
  /** Where is heard what instances here send to those of other machines. A supervisor of before there was that says nothing. */
  CUPOLA_GATE_FD: z.coerce.number().int().nonnegative().exactOptional(),
  /** `HOST:PORT` of each API, with commas between: this machine has joined their cluster, as whom `member.pem` in the cell's folder says. */
  CUPOLA_APIS: z
    .string()
    .default('')
    .transform(text => (text === '' ? [] : text.split(',').map(address => parseAddress(address)))),
  CUPOLA_CELL_ROLES: z
    .string()
    .default('agent,stager')
    .transform(text => text.split(',')),
  /** Where `/healthz`, `/readyz` and `/metrics` are answered; not given: nowhere. */
  CUPOLA_CELL_HEALTH_LISTEN: listenAddress.exactOptional(),
  CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

export async function runCell(): Promise<void> {
  const env = environment.parse(process.env);
  const log = pino({ name: 'cell', level: env.CUPOLA_LOG_LEVEL });
  await runPart(log, () => startCell(env, log));
}

type Environment = z.infer<typeof environment>;

interface Machine {
  env: Environment;
  isRoot: boolean;
  id: string;
  member: Membership;
  networks: Networks | null;
  /** What every sandbox here is opened with. */
  open: Omit<OpenOptions, 'folder'>;
  log: Logger;
}

async function startCell(env: Environment, log: Logger): Promise<RunningPart> {
  await using starting = new AsyncDisposableStack();
  const id = cellId(env.CUPOLA_CELL);
  const health = await openHealth(env, log);
  const member = starting.use(await openMembership(env, { id, log }));
  const networks = await openNetworks({
    folder: join(env.CUPOLA_CELL, 'networks'),
    installation: env.CUPOLA_INSTALLATION,
    hostPorts: env.CUPOLA_HOST_PORTS,
    hasStandIns: env.CUPOLA_FORWARD_FD !== undefined && member.identity !== null,
    log,
  });
  const open = {
    installation: env.CUPOLA_INSTALLATION,
    allowUnsandboxed: env.CUPOLA_ALLOW_UNSANDBOXED === '1',
    canaryUid: CANARY_UID,
    separateNetwork: networks !== null,
    ...(env.CUPOLA_DOCKER_HOST === '' ? {} : { dockerHost: env.CUPOLA_DOCKER_HOST }),
    ...(env.CUPOLA_HOST_COPIES === '' ? {} : { hostCopy: await hostCopyIn(env.CUPOLA_HOST_COPIES) }),
  };
  if (env.CUPOLA_DOCKER_HOST !== '' && networks === null)
    throw new RefusedStartError(
      'Apps in Docker get their network from us: start ./cupola as root, with nftables and iproute2 installed, or with --sandbox auto.',
    );
  pruneStacks(env.CUPOLA_STACKS);
  const machine: Machine = { env, isRoot: process.getuid?.() === 0, id, member, networks, open, log };
  const cell = env.CUPOLA_CELL_ROLES.includes('agent') ? starting.use(await openAgent(machine)) : null;
  const stager = env.CUPOLA_CELL_ROLES.includes('stager') ? starting.use(await openStager(machine)) : null;
  if (health !== null && cell !== null) addAgentMetrics(health.metrics, cell.agent.figures);
  if (health !== null && stager !== null) addStagerMetrics(health.metrics, stager.figures);
  // Fenced before it ever was the one, it will not be ready.
  if (cell !== null) await Promise.race([cell.agent.ready, cell.agent.fenced]);
  health?.readyWhen(() => ({ missing: null }));
  const running = starting.move();
  return {
    facts: { rung: (cell ?? stager)?.rung },
    // A cell has one agent: whoever registered last. This process is a leftover, whose stager has to let go too.
    ...(cell === null ? {} : { over: cell.agent.fenced.then(() => 'another agent holds this cell now') }),
    order: async line => {
      if (line !== 'stop-all') return;
      await cell?.agent.stopAll();
      await networks?.close({ remove: true });
    },
    [Symbol.asyncDispose]: () => {
      health?.drain();
      return running.disposeAsync();
    },
  };
}

async function openHealth({ CUPOLA_CELL_HEALTH_LISTEN: listen }: Environment, log: Logger) {
  if (listen === undefined) return null;
  const { openHealth: open } = await import('@cupola/process/health');
  return open({ listen, log });
}

/** Disposing stops no instance. */
async function openAgent({ env, isRoot, id, member, networks, open, log }: Machine) {
  await using starting = new AsyncDisposableStack();
  const folder = join(env.CUPOLA_CELL, 'instances');
  const sandboxes = await sandboxesOrRefuse({
    ...open,
    folder: join(folder, 'sandboxes'),
    spareAfterMs: SPARE_AFTER_MS,
  });
  starting.defer(() => sandboxes.close());
  log.info({ rung: sandboxes.report }, 'the sandbox of this machine');
  const agent = starting.use(
    await startAgent({
      internal: member.internal,
      sandboxes,
      networks,
      forward:
        env.CUPOLA_FORWARD_FD === undefined || member.identity === null
          ? null
          : {
              identity: member.identity,
              listen: { fd: env.CUPOLA_FORWARD_FD },
              host: env.CUPOLA_FORWARD_HOST,
              gate: env.CUPOLA_GATE_FD === undefined ? { host: '0.0.0.0', port: 0 } : { fd: env.CUPOLA_GATE_FD },
            },
      folder,
      cell: {
        id,
        name: hostname(),
        zone: env.CUPOLA_ZONE,
        ...(env.CUPOLA_SEGMENT === '' ? {} : { segment: env.CUPOLA_SEGMENT }),
        capacityMemoryMb: embeddedCapacityMb(totalmem() / env.CUPOLA_CELL_SHARE[1]),
        capacityDiskMb: 1_000_000,
      },
      stacks: offeredStacks(env.CUPOLA_STACKS, { hasRoot: sandboxes.report.enforced.fs }),
      uids: isRoot ? uidsOf(env.CUPOLA_CELL_SHARE) : null,
      log: log.child({ part: 'agent' }),
      now: Date.now,
      monotonic: () => performance.now(),
    }),
  );
  const running = starting.move();
  return { agent, rung: sandboxes.report.rung, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Two cells of one machine give no two apps the same user. */
function uidsOf([number, all]: readonly [number, number]): { first: number; count: number } {
  const count = Math.floor(UIDS.count / all);
  return { first: UIDS.first + (number - 1) * count, count };
}

async function openStager({ env, isRoot, id, member, networks, open, log }: Machine) {
  await using starting = new AsyncDisposableStack();
  const folder = join(env.CUPOLA_CELL, 'builds');
  const sandboxes = await sandboxesOrRefuse({ ...open, folder: join(folder, 'sandboxes') });
  starting.defer(() => sandboxes.close());
  const stager = starting.use(
    await startStager({
      internal: member.internal,
      sandboxes,
      folder,
      stagerId: id,
      uid: isRoot ? BUILD_UID : null,
      stacks: offeredStacks(env.CUPOLA_STACKS, { hasRoot: sandboxes.report.enforced.fs }),
      registries: env.CUPOLA_REGISTRIES,
      ...(networks === null ? {} : { network: egress => buildNetwork(networks, egress) }),
      log: log.child({ part: 'stager' }),
      now: Date.now,
    }),
  );
  const running = starting.move();
  return { figures: stager.figures, rung: sandboxes.report.rung, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function buildNetwork(networks: Networks, egress: Egress) {
  const { name, address, resolvers } = await networks.leaseForBuild(egress);
  return {
    network: { kind: 'namespace' as const, name, address },
    resolvers,
    release: () => networks.release(name),
  };
}

/** The machine's own, and those that were added, each time as the index says; a plain process (`hasRoot` false) stands on the machine only. */
function offeredStacks(folder: string, { hasRoot }: { hasRoot: boolean }) {
  const host = { ...hostStack(), root: null };
  return () => [
    host,
    ...(hasRoot ? readStacks(folder) : []).map(({ folder: name, ...stack }) => ({
      ...stack,
      root: join(folder, name),
    })),
  ];
}

/** @throws RefusedStartError where no rung holds: its words say what to install. */
async function sandboxesOrRefuse(options: OpenOptions): Promise<Sandboxes> {
  try {
    return await openSandboxes(options);
  } catch (error) {
    if (error instanceof SandboxError) throw new RefusedStartError(error.message, { cause: error });
    throw error;
  }
}
