/**
 * One schedule: a cluster of three cells, users, faults, then calm; judged at every step and once more when all has settled. The same seed is the same
 * schedule on every machine.
 */
import { judgeTheEnd } from './final-judge.ts';
import { drawHappenings, type Happening, type HappeningKind } from './happenings.ts';
import { makeJudge } from './judge.ts';
import { seeded } from './random.ts';
import { makeAgent, type SimAgent } from './sim-agent.ts';
import { type SimScheduler, startScheduler } from './sim-scheduler.ts';
import { makeUsers, type Users } from './users.ts';
import { CALM, makeWorld, type Weather, type World } from './world.ts';

const CELLS = ['a', 'b', 'c'];
const CELL_MEMORY_MB = 1_000;
const CHAOS_MS = 62_000;
/** A lease, a brake, a take-up and two passes. */
const SETTLE_MS = 130_000;
/** Where sandboxes were broken, the pause after three errors comes on top. */
const SETTLE_AFTER_PAUSE_MS = 340_000;
/** The watch says "up to here all is said". */
const SYNC_MS = 10_000;

export interface Finding {
  seed: number;
  what: string;
  happenings: Happening[];
  history: readonly string[];
}

interface Options {
  /** Instead of those that the seed would draw. */
  happenings?: Happening[];
  withHistory?: boolean;
}

/** Null when every invariant held. */
export function runSchedule(seed: number, options: Options = {}): Finding | null {
  const { world, happenings } = play(seed, options);
  return world.verdict === null ? null : { seed, what: world.verdict, happenings, history: world.history };
}

/** All that happened, a line each, whether the invariants held or not. */
export function tellSchedule(seed: number): readonly string[] {
  return play(seed, { withHistory: true }).world.history;
}

function play(seed: number, { happenings: given, withHistory = false }: Options) {
  const world = makeWorld(seed, { withHistory });
  const happenings = given ?? drawHappenings(seeded(~seed));
  const cluster = populate(world);
  world.weather = drawWeather(world);
  for (const happening of happenings) world.time.after(happening.atMs, () => befall(cluster, happening));
  let result = runUntil(world, CHAOS_MS);
  if (result) {
    calmDown(cluster);
    const hasPauses = happenings.some(({ kind }) => kind === 'break-sandboxes');
    result = runUntil(world, CHAOS_MS + (hasPauses ? SETTLE_AFTER_PAUSE_MS : SETTLE_MS));
  }
  if (result) judgeTheEnd(cluster);
  return { world, happenings };
}

/** False as soon as an invariant is broken. */
function runUntil(world: World, untilMs: number): boolean {
  while (world.verdict === null && world.time.step(untilMs));
  return world.verdict === null;
}

export interface Cluster {
  world: World;
  users: Users;
  agents: ReadonlyMap<string, SimAgent>;
  /** Makes another scheduler the leader. */
  lead(): void;
}

function populate(world: World): Cluster {
  const judge = makeJudge(world);
  const agents = new Map<string, SimAgent>();
  for (const id of CELLS) {
    const stacks = [{ name: 'host', abiKey: 'debian' }];
    const size = { memoryMb: CELL_MEMORY_MB, diskMb: 10_000, copiesMax: 250 };
    const cell = {
      id,
      zone: id === 'c' ? 'z2' : 'z1',
      segment: null,
      state: 'ACTIVE',
      isDrained: false,
      session: '',
      counter: null,
      stacks,
      ...size,
    } as const;
    const agent = makeAgent(cell, { world, judge });
    agents.set(id, agent);
    agent.start();
    const sync = (): void => {
      agent.sendView();
      world.time.after(SYNC_MS, sync);
    };
    world.time.after(SYNC_MS, sync);
  }
  const users = makeUsers(world);
  let scheduler: SimScheduler | null = null;
  const lead = (): void => {
    scheduler = startScheduler(world, judge);
  };
  lead();
  world.onChange = () => scheduler?.wake();
  world.onPlaced = cellId => agents.get(cellId)?.sendView();
  users.create(world.random.int(100));
  users.create(world.random.int(100));
  return { world, users, agents, lead };
}

