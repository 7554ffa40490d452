/**
 * All copies of this cell: asks `decideCopies` what is next after each change and at each time it names, and takes the steps. Everything that happens to a
 * copy is written to its record first, so that another agent can go on from there.
 */
import type { CopyReport, PlacementItem } from '@cupola/contract/internal';
import { type CopyAction, decideCopies } from '@cupola/model/cell-plan';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { RunningSandbox } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import { layerNames } from '../host/layers.ts';
import type { Uids } from '../host/uids.ts';
import { pause } from '../pause.ts';
import { type ChangeDeps, changeCopy, loseTask, lostEnd, markStarting, renew, settle } from './changes.ts';
import { type Copy, knownCopy, newCopy, reportOf, type StopOrder } from './copy.ts';
import { bringChanges, type End, type LifeDeps, live, removeSandbox } from './life.ts';

export interface CopiesDeps extends Omit<LifeDeps, 'change' | 'tidy'>, ChangeDeps {
  /** The last word on a copy. */
  gone(report: CopyReport): void;
  log: Logger;
}

export interface Copies {
  get(guid: string): Copy | null;
  all(): Copy[];
  /** Takes over what a former agent left. Called once, before `look`. */
  resume(left: { adopted: Resumed[]; removeUnknown(): Promise<void> }): void;
  /** Something may have changed: decides, and takes the steps. */
  look(): void;
  /** Stops every copy, gracefully; their records stay, so that the next agent starts them again. */
  stopAll(): Promise<void>;
  /** Lets go of every copy, all of which go on. */
  leave(): Promise<void>;
}

/** A copy as its record tells it, and what is there of it. */
export interface Resumed {
  copy: Copy;
  /** Null: nothing is there. */
  sandbox: RunningSandbox | null;
  /** What is recorded to run is not there. */
  isLost: boolean;
}

/** A pass even when nothing has changed, so that a view that has become old, or a lost wake-up, changes no more than this (CF). */
const PASS_MS = 30_000;
/** Stopping all takes its grace, and a little; whoever waits for us is not to wait for a sandbox that neither starts nor ends (ours). */
const STOP_ALL_MAX_MS = INSTANCE_LIMITS.stopGraceMs + 10_000;
const LEAVE_MAX_MS = 5_000;

export function createCopies(deps: CopiesDeps): Copies {
  const { view, monotonic, log } = deps;
  const copies = new Map<string, Copy>();
  const left = new AbortController();
  const tidying = createTidying(log);
  const change: LifeDeps['change'] = (copy, changed) => changeCopy(deps, copy, changed);
  let removeUnknown: (() => Promise<void>) | null = null;
  let stoppingAll = false;
  let timer: NodeJS.Timeout | null = null;

  const begin = (copy: Copy, adopted: RunningSandbox | null): void => {
    copy.stopping = new AbortController();
    copy.life = live({ ...deps, change, tidy: tidying.add }, copy, { adopted, left: left.signal })
      .catch((error: unknown): End => {
        log.error({ err: error, copy: copy.record.placement.guid }, 'a start failed by a bug of ours');
        // What runs of it must not run beside its successor.
        if (copy.sandbox !== null && !left.signal.aborted) tidying.add(removeSandbox(copy.sandbox));
        return { how: 'failed', why: (error as Error).message };
      })
      .then(end => {
        if (left.signal.aborted) return;
        settle(deps, copy, { end, isStoppingAll: stoppingAll });
        look();
      });
  };
  const take = (action: CopyAction, startsNow: ReadonlySet<string>): void => {
    const { guid } = action;
    const copy = copies.get(guid);
    const placement = view.get(guid);
    if (copy === undefined) {
      if (action.do !== 'take' || placement === null) return;
      takeOn(deps, { copies, startsNow }, placement);
    } else if (action.do === 'renew' && placement !== null) renew(deps, copy, placement);
    else if (action.do === 'start') {
      if (copy.startAtMs === null) return; // A task that has run, and that this machine has forgotten.
      markStarting(deps, copy);
      begin(copy, null);
    } else if (action.do === 'stop') {
      copy.stopping.abort({ routePauseMs: INSTANCE_LIMITS.routeRemovalPauseMs } satisfies StopOrder);
      // Said now, not when its life has come to it: a second look must not stop it twice.
      changeCopy(deps, copy, { phase: 'stopping' });
    } else if (action.do === 'forget') {
      changeCopy(deps, copy, { state: 'GONE', routable: false });
      copies.delete(guid);
      forget(deps, copy, { copies, tidy: tidying.add });
    }
  };
  const look = (): void => {
    if (stoppingAll || left.signal.aborted) return;
    if (timer !== null) clearTimeout(timer);
    const now = monotonic();
    const fresh = view.fresh();
    const plan = decideCopies({ now, wanted: view.all(), fresh, copies: [...copies.values()].map(knownCopy) });
    const startsNow = new Set(plan.actions.flatMap(({ do: what, guid }) => (what === 'start' ? [guid] : [])));
    for (const action of plan.actions) take(action, startsNow);
    for (const copy of copies.values()) bringChanges(deps, copy);
    if (fresh && removeUnknown !== null) {
      tidying.add(removeUnknown());
      removeUnknown = null;
    }
    timer = setTimeout(look, untilNextMs(plan, now));
  };
  const quiet = async (withinMs: number): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    const lives = Promise.all([...copies.values()].map(copy => copy.life));
    await within(withinMs, Promise.all([lives, lives.then(tidying.done)]), log);
  };

  return {
    get: guid => copies.get(guid) ?? null,
    all: () => [...copies.values()],
    resume: found => {
      removeUnknown = found.removeUnknown;
      for (const { copy, sandbox, isLost } of found.adopted) {
        copies.set(copy.record.placement.guid, copy);
        if (sandbox !== null) begin(copy, sandbox);
        else if (isLost) settle(deps, copy, { end: lostEnd(deps, copy), isStoppingAll: false });
      }
    },
    look,
    stopAll: async () => {
      stoppingAll = true;
      for (const copy of copies.values()) copy.stopping.abort({ routePauseMs: 0 } satisfies StopOrder);
      await quiet(STOP_ALL_MAX_MS);
    },
    leave: async () => {
      left.abort();
      for (const copy of copies.values()) copy.output?.stop();
      await quiet(LEAVE_MAX_MS);
    },
  };
}

