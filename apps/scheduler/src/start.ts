/**
 * The scheduler: desired state in, placements out. Each pass reads everything, decides (`@cupola/model/convergence`), checks the plan, and writes of it what
 * still holds. It wakes by the store's feed, by its own deadlines (a lease, a linger, a take-up), and every `passMs` whatever happens: a wake-up that gets
 * lost costs one pass.
 */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { checkPlan } from '@cupola/model/check-plan';
import type { ClusterState } from '@cupola/model/cluster-state';
import { decide } from '@cupola/model/convergence';
import { FencedError } from '@cupola/model/errors';
import { CELL_LIMITS } from '@cupola/model/limits';
import { type Observations, observe, withoutGhosts } from '@cupola/model/observe';
import type { Action } from '@cupola/model/plan';
import type { ChangeKind } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import type { Logger } from 'pino';
import { applyPlan } from './apply-plan.ts';
import { type Leadership, type Seen, takeLead, tryToLead } from './leadership.ts';
import type { SchedulerWatch } from './metrics.ts';
import { moveDeployments } from './move-deployments.ts';
import { moveTasks } from './move-tasks.ts';
import { readSnapshot } from './read-state.ts';
import { makeWake } from './wake.ts';

/** What a decision depends on; the scheduler's own writes are none of it, but that one which led has ended. */
const WAKING: ReadonlySet<ChangeKind> = new Set(['app', 'process', 'copy', 'cell', 'deployment', 'task', 'scheduler']);
/** How often one that waits looks at the lease (ours). */
const STANDBY_LOOK_MS = 1_000;
/** After a store error (failure-rules.md section 3). */
const RETRY_MS = 1_000;
/** Reading and deciding for longer than this is followed by a pause as long, whoever calls: requests share this process (ours). */
const LONG_PASS_MS = 20;
/** A pass that took longer was frozen, not busy. */
const PAUSE_MAX_MS = 200;

export interface SchedulerDeps {
  store: Store;
  log: Logger;
  /** Epoch ms. */
  now(): number;
  /** ms of a clock that never jumps. */
  monotonic(): number;
  /** How often everything is looked at without being asked to. */
  passMs: number;
  /** No other scheduler can live: this one leads at once. Else it waits until nobody does. */
  isAlone: boolean;
  /** Not given: nobody watches. */
  watch?: SchedulerWatch;
}

/**
 * Leads until it is disposed; another one that has taken over ends it where it was alone, and makes it wait where it was not. Leases and waits get their full
 * time anew with each lead.
 */