function drawWeather({ random }: World): Weather {
  const sometimes = (probability: number): number => (random.chance(0.5) ? probability : 0);
  return {
    lost: sometimes(0.1),
    doubled: sometimes(0.1),
    delayed: sometimes(0.1),
    storeFails: sometimes(0.05),
    answerLost: sometimes(0.05),
    hintLost: sometimes(0.2),
  };
}

/** Within the time that a stopped app lingers. */
const RESTART_MS = 300;

interface Blow {
  which: number;
  much: number;
  agent: SimAgent;
  cellId: string;
  /** Mostly about a lease long, sometimes a moment, sometimes a minute. */
  forMs: number;
}

const BLOWS: Record<HappeningKind, (cluster: Cluster, blow: Blow) => void> = {
  create: ({ users }, { much }) => users.create(much),
  delete: ({ users }, { which }) => users.delete(which),
  start: ({ users }, { which }) => users.run(which),
  restart: ({ users }, { which }) => users.run(which),
  stop: ({ users }, { which }) => users.stop(which),
  'stop-and-start': ({ users, world }, { which, much, forMs }) => {
    users.stop(which);
    world.time.after(much < 80 ? RESTART_MS : forMs, () => users.run(which));
  },
  'push-bad': ({ users }, { which }) => users.run(which, { isBad: true }),
  scale: ({ users }, { which, much }) => users.scale(which, much % 4),
  'restart-index': ({ users }, { which, much }) => users.restartIndex(which, much % 3),
  crash: (_cluster, { agent }) => agent.crashOne(),
  'kill-agent': ({ world }, { agent, forMs }) => {
    agent.kill();
    world.time.after(forMs, agent.start);
  },
  'freeze-agent': (_cluster, { agent, forMs }) => agent.freeze(forMs),
  'power-off': ({ world }, { agent, forMs }) => {
    agent.powerOff({ losesDisk: false });
    world.time.after(forMs, agent.start);
  },
  'new-disk': ({ world }, { agent, forMs }) => {
    agent.powerOff({ losesDisk: true });
    world.time.after(forMs, agent.start);
  },
  'cut-off': ({ world }, { cellId, forMs }) => strike(world, world.cutOff, { cellId, forMs }),
  'break-sandboxes': ({ world }, { cellId, forMs }) => strike(world, world.brokenSandboxes, { cellId, forMs }),
  'new-leader': ({ lead }) => lead(),
  'freeze-write': ({ world }, { much }) => {
    world.frozenWriteMs = 100 * much;
  },
  deploy: ({ users }, { much }) => users.deploy(much, { isBad: false }),
  'deploy-bad': ({ users }, { much }) => users.deploy(much, { isBad: true }),
  'deploy-canary': ({ users }, { much }) => users.deployCanary(much),
  'continue-deployment': ({ users }) => users.continueDeployment(),
  'cancel-deployment': ({ users }) => users.cancelDeployment(),
  'run-task': ({ users }, { much }) => users.runTask(much),
  'cancel-task': ({ users }, { which }) => users.cancelTask(which),
  resize: (_cluster, { agent, much }) => agent.resize(CELL_MEMORY_MB - 5 * much),
};

function strike({ time }: World, struck: Set<string>, { cellId, forMs }: { cellId: string; forMs: number }): void {
  struck.add(cellId);
  time.after(forMs, () => {
    struck.delete(cellId);
  });
}

function befall(cluster: Cluster, { kind, which, much }: Happening): void {
  const cellId = CELLS[which % CELLS.length] ?? '';
  const agent = cluster.agents.get(cellId);
  if (agent === undefined) throw new Error(`no cell ${cellId}`);
  cluster.world.note(() => `${kind} ${which} ${much}`);
  BLOWS[kind](cluster, { which, much, agent, cellId, forMs: much < 30 ? 100 * (much + 1) : 600 * much });
}

/** The faults are over; what they broke is left to heal by itself. */
function calmDown({ world, agents }: Cluster): void {
  world.note(() => 'calm');
  world.weather = CALM;
  world.cutOff.clear();
  world.brokenSandboxes.clear();
  world.frozenWriteMs = 0;
  for (const agent of agents.values()) agent.start();
}