function untilNextMs({ wakeAtMs }: { wakeAtMs: number | null }, now: number): number {
  return wakeAtMs === null ? PASS_MS : Math.ceil(Math.min(PASS_MS, Math.max(0, wakeAtMs - now)));
}

interface Taking {
  copies: Map<string, Copy>;
  /** Those whose start follows in this look: it writes them down. */
  startsNow: ReadonlySet<string>;
}

/** New here: remembered, and started when it is asked to; or a task whose run this machine has forgotten. */
function takeOn(deps: CopiesDeps, { copies, startsNow }: Taking, placement: PlacementItem): void {
  const taken = newCopy(placement, { nowMs: deps.now(), monotonicMs: deps.monotonic() });
  // First of all: whoever hears of a change looks it up, and one that is not there would be told of as gone.
  copies.set(placement.guid, taken);
  if (placement.mayStart === false) loseTask(deps, taken);
  else if (!startsNow.has(placement.guid)) changeCopy(deps, taken, {});
}

interface Others {
  copies: ReadonlyMap<string, Copy>;
  tidy(work: Promise<void>): void;
}

/** Nothing of a copy stays: neither its record, nor what only it needed. */
function forget({ records, gone, uids, layers }: CopiesDeps, copy: Copy, { copies, tidy }: Others): void {
  records.remove(copy.record.placement.guid);
  gone(reportOf(copy));
  uids.keep(new Set([...copies.values()].map(({ record }) => record.placement.runSpec.appGuid)));
  tidy(layers.collect(() => usedLayers(copies, uids)));
}

function usedLayers(copies: ReadonlyMap<string, Copy>, uids: Uids): Set<string> {
  return new Set(
    [...copies.values()].flatMap(({ record }) => {
      const { layers, appGuid } = record.placement.runSpec;
      return layerNames(layers, uids.separate ? uids.of(appGuid) : null);
    }),
  );
}

async function within(ms: number, work: Promise<unknown>, log: Logger): Promise<void> {
  const enough = new AbortController();
  const isDone = await Promise.race([work.then(() => true), pause(ms, enough.signal).then(() => false)]);
  enough.abort();
  if (!isDone) log.error({ ms }, 'a sandbox neither starts nor ends: it is left for the next agent');
}

/** Work that nobody waits for but the end. */
function createTidying(log: Logger): { add(work: Promise<void>): void; done(): Promise<void> } {
  const under = new Set<Promise<void>>();
  return {
    add: work => {
      const entry = work
        .catch(error => log.error({ err: error }, 'what a copy has left could not be removed'))
        .finally(() => under.delete(entry));
      under.add(entry);
    },
    done: async () => {
      await Promise.all(under);
    },
  };
}
