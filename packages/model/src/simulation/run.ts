/**
 * One schedule: a cluster of three cells, users, faults, then calm; judged at every step and once more when all has settled. The same seed is the same
 * schedule on every machine.
 */
import { judgeTheEnd } from './final-judge.ts';
import { drawHappenings, type Happening } from './happenings.ts';
import { makeJudge } from './judge.ts';
import { makeAgent, type SimAgent } from './sim-agent.ts';
import { seeded } from './random.ts';
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
export function runSchedule(seed: number, { happenings: given, withHistory = false }: Options = {}): Finding | null {
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
  return world.verdict === null ? null : { seed, what: world.verdict, happenings, history: world.history };
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
      state: 'ACTIVE',
      session: '',
      counter: null,
      stacks,
      ...size,
    } as const;
    const agent = makeAgent({ cell, world, judge });
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

const LINGER_LEFT_MS = 300;

function befall({ world, users, agents, lead }: Cluster, { kind, which, much }: Happening): void {
  const { time } = world;
  const cellId = CELLS[which % CELLS.length] ?? 'a';
  const agent = agents.get(cellId) as SimAgent;
  // Mostly about a lease long, sometimes a moment, sometimes a minute.
  const forMs = much < 30 ? 100 * (much + 1) : 600 * much;
  world.note(() => `${kind} ${which} ${much}`);
  switch (kind) {
    case 'create':
      return users.create(much);
    case 'delete':
      return users.delete(which);
    case 'start':
    case 'restart':
      return users.run(which);
    case 'stop':
      return users.stop(which);
    case 'stop-and-start':
      users.stop(which);
      return time.after(much < 80 ? LINGER_LEFT_MS : forMs, () => users.run(which));
    case 'push-bad':
      return users.run(which, { isBad: true });
    case 'scale':
      return users.scale(which, much % 4);
    case 'restart-index':
      return users.restartIndex(which, much % 3);
    case 'crash':
      return agent.crashOne();
    case 'kill-agent':
      agent.kill();
      return time.after(forMs, agent.start);
    case 'freeze-agent':
      return agent.freeze(forMs);
    case 'power-off':
    case 'new-disk':
      agent.powerOff({ forget: kind === 'new-disk' });
      return time.after(forMs, agent.start);
    case 'cut-off':
      world.cutOff.add(cellId);
      return time.after(forMs, () => {
        world.cutOff.delete(cellId);
      });
    case 'new-leader':
      return lead();
    case 'freeze-write':
      world.frozenWriteMs = 100 * much;
      return;
    case 'break-sandboxes':
      world.brokenSandboxes.add(cellId);
      return time.after(forMs, () => {
        world.brokenSandboxes.delete(cellId);
      });
    case 'resize':
      return agent.resize(CELL_MEMORY_MB - 5 * much);
  }
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
