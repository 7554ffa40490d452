/**
 * The part `cell`: agent and stager, which both launch sandboxes (docs/decisions/0001). Holds no database: speaks to the api over its unix socket alone.
 * Started as root it stays root, to give each app a user, a network and limits of its own.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import { start as startAgent } from '@cupola/agent/start';
import { pruneStacks, readStacks } from '@cupola/images/rootfs/installed-stacks';
import { embeddedCapacityMb } from '@cupola/model/placement';
import { openNetworks } from '@cupola/sandbox/networks';
import { type OpenOptions, openSandboxes } from '@cupola/sandbox/open-sandboxes';
import { SandboxError, type Sandboxes } from '@cupola/sandbox/sandbox';
import { start as startStager } from '@cupola/stager/start';
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import { hostStack } from './host-stack.ts';
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
  CUPOLA_ALLOW_UNSANDBOXED: z.enum(['0', '1']),
  /** Empty: no Docker. */
  CUPOLA_DOCKER_HOST: z.string().default(''),
  CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

export async function runCell(): Promise<void> {
  const env = environment.parse(process.env);
  const log = pino({ name: 'cell', level: env.CUPOLA_LOG_LEVEL });
  await runPart(log, () => startCell(env, log));
}

async function startCell(env: z.infer<typeof environment>, log: Logger): Promise<RunningPart> {
  const isRoot = process.getuid?.() === 0;
  const internal = { socketPath: join(env.CUPOLA_STATE, 'internal.sock') };
  const stack = new AsyncDisposableStack();
  const networks = await openNetworks({
    folder: join(env.CUPOLA_CELL, 'networks'),
    installation: env.CUPOLA_INSTALLATION,
    hostPorts: env.CUPOLA_HOST_PORTS,
    log,
  });
  const { instances, builds } = await openBoth(env, networks !== null);
  stack.defer(() => instances.close());
  stack.defer(() => builds.close());
  log.info({ rung: instances.report }, 'the sandbox of this machine');
  const offered = offeredStacks(env.CUPOLA_STACKS, { hasRoot: instances.report.enforced.fs });
  pruneStacks(env.CUPOLA_STACKS);

  const agent = await startAgent({
    internal,
    sandboxes: instances,
    networks,
    forward: null,
    folder: join(env.CUPOLA_CELL, 'instances'),
    cell: {
      id: cellId(env.CUPOLA_CELL),
      name: hostname(),
      zone: 'z1',
      capacityMemoryMb: embeddedCapacityMb(totalmem()),
      capacityDiskMb: 1_000_000,
    },
    stacks: offered,
    uids: isRoot ? UIDS : null,
    log: log.child({ part: 'agent' }),
    now: Date.now,
    monotonic: () => performance.now(),
  });
  stack.use(agent);
  const stager = await startStager({
    internal,
    sandboxes: builds,
    folder: join(env.CUPOLA_CELL, 'builds'),
    stagerId: cellId(env.CUPOLA_CELL),
    uid: isRoot ? BUILD_UID : null,
    stacks: offered,
    ...(networks === null
      ? {}
      : {
          network: async egress => {
            const { name, address, resolvers } = await networks.leaseForBuild(egress);
            return {
              network: { kind: 'namespace' as const, name, address },
              resolvers,
              release: () => networks.release(name),
            };
          },
        }),
    log: log.child({ part: 'stager' }),
    now: Date.now,
  });
  stack.use(stager);
  // Fenced before it ever was the one, it will not be ready.
  await Promise.race([agent.ready, agent.fenced]);
  return {
    facts: { rung: instances.report.rung },
    // A cell has one agent: whoever registered last. This process is a leftover, whose stager has to let go too.
    over: agent.fenced.then(() => 'another agent holds this cell now'),
    order: async line => {
      if (line !== 'stop-all') return;
      await agent.stopAll();
      await networks?.close({ remove: true });
    },
    [Symbol.asyncDispose]: async () => {
      await stack.disposeAsync();
    },
  };
}

/** For apps and for builds, in folders of their own. @throws RefusedStartError */
async function openBoth(
  env: z.infer<typeof environment>,
  separateNetwork: boolean,
): Promise<{ instances: Sandboxes; builds: Sandboxes }> {
  if (env.CUPOLA_DOCKER_HOST !== '' && !separateNetwork)
    throw new RefusedStartError(
      'Apps in Docker get their network from us: start ./cupola as root, with nftables and iproute2 installed, or with --sandbox auto.',
    );
  const open = {
    installation: env.CUPOLA_INSTALLATION,
    allowUnsandboxed: env.CUPOLA_ALLOW_UNSANDBOXED === '1',
    canaryUid: CANARY_UID,
    separateNetwork,
    ...(env.CUPOLA_DOCKER_HOST === '' ? {} : { dockerHost: env.CUPOLA_DOCKER_HOST }),
  };
  const instances = await sandboxesOrRefuse({
    ...open,
    folder: join(env.CUPOLA_CELL, 'instances', 'sandboxes'),
    spareAfterMs: SPARE_AFTER_MS,
  });
  try {
    const builds = await sandboxesOrRefuse({ ...open, folder: join(env.CUPOLA_CELL, 'builds', 'sandboxes') });
    return { instances, builds };
  } catch (error) {
    await instances.close();
    throw error;
  }
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

/** One for each data folder, kept: the agent that comes back is the same cell. */
function cellId(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'cell-id');
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    const id = crypto.randomUUID();
    writeFileSync(file, `${id}\n`, { mode: 0o600 });
    return id;
  }
}
