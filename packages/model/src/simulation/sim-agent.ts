/**
 * A machine of the simulated cluster and the agent on it, which takes the steps that the real `decideCopies` names. Bodies are what truly runs: they
 * outlive the agent's process, as under their shims. Records lie on the machine's disk: they outlive it too, unless the machine is set up anew.
 */
import { afterCrash, afterStartError, type CopyAction, decideCopies, isFresh, type KnownCopy } from '../cell-plan.ts';
import type { CellFacts, Placement } from '../cluster-state.ts';
import type { Judge } from './judge.ts';
import { after, flush, inLife, register, sendView } from './sim-session.ts';
import type { SimCopy } from './sim-store.ts';
import type { World } from './world.ts';

const BOOT_MS = { min: 50, max: 500 };
const PREPARE_MS = { min: 5, max: 300 };
const HEALTHY_MS = { min: 20, max: 3_000 };
const STOP_MS = { min: 10, max: 10_000 };
const COMMAND_MS = { min: 100, max: 20_000 };

interface Kept extends KnownCopy {
  placement: Placement;
  attempt: number;
  crashCount: number;
  startErrors: number;
  placementError: string | null;
  runningSinceMs: number | null;
  /** Of a task's command; null: it has not ended. */
  exitCode: number | null;
  /** Its code may have run: what is not there any more has ended. */
  isLaunched: boolean;
}

export interface View {
  revision: number;
  items: ReadonlyMap<string, Placement>;
  /** Of them, tasks that must not be started. */
  over: ReadonlySet<string>;
  syncedAtMs: number;
}

export interface AgentState {
  world: World;
  judge: Judge;
  /** As it registers next time. */
  cell: CellFacts;
  records: Map<string, Kept>;
  /** What truly runs, with the attempt that began it. */
  bodies: Map<string, number>;
  unreported: Map<string, SimCopy>;
  /** Of the agent's process: what was asked for by a former one finds nobody. */
  life: number;
  isUp: boolean;
  /** What waits for a frozen agent to wake up; null: it is awake. */
  thawing: Array<() => void> | null;
  view: View | null;
  session: string;
  /** Of the next report; 0: not registered yet. */
  sequence: number;
  isReporting: boolean;
  wakeAtMs: number | null;
  look(): void;
}

export interface SimAgent {
  readonly id: string;
  /** Guids of what truly runs there. */
  bodies(): IterableIterator<string>;
  record(guid: string): Readonly<Kept> | undefined;
  /** The machine's capacity from its agent's next start on. */
  resize(memoryMb: number): void;
  start(): void;
  /** The process alone: its copies go on. */
  kill(): void;
  freeze(forMs: number): void;
  /** Everything that runs there ends at once, the agent too. */
  powerOff(options: { losesDisk: boolean }): void;
  /** One copy's app dies. */
  crashOne(): void;
  /** The store's watch: all placements of this cell, as of a revision. */
  sendView(): void;
}

export function makeAgent(cell: CellFacts, { world, judge }: { world: World; judge: Judge }): SimAgent {
  const agent: AgentState = {
    world,
    judge,
    cell,
    records: new Map(),
    bodies: new Map(),
    unreported: new Map(),
    life: 0,
    isUp: false,
    thawing: null,
    view: null,
    session: '',
    sequence: 0,
    isReporting: false,
    wakeAtMs: null,
    look: () => look(agent),
  };
  const end = (how: string): void => {
    world.note(() => `${cell.id} ${how}`);
    agent.isUp = false;
    agent.life++;
    agent.thawing = null;
  };
  return {
    id: cell.id,
    bodies: () => agent.bodies.keys(),
    record: guid => agent.records.get(guid),
    resize: memoryMb => {
      agent.cell = { ...agent.cell, memoryMb };
    },
    start: () => start(agent),
    kill: () => end('agent killed'),
    freeze: forMs => freeze(agent, forMs),
    powerOff: ({ losesDisk }) => {
      end(losesDisk ? 'loses power and its disk' : 'loses power');
      agent.bodies.clear();
      if (losesDisk) agent.records.clear();
    },
    crashOne: () => {
      const running = [...agent.bodies.keys()].filter(guid => agent.records.get(guid)?.phase === 'running');
      if (running.length > 0) die(agent, world.random.pick(running));
    },
    sendView: () => sendView(agent),
  };
}

function start(agent: AgentState): void {
  if (agent.isUp) return;
  const { world, cell } = agent;
  const life = agent.life + 1;
  const blank = { view: null, sequence: 0, isReporting: false, wakeAtMs: null };
  Object.assign(agent, blank, { life, isUp: true, session: `${cell.id}-${life}` });
  agent.unreported.clear();
  world.note(() => `${cell.id} agent starts`);
  after(agent, world.random.between(BOOT_MS.min, BOOT_MS.max), () => {
    adopt(agent);
    register(agent);
    look(agent);
  });
}

