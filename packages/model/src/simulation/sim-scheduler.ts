/** A scheduler of the simulated cluster: the real `observe`, `decide`, `checkPlan` and `stillHolding`, in the loop of `apps/scheduler`, with time between decision and write. */
import { checkPlan } from '../check-plan.ts';
import type { ClusterState } from '../cluster-state.ts';
import { decide } from '../convergence.ts';
import { CELL_LIMITS } from '../limits.ts';
import { type Observations, observe, withoutGhosts } from '../observe.ts';
import type { Action } from '../plan.ts';
import { stillHolding } from '../still-holds.ts';
import type { Ground, Judge } from './judge.ts';
import { moveAll } from './sim-moves.ts';
import type { World } from './world.ts';

const PASS_MS = CELL_LIMITS.convergenceEmbeddedMs;
const RETRY_MS = 1_000;
const WRITE_MS = { min: 1, max: 8 };
const HINT_MS = { min: 0, max: 5 };
const STARTS_IN_FLIGHT_MAX = 4;

export interface SimScheduler {
  /** A hint: look sooner. */
  wake(): void;
}

interface SchedulerState {
  world: World;
  judge: Judge;
  fence: number;
  leadsSinceMs: number;
  /** Every process counts its monotonic clock from another moment. */
  clockOffsetMs: number;
  seen: Observations | null;
  lookedBeforeMs: number;
  isBusy: boolean;
  isCalled: boolean;
  /** The newest of its alarms; older ones ring for nobody. */
  alarm: number;
}

/** Leads from now on. Whoever led before may still write what it has decided, and is refused. */
export function startScheduler(world: World, judge: Judge): SimScheduler {
  const { nowMs } = world.time;
  const scheduler: SchedulerState = {
    world,
    judge,
    fence: world.store.takeLead(),
    leadsSinceMs: nowMs,
    clockOffsetMs: world.random.int(1_000_000),
    seen: null,
    lookedBeforeMs: nowMs,
    isBusy: false,
    isCalled: false,
    alarm: 0,
  };
  setAlarm(scheduler, 0);
  return {
    wake: () => {
      if (world.random.chance(world.weather.hintLost)) return;
      scheduler.isCalled = true;
      if (!scheduler.isBusy) setAlarm(scheduler, world.random.between(HINT_MS.min, HINT_MS.max));
    },
  };
}

function setAlarm(scheduler: SchedulerState, delayMs: number): void {
  const mine = ++scheduler.alarm;
  scheduler.world.time.after(delayMs, () => {
    if (scheduler.alarm === mine && !scheduler.isBusy) pass(scheduler);
  });
}

function sleep(scheduler: SchedulerState, ms: number): void {
  scheduler.isBusy = false;
  setAlarm(scheduler, scheduler.isCalled ? 0 : ms);
}

interface Decision {
  actions: readonly Action[];
  ground: Ground;
  view(whole: ClusterState): ClusterState;
  waitMs: number;
}

function pass(scheduler: SchedulerState): void {
  const { world } = scheduler;
  scheduler.isBusy = true;
  scheduler.isCalled = false;
  if (world.random.chance(world.weather.storeFails)) sleep(scheduler, RETRY_MS);
  else {
    const decision = decideNow(scheduler);
    if (decision.actions.length === 0) sleep(scheduler, decision.waitMs);
    else {
      const writeMs = world.random.between(WRITE_MS.min, WRITE_MS.max) + world.frozenWriteMs;
      world.frozenWriteMs = 0;
      world.time.after(writeMs, () => write(scheduler, decision));
    }
  }
}

function decideNow(scheduler: SchedulerState): Decision {
  const { world, judge, lookedBeforeMs, leadsSinceMs } = scheduler;
  const { nowMs } = world.time;
  const clockMs = nowMs + scheduler.clockOffsetMs;
  const first = world.store.snapshot();
  const seenFirst = observe(scheduler.seen, first, clockMs);
  if (world.store.leaderFence === scheduler.fence)
    moveAll(world, judge, { state: withoutGhosts(first, seenFirst, clockMs), seen: seenFirst });
  const read = world.store.snapshot();
  const seen = observe(scheduler.seen, read, clockMs);
  const view = (whole: ClusterState): ClusterState => withoutGhosts(whole, seen, clockMs);
  const state = view(read);
  const { actions, nextAtMs } = decide(state, seen, { clockMs, startsInFlightMax: STARTS_IN_FLIGHT_MAX });
  for (const broken of checkPlan(state, seen, actions)) world.fail(`a plan is broken: ${broken}`);
  const places = actions.filter(action => action.do === 'place');
  scheduler.seen = seen;
  scheduler.lookedBeforeMs = nowMs;
  return {
    actions,
    ground: { state, places, snapshotAtMs: nowMs, lookedBeforeMs, leadsSinceMs },
    view,
    waitMs: nextAtMs === null ? PASS_MS : Math.min(PASS_MS, nextAtMs - clockMs),
  };
}

function write(scheduler: SchedulerState, { actions, ground, view, waitMs }: Decision): void {
  const { world, judge } = scheduler;
  const { store, time, random, weather } = world;
  // Another one leads: this one rests for ever.
  if (store.leaderFence !== scheduler.fence) return;
  if (random.chance(weather.storeFails)) sleep(scheduler, RETRY_MS);
  else {
    const ageMs = time.nowMs - ground.snapshotAtMs;
    const holding = stillHolding({ before: ground.state, now: view(store.snapshot()), ageMs }, actions);
    for (const action of holding) {
      world.note(() => JSON.stringify(action));
      judge.writes(action, ground, view(store.snapshot()));
      store.write(action);
    }
    // Committed, but it does not know: the next pass finds out.
    const isLost = random.chance(weather.answerLost);
    if (holding.length > 0 && !isLost) scheduler.isCalled = true;
    sleep(scheduler, isLost ? RETRY_MS : waitMs - ageMs);
  }
}
