/**
 * A machine of the simulated cluster and the agent on it, which takes the steps that the real `decideCopies` names. Bodies are what truly runs: they
 * outlive the agent's process, as under their shims. Records lie on the machine's disk: they outlive it too, unless the machine is set up anew.
 */
import { afterCrash, afterStartError, type CopyAction, decideCopies, isFresh, type KnownCopy } from '../cell-plan.ts';
import type { CellFacts, CopyFacts, Placement } from '../cluster-state.ts';
import { CELL_LIMITS } from '../limits.ts';
import type { Judge } from './judge.ts';
import type { World } from './world.ts';

const BOOT_MS = { min: 50, max: 500 };
const PREPARE_MS = { min: 5, max: 300 };
const HEALTHY_MS = { min: 20, max: 3_000 };
const STOP_MS = { min: 10, max: 10_000 };
const RESEND_MS = 1_000;

interface Record extends KnownCopy {
  placement: Placement;
  attempt: number;
  crashCount: number;
  startErrors: number;
  placementError: string | null;
  runningSinceMs: number | null;
}

interface View {
  revision: number;
  items: ReadonlyMap<string, Placement>;
  syncedAtMs: number;
}

export interface SimAgent {
  readonly id: string;
  readonly isUp: boolean;
  /** Guids of what truly runs there. */
  bodies(): IterableIterator<string>;
  record(guid: string): Readonly<Record> | undefined;
  /** The machine's capacity from its agent's next start on. */
  resize(memoryMb: number): void;
  start(): void;
  /** The process alone: its copies go on. */
  kill(): void;
  freeze(forMs: number): void;
  /** Everything that runs there ends at once, the agent too. */
  powerOff(options: { forget: boolean }): void;
  /** One copy's app dies. */
  crashOne(): void;
  /** The store's watch: all placements of this cell, as of a revision. */
  sendView(): void;
}

export interface Machine {
  cell: CellFacts;
  world: World;
  judge: Judge;
}