function freeze(agent: AgentState, forMs: number): void {
  if (!agent.isUp || agent.thawing !== null) return;
  agent.world.note(() => `${agent.cell.id} agent frozen for ${forMs}`);
  const waiting: Array<() => void> = [];
  agent.thawing = waiting;
  agent.world.time.after(forMs, () => {
    if (agent.thawing !== waiting) return;
    agent.thawing = null;
    for (const run of waiting) run();
  });
}

/** What the records say and what is there, brought together. */
function adopt(agent: AgentState): void {
  for (const record of [...agent.records.values()]) {
    const { guid, phase } = record;
    change(agent, record);
    if (phase === 'starting') resumeStart(agent, record);
    else if (phase === 'stopping' && agent.bodies.has(guid)) endSoon(agent, guid);
    else noticeEnd(agent, guid);
  }
}

/** Begun by a former agent: what is there goes on; what never came to be was no start. */
function resumeStart(agent: AgentState, record: Kept): void {
  const { guid, attempt } = record;
  if (agent.bodies.get(guid) === attempt) awaitHealth(agent, record);
  else if (record.isLaunched && isTask(record.placement)) noticeEnd(agent, guid);
  else change(agent, { ...record, phase: 'waiting', startAtMs: agent.world.time.nowMs, startingSinceMs: null });
}

function look(agent: AgentState): void {
  const { world, view } = agent;
  const { nowMs } = world.time;
  const { actions, wakeAtMs } = decideCopies({
    now: nowMs,
    wanted: [...(view?.items.values() ?? [])],
    fresh: isFresh(view?.syncedAtMs ?? null, nowMs),
    copies: [...agent.records.values()],
  });
  for (const action of actions) take(agent, action);
  if (wakeAtMs !== null && (agent.wakeAtMs === null || agent.wakeAtMs <= nowMs || wakeAtMs < agent.wakeAtMs)) {
    agent.wakeAtMs = wakeAtMs;
    after(agent, wakeAtMs - nowMs, agent.look);
  }
  flush(agent);
}

function take(agent: AgentState, action: CopyAction): void {
  const { guid } = action;
  agent.world.note(() => `${agent.cell.id} ${action.do} ${guid}`);
  const record = agent.records.get(guid);
  if (action.do === 'take' || action.do === 'renew') {
    const placement = agent.view?.items.get(guid);
    if (placement === undefined) return;
    const taken = recordOf(placement, agent.world.time.nowMs, record?.attempt ?? 0);
    // A task that has run, on a machine that knows nothing of it any more.
    const isLost = agent.view?.over.has(guid) === true;
    change(agent, isLost ? { ...taken, startAtMs: null, exitCode: -1 } : taken);
  } else if (record === undefined)
    agent.world.fail(`${agent.cell.id}: ${action.do} of ${guid}, which it does not have`);
  else if (action.do === 'start') {
    if (record.startAtMs !== null) begin(agent, record);
  } else if (action.do === 'stop') stop(agent, record);
  else forget(agent, record);
}

function recordOf(placement: Placement, startAtMs: number, attempt: number): Kept {
  const { guid, generation, startSequence } = placement;
  const counts = { attempt, crashCount: 0, startErrors: 0, placementError: null };
  const times = { startAtMs, startingSinceMs: null, runningSinceMs: null, exitCode: null, isLaunched: false };
  return { guid, generation, startSequence, placement, phase: 'waiting', ...counts, ...times };
}

function change(agent: AgentState, record: Kept): void {
  agent.records.set(record.guid, record);
  agent.unreported.set(record.guid, rowOf(record));
}

function rowOf({ placement, phase, attempt, placementError, crashCount, exitCode }: Kept): SimCopy {
  const { guid, processGuid, index, generation, cellId, memoryMb, diskMb } = placement;
  const hasEnded = crashCount > 0 || exitCode !== null;
  const hasCrashed = phase === 'waiting' && hasEnded && placementError === null;
  const states = {
    waiting: hasCrashed ? 'CRASHED' : 'STARTING',
    starting: 'STARTING',
    running: 'RUNNING',
    stopping: 'STOPPING',
    stopped: 'STOPPING',
  } as const;
  const row = { guid, processGuid, index, generation, cellId, attempt, placementError, memoryMb, diskMb, exitCode };
  return { ...row, state: states[phase], routable: phase === 'running' };
}

