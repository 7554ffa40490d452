/** A scheduler of the simulated cluster: the real `observe`, `decide`, `checkPlan` and `stillHolding`, in the loop of `apps/scheduler`, with time between decision and write. */
import { checkPlan } from '../check-plan.ts';
import type { ClusterState } from '../cluster-state.ts';
import { decide } from '../convergence.ts';
import { CELL_LIMITS } from '../limits.ts';
import { type Observations, observe, withoutGhosts } from '../observe.ts';
import type { Action } from '../plan.ts';
import { stillHolding } from '../still-holds.ts';
import type { Ground, Judge } from './judge.ts';
import type { World } from './world.ts';

const PASS_MS = CELL_LIMITS.convergenceEmbeddedMs;
const RETRY_MS = 1_000;
const WRITE_MS = { min: 1, max: 8 };
const HINT_MS = { min: 0, max: 5 };
export const STARTS_IN_FLIGHT_MAX = 4;

export interface SimScheduler {
  /** A hint: look sooner. */
  wake(): void;
}

/** Leads from now on. Whoever led before may still write what it has decided, and is refused. */
export function startScheduler(world: World, judge: Judge): SimScheduler {
  const { time, random, store } = world;
  const fence = store.takeLead();
  const leadsSinceMs = time.nowMs;
  // Every process counts its monotonic clock from another moment.
  const clockOffsetMs = random.int(1_000_000);
  let seen: Observations | null = null;
  let lookedBeforeMs = time.nowMs;
  let isBusy = false;
  let isCalled = false;
  let alarm = 0;
  let isRetired = false;

  function sleep(ms: number): void {
    isBusy = false;
    const mine = ++alarm;
    time.after(isCalled ? 0 : ms, () => {
      if (alarm === mine) pass();
    });
  }

  function pass(): void {
    if (isRetired || isBusy) return;
    isBusy = true;
    isCalled = false;
    if (random.chance(world.weather.storeFails)) return sleep(RETRY_MS);
    const clockMs = time.nowMs + clockOffsetMs;
    const read = store.snapshot();
    seen = observe(seen, read, clockMs);
    const looked = seen;
    const view = (whole: ClusterState): ClusterState => withoutGhosts(whole, looked, clockMs);
    const state = view(read);
    const plan = decide(state, seen, { clockMs, startsInFlightMax: STARTS_IN_FLIGHT_MAX });
    for (const broken of checkPlan(state, seen, plan.actions)) world.fail(`a plan is broken: ${broken}`);
    const places = plan.actions.filter(action => action.do === 'place');
    const ground = { state, places, snapshotAtMs: time.nowMs, lookedBeforeMs, leadsSinceMs };
    lookedBeforeMs = time.nowMs;
    const waitMs = plan.nextAtMs === null ? PASS_MS : Math.min(PASS_MS, plan.nextAtMs - clockMs);
    if (plan.actions.length === 0) return sleep(waitMs);
    const writeMs = random.between(WRITE_MS.min, WRITE_MS.max) + world.frozenWriteMs;
    world.frozenWriteMs = 0;
    time.after(writeMs, () => write(plan.actions, { ground, view }, waitMs - writeMs));
  }

  function write(
    actions: readonly Action[],
    { ground, view }: { ground: Ground; view: (whole: ClusterState) => ClusterState },
    waitMs: number,
  ): void {
    if (random.chance(world.weather.storeFails)) return sleep(RETRY_MS);
    if (store.leaderFence !== fence) {
      isRetired = true;
      return;
    }
    const holding = stillHolding({ before: ground.state, now: view(store.snapshot()), ageMs: time.nowMs - ground.snapshotAtMs }, actions);
    for (const action of holding) {
      world.note(() => JSON.stringify(action));
      judge.writes(action, ground, view(store.snapshot()));
      store.write(action);
    }
    // Committed, but it does not know: the next pass finds out.
    if (random.chance(world.weather.answerLost)) return sleep(RETRY_MS);
    if (holding.length > 0) isCalled = true;
    sleep(waitMs);
  }

  time.after(0, pass);
  return {
    wake: () => {
      if (random.chance(world.weather.hintLost)) return;
      isCalled = true;
      if (isBusy) return;
      const mine = ++alarm;
      time.after(random.between(HINT_MS.min, HINT_MS.max), () => {
        if (alarm === mine) pass();
      });
    },
  };
}