export function makeAgent({ cell, world, judge }: Machine): SimAgent {
  const { time, random, store } = world;
  const records = new Map<string, Record>();
  const bodies = new Map<string, number>();
  const unreported = new Map<string, CopyFacts>();
  let facts = cell;
  /** Of the agent's process: what was asked for by a former one finds nobody. */
  let life = 0;
  let isUp = false;
  let thawed: Array<() => void> | null = null;
  let view: View | null = null;
  let session = '';
  let sequence = 0;
  let isReporting = false;
  let timerMs: number | null = null;

  /** Runs in this life of the agent, once it is awake. */
  function inLife(run: () => void): () => void {
    const mine = life;
    const guarded = (): void => {
      if (life !== mine || !isUp) return;
      if (thawed === null) run();
      else thawed.push(guarded);
    };
    return guarded;
  }
  const after = (delayMs: number, run: () => void): void => time.after(delayMs, inLife(run));

  function look(): void {
    const { actions, wakeAtMs } = decideCopies({
      now: time.nowMs,
      wanted: [...(view?.items.values() ?? [])],
      fresh: isFresh(view?.syncedAtMs ?? null, time.nowMs),
      copies: [...records.values()],
    });
    for (const action of actions) take(action);
    if (wakeAtMs !== null && (timerMs === null || timerMs <= time.nowMs || wakeAtMs < timerMs)) {
      timerMs = wakeAtMs;
      after(wakeAtMs - time.nowMs, look);
    }
    flush();
  }

  function take(action: CopyAction): void {
    const { guid } = action;
    const placement = view?.items.get(guid);
    const record = records.get(guid);
    world.note(() => `${cell.id} ${action.do} ${guid}`);
    if (action.do === 'take' || action.do === 'renew') {
      if (placement !== undefined) change(newRecord(placement, record?.attempt ?? 0));
      return;
    }
    if (record === undefined) return;
    if (action.do === 'start') begin(record);
    else if (action.do === 'stop') stop(record);
    else forget(record);
  }

  function newRecord(placement: Placement, attempt: number): Record {
    const { guid, generation, startSequence } = placement;
    const none = { startAtMs: time.nowMs, startingSinceMs: null, runningSinceMs: null, placementError: null };
    return {
      guid,
      generation,
      startSequence,
      placement,
      phase: 'waiting',
      attempt,
      crashCount: 0,
      startErrors: 0,
      ...none,
    };
  }

  function change(record: Record): void {
    records.set(record.guid, record);
    unreported.set(record.guid, rowOf(record));
  }

  function begin(record: Record): void {
    judge.starts(record, time.nowMs);
    const attempt = record.attempt + 1;
    const { guid } = record;
    change({ ...record, phase: 'starting', attempt, startingSinceMs: time.nowMs, startAtMs: null });
    const isStill = (): boolean => records.get(guid)?.attempt === attempt && records.get(guid)?.phase === 'starting';
    after(random.between(PREPARE_MS.min, PREPARE_MS.max), () => {
      if (!isStill()) return;
      if (world.brokenSandboxes.has(cell.id)) return failStart(guid);
      bodies.set(guid, attempt);
      const launched = records.get(guid);
      if (launched?.placementError != null) change({ ...launched, placementError: null, startErrors: 0 });
      const isBad = world.badSpecs.has(record.placement.runSpecGuid);
      after(random.between(HEALTHY_MS.min, HEALTHY_MS.max), () => {
        if (!isStill() || bodies.get(guid) !== attempt) return;
        if (isBad) die(guid);
        else become(guid);
      });
    });
  }

  function become(guid: string): void {
    const record = records.get(guid);
    if (record === undefined) return;
    change({
      ...record,
      phase: 'running',
      startingSinceMs: null,
      runningSinceMs: time.nowMs,
      startErrors: 0,
      placementError: null,
    });
    look();
  }

  function failStart(guid: string): void {
    const record = records.get(guid);
    if (record === undefined) return;
    world.sandboxesFailed = true;
    const startErrors = record.startErrors + 1;
    const startAtMs = afterStartError(startErrors, time.nowMs);
    change({
      ...record,
      phase: 'waiting',
      startAtMs,
      startErrors,
      startingSinceMs: null,
      placementError: 'no sandbox',
    });
    look();
  }

  /** The body ends; the agent, if there is one, notices. */
  function die(guid: string): void {
    bodies.delete(guid);
    world.note(() => `${cell.id} ${guid} dies`);
    inLife(() => {
      noticeEnd(guid);
      look();
    })();
  }

  function noticeEnd(guid: string): void {
    const record = records.get(guid);
    if (record === undefined || bodies.has(guid)) return;
    if (record.phase === 'stopping') return change({ ...record, phase: 'stopped' });
    if (record.phase !== 'starting' && record.phase !== 'running') return;
    const ranMs = record.runningSinceMs === null ? 0 : time.nowMs - record.runningSinceMs;
    const { crashCount, startAtMs } = afterCrash(record.crashCount, { ranMs, now: time.nowMs });
    judge.crashed(guid, { ranMs, atMs: time.nowMs, before: record.crashCount, after: crashCount });
    change({ ...record, phase: 'waiting', crashCount, startAtMs, startingSinceMs: null, runningSinceMs: null });
  }

  function stop(record: Record): void {
    judge.stops(cell.id, record.guid);
    change({ ...record, phase: 'stopping' });
    endSoon(record.guid);
  }

  function endSoon(guid: string): void {
    time.after(random.between(STOP_MS.min, STOP_MS.max), () => {
      // As long as it is asked to end: a machine that lost its power in between has ended it.
      if (records.get(guid)?.phase === 'stopping') die(guid);
    });
  }

  function forget(record: Record): void {
    if (bodies.has(record.guid)) world.fail(`${cell.id} forgets ${record.guid}, which runs`);
    records.delete(record.guid);
    unreported.set(record.guid, { ...rowOf(record), state: 'GONE', routable: false });
  }

  function rowOf({ placement, phase, attempt, placementError, crashCount }: Record): CopyFacts {
    const { guid, processGuid, index, generation, cellId, memoryMb, diskMb } = placement;
    const states = {
      waiting: 'STARTING',
      starting: 'STARTING',
      running: 'RUNNING',
      stopping: 'STOPPING',
      stopped: 'STOPPING',
    } as const;
    const state = phase === 'waiting' && crashCount > 0 && placementError === null ? 'CRASHED' : states[phase];
    const routable = state === 'RUNNING';
    return { guid, processGuid, index, generation, cellId, state, attempt, routable, placementError, memoryMb, diskMb };
  }

  /** One report at a time, sent until it is answered. What changes meanwhile goes with the next. */
  function flush(): void {
    if (isReporting || unreported.size === 0 || sequence === 0) return;
    isReporting = true;
    const report = { cellId: cell.id, session, sequence: sequence++, copies: [...unreported.values()] };
    unreported.clear();
    exchange(
      () => {
        if (store.cells.get(cell.id)?.session === report.session) world.reportedAtMs.set(cell.id, time.nowMs);
        store.report(report);
      },
      () => {
        isReporting = false;
        flush();
      },
    );
  }

  /** Sends until an answer comes: the store may well hear it more than once. */
  function exchange(arrive: () => void, answered: () => void): void {
    let isAnswered = false;
    const answer = inLife(() => {
      if (isAnswered) return;
      isAnswered = true;
      answered();
    });
    const send = (): void => {
      if (isAnswered) return;
      world.send(cell.id, () => {
        arrive();
        world.send(cell.id, answer);
      });
      after(RESEND_MS, send);
    };
    send();
  }

  function register(): void {
    const mine = session;
    const row = { ...facts, session, counter: null };
    exchange(
      () => {
        // A registration that comes late is of a former agent: the newer session wins.
        if (session === mine && store.cells.get(cell.id)?.session !== mine) {
          world.hear(cell.id);
          store.register(row);
        }
        sendView();
      },
      () => {
        sequence = 1;
        beat(1);
        flush();
      },
    );
  }

  function beat(counter: number): void {
    const mine = session;
    world.send(cell.id, () => {
      const known = store.cells.get(cell.id);
      if (known?.session !== mine || counter <= (known.counter ?? 0)) return;
      world.hear(cell.id);
      store.heartbeat(cell.id, { session: mine, counter });
    });
    after(CELL_LIMITS.heartbeatMs, () => beat(counter + 1));
  }

  function sendView(): void {
    const { revision } = store;
    const items = new Map<string, Placement>();
    for (const placement of store.placements.values())
      if (placement.cellId === cell.id) items.set(placement.guid, placement);
    world.send(
      cell.id,
      inLife(() => receive(revision, items)),
    );
  }

  function receive(revision: number, items: ReadonlyMap<string, Placement>): void {
    if (view !== null && revision < view.revision) return;
    view = { revision, items, syncedAtMs: time.nowMs };
    look();
  }

  /** What the records say and what is there, brought together. */
  function adopt(): void {
    for (const record of [...records.values()]) {
      unreported.set(record.guid, rowOf(record));
      if (record.phase === 'stopping') bodies.has(record.guid) ? endSoon(record.guid) : noticeEnd(record.guid);
      else if (record.phase === 'starting') resumeStart(record);
      else noticeEnd(record.guid);
    }
  }

  function resumeStart(record: Record): void {
    const { guid, attempt } = record;
    if (bodies.get(guid) === attempt) {
      if (world.badSpecs.has(record.placement.runSpecGuid)) die(guid);
      else after(random.between(HEALTHY_MS.min, HEALTHY_MS.max), () => bodies.get(guid) === attempt && become(guid));
    } else change({ ...record, phase: 'waiting', startAtMs: time.nowMs, startingSinceMs: null });
  }

  function end(): void {
    isUp = false;
    life++;
    thawed = null;
  }

  return {
    id: cell.id,
    get isUp() {
      return isUp && thawed === null;
    },
    bodies: () => bodies.keys(),
    record: guid => records.get(guid),
    resize: memoryMb => {
      facts = { ...facts, memoryMb };
    },
    start: () => {
      if (isUp) return;
      isUp = true;
      life++;
      session = `${cell.id}-${life}`;
      sequence = 0;
      isReporting = false;
      view = null;
      timerMs = null;
      unreported.clear();
      world.note(() => `${cell.id} agent starts`);
      after(random.between(BOOT_MS.min, BOOT_MS.max), () => {
        adopt();
        register();
        look();
      });
    },
    kill: () => {
      world.note(() => `${cell.id} agent killed`);
      end();
    },
    freeze: forMs => {
      if (!isUp || thawed !== null) return;
      world.note(() => `${cell.id} agent frozen for ${forMs}`);
      const waiting: Array<() => void> = [];
      thawed = waiting;
      time.after(forMs, () => {
        if (thawed !== waiting) return;
        thawed = null;
        for (const run of waiting) run();
      });
    },
    powerOff: ({ forget: isForgotten }) => {
      world.note(() => `${cell.id} loses power${isForgotten ? ' and its disk' : ''}`);
      end();
      bodies.clear();
      if (isForgotten) records.clear();
    },
    crashOne: () => {
      const running = [...bodies.keys()].filter(guid => records.get(guid)?.phase === 'running');
      if (running.length > 0) die(random.pick(running));
    },
    sendView,
  };
}