function begin(agent: AgentState, record: Kept): void {
  const { world, judge, bodies, records } = agent;
  judge.starts(record, world.time.nowMs);
  const { guid } = record;
  const attempt = record.attempt + 1;
  const begun: Kept = { ...record, phase: 'starting', attempt, startingSinceMs: world.time.nowMs, startAtMs: null };
  change(agent, begun);
  after(agent, world.random.between(PREPARE_MS.min, PREPARE_MS.max), () => {
    if (!isStarting(records.get(guid), attempt)) return;
    if (world.brokenSandboxes.has(agent.cell.id)) return failStart(agent, guid);
    bodies.set(guid, attempt);
    judge.runs(begun.placement);
    const launched = { ...begun, placementError: null, startErrors: 0, isLaunched: true };
    change(agent, launched);
    awaitHealth(agent, launched);
  });
}

const isStarting = (record: Kept | undefined, attempt: number): boolean =>
  record?.phase === 'starting' && record.attempt === attempt;

/** Healthy after a while, or dead if its app is a bad one. */
function awaitHealth(agent: AgentState, { guid, attempt, placement }: Kept): void {
  const { world, records, bodies } = agent;
  after(agent, world.random.between(HEALTHY_MS.min, HEALTHY_MS.max), () => {
    const record = records.get(guid);
    if (record === undefined || !isStarting(record, attempt) || bodies.get(guid) !== attempt) return;
    if (world.badSpecs.has(placement.runSpecGuid)) return die(agent, guid);
    change(agent, { ...record, phase: 'running', startingSinceMs: null, runningSinceMs: world.time.nowMs });
    if (isTask(placement)) finishSoon(agent, record);
    look(agent);
  });
}

const isTask = ({ processGuid }: Placement): boolean => processGuid.startsWith('task-');

/** Its command ends by itself, whether its agent lives or not. */
function finishSoon(agent: AgentState, { guid, attempt }: Kept): void {
  const { world, bodies } = agent;
  world.time.after(world.random.between(COMMAND_MS.min, COMMAND_MS.max), () => {
    if (bodies.get(guid) === attempt) die(agent, guid);
  });
}

/** The app's code never ran. */
function failStart(agent: AgentState, guid: string) {
  const record = agent.records.get(guid);
  if (record === undefined) return;
  agent.world.sandboxesFailed = true;
  const startErrors = record.startErrors + 1;
  const startAtMs = afterStartError(startErrors, agent.world.time.nowMs);
  const failed = { startErrors, startAtMs, startingSinceMs: null, placementError: 'no sandbox' };
  change(agent, { ...record, ...failed, phase: 'waiting' });
  look(agent);
}

/** The body ends; the agent, if there is one, notices. */
function die(agent: AgentState, guid: string) {
  agent.bodies.delete(guid);
  agent.world.note(() => `${agent.cell.id} ${guid} dies`);
  inLife(agent, () => {
    noticeEnd(agent, guid);
    look(agent);
  })();
}

/** Of a copy that is recorded to be there and is not. */
function noticeEnd(agent: AgentState, guid: string): void {
  const { world, judge, records, bodies } = agent;
  const { nowMs } = world.time;
  const record = records.get(guid);
  if (record === undefined || bodies.has(guid)) return;
  if (record.phase === 'stopping') change(agent, { ...record, phase: 'stopped' });
  if (record.phase !== 'starting' && record.phase !== 'running') return;
  if (isTask(record.placement)) {
    const ended = { exitCode: 0, startAtMs: null, startingSinceMs: null, runningSinceMs: null };
    change(agent, { ...record, ...ended, phase: 'waiting' });
    return;
  }
  const ranMs = record.runningSinceMs === null ? 0 : nowMs - record.runningSinceMs;
  const { crashCount, startAtMs } = afterCrash(record.crashCount, { ranMs, now: nowMs });
  judge.crashed(guid, { ranMs, atMs: nowMs, before: record.crashCount, after: crashCount });
  const ended = { crashCount, startAtMs, startingSinceMs: null, runningSinceMs: null };
  change(agent, { ...record, ...ended, phase: 'waiting' });
}

function stop(agent: AgentState, record: Kept): void {
  agent.judge.stops(agent.cell.id, record.guid);
  change(agent, { ...record, phase: 'stopping' });
  endSoon(agent, record.guid);
}

/** It was asked to end, and does so whether its agent lives or not. */
function endSoon(agent: AgentState, guid: string): void {
  const { world, records } = agent;
  world.time.after(world.random.between(STOP_MS.min, STOP_MS.max), () => {
    if (records.get(guid)?.phase === 'stopping') die(agent, guid);
  });
}

function forget(agent: AgentState, record: Kept): void {
  if (agent.bodies.has(record.guid)) agent.world.fail(`${agent.cell.id} forgets ${record.guid}, which runs`);
  agent.records.delete(record.guid);
  agent.unreported.set(record.guid, { ...rowOf(record), state: 'GONE', routable: false });
}