export async function start(deps: SchedulerDeps): Promise<AsyncDisposable> {
  const { store, log } = deps;
  const holder = randomUUID();
  const wake = makeWake();
  const unsubscribe = store.subscribe(changes => {
    if (changes === null) return wake.now();
    const kinds = changes.map(({ kind }) => kind).filter(kind => WAKING.has(kind));
    if (kinds.some(kind => kind !== 'copy')) wake.now();
    // What became of a copy is for routers first: their view is read in this turn of the loop, and a pass of ours would come before it.
    else if (kinds.length > 0) setImmediate(wake.now);
  });
  const life = { isOver: false };
  const first = deps.isAlone ? await takeLead(store, holder) : null;
  const ended = (async () => {
    for (let leadership = first; !life.isOver; leadership = null) {
      leadership ??= await awaitLead(deps, { holder, wake, life });
      if (leadership === null) return;
      log.info({ fence: leadership.fence }, 'this scheduler leads');
      deps.watch?.leads(true);
      await converge(deps, { leadership, wake, life }).finally(() => deps.watch?.leads(false));
      if (life.isOver) await leadership.release().catch(() => undefined); // The next one waits for the lease instead.
      if (deps.isAlone) return;
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      life.isOver = true;
      unsubscribe();
      wake.now();
      await ended;
    },
  };
}

/** Null when it is over. */
async function awaitLead(
  { store, log, monotonic, passMs }: SchedulerDeps,
  { holder, wake, life }: Omit<Running, 'leadership'> & { holder: string },
): Promise<Leadership | null> {
  let seen: Seen | null = null;
  while (!life.isOver) {
    try {
      const look = await tryToLead(store, { holder, seen, clockMs: monotonic() });
      if ('leadership' in look) return look.leadership;
      ({ seen } = look);
    } catch (error) {
      log.error({ err: error }, 'the lease of the scheduler could not be looked at; the next look tries again');
    }
    await wake.sleep(Math.min(passMs, STANDBY_LOOK_MS));
  }
  return null;
}

interface Running {
  leadership: Leadership;
  wake: ReturnType<typeof makeWake>;
  life: { isOver: boolean };
}

async function converge(deps: SchedulerDeps, { leadership, wake, life }: Running): Promise<void> {
  const { log, monotonic, passMs } = deps;
  let seen: Observations | null = null;
  let renewedAtMs = monotonic();
  while (!life.isOver) {
    let waitMs = passMs;
    let busyMs = 0;
    try {
      const beganMs = monotonic();
      const pass = await runPass(deps, leadership, seen);
      deps.watch?.passed(monotonic() - beganMs, pass.written);
      seen = pass.seen;
      busyMs = pass.busyMs;
      if (pass.written.length > 0) {
        // The cells hear of it before we say it and look again.
        await new Promise(resolve => setImmediate(resolve));
        for (const action of pass.written) log.info({ action }, say(action));
        wake.now();
      }
      if (pass.nextAtMs !== null) waitMs = Math.min(passMs, Math.max(0, pass.nextAtMs - monotonic()));
      if (monotonic() - renewedAtMs >= CELL_LIMITS.heartbeatMs) {
        await leadership.renew();
        renewedAtMs = monotonic();
      }
    } catch (error) {
      if (error instanceof FencedError) return log.warn('another scheduler leads: this one rests');
      log.error({ err: error }, 'a pass failed; the next one tries again');
      waitMs = RETRY_MS;
    }
    if (busyMs > LONG_PASS_MS) await new Promise(resolve => setTimeout(resolve, Math.min(busyMs, PAUSE_MAX_MS)));
    await wake.sleep(waitMs);
  }
}

interface Pass {
  seen: Observations;
  written: readonly Action[];
  /** Reading and deciding, which keep this process from anything else. */
  busyMs: number;
  nextAtMs: number | null;
}

async function runPass(deps: SchedulerDeps, leadership: Leadership, before: Observations | null): Promise<Pass> {
  const { store, log, now, monotonic } = deps;
  const clockMs = monotonic();
  const first = await readSnapshot(store);
  const seenFirst = observe(before, first, clockMs);
  const moved = await moveDeployments({ store, leadership }, first);
  const viewFirst = (whole: ClusterState): ClusterState => withoutGhosts(whole, seenFirst, clockMs);
  const tasks = await moveTasks({ store, leadership, now, view: viewFirst }, first, seenFirst);
  for (const sentence of [...moved, ...tasks.said]) log.info(sentence);
  const isMoved = moved.length + tasks.said.length > 0;
  const read = isMoved ? await readSnapshot(store) : first;
  const seen = isMoved ? observe(before, read, clockMs) : seenFirst;
  if (seen.brakeUntilMs !== null && before?.brakeUntilMs !== seen.brakeUntilMs)
    log.error('more than half of the cells were lost within a minute: nothing new is placed for a minute');
  const view = (whole: ClusterState): ClusterState => withoutGhosts(whole, seen, clockMs);
  const state = view(read);
  const plan = decide(state, seen, { clockMs, startsInFlightMax: 2 * availableParallelism() });
  const nextAtMs = earlier(plan.nextAtMs, tasks.dueInMs === null ? null : clockMs + tasks.dueInMs);
  const busyMs = monotonic() - clockMs;
  const broken = checkPlan(state, seen, plan.actions);
  if (broken.length > 0) {
    log.error({ broken, plan: plan.actions }, 'a plan breaks what must never be broken: it is not applied');
    return { seen, written: [], busyMs, nextAtMs: null };
  }
  if (plan.actions.length === 0) return { seen, written: [], busyMs, nextAtMs };
  const decision = { decidedFrom: state, view, actions: plan.actions, ageMs: () => monotonic() - clockMs };
  const written = await applyPlan({ store, leadership }, decision);
  return { seen, written, busyMs, nextAtMs };
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

function say(action: Action): string {
  switch (action.do) {
    case 'place':
      return `placed instance ${action.index} on ${action.cellId}: ${action.reason}`;
    case 'withdraw':
      return `withdrew instance ${action.index}: ${action.reason}`;
    case 'explain':
      return action.reason;
    case 'clear':
      return `instance ${action.index} waits no more`;
    case 'mark':
      return `cell ${action.cellId} is ${action.cellState}`;
  }
}
