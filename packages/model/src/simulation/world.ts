/** What all inhabitants of the simulated cluster share: time, chance, the network and its weather, the store, and the judge's verdict. */
import { type Random, seeded } from './random.ts';
import { openSimStore, type SimStore } from './sim-store.ts';
import { startTimeline, type Timeline } from './timeline.ts';

/** What can go wrong by itself; all 0 once the faults have ended. */
export interface Weather {
  /** Probabilities of each message. */
  lost: number;
  doubled: number;
  delayed: number;
  /** Of each transaction of the scheduler. */
  storeFails: number;
  answerLost: number;
  /** Of each wake-up of the scheduler. */
  hintLost: number;
}
export const CALM: Weather = { lost: 0, doubled: 0, delayed: 0, storeFails: 0, answerLost: 0, hintLost: 0 };

export interface World {
  time: Timeline;
  random: Random;
  store: SimStore;
  weather: Weather;
  /** Cells that no message reaches or leaves. */
  cutOff: Set<string>;
  /** Run specs whose app crashes before it is healthy. */
  badSpecs: Set<string>;
  /** Cells on which no sandbox starts. */
  brokenSandboxes: Set<string>;
  /** A start has failed there once, so a scheduler may keep things away from it for a while. */
  sandboxesFailed: boolean;
  /** The scheduler's next write takes so much longer. */
  frozenWriteMs: number;
  /** A heartbeat, or a registration, of the cell has reached the store. */
  hear(cellId: string): void;
  /** When the last one before that moment did. */
  heardBefore(cellId: string, atMs: number): number;
  /** When each cell's last report reached the store. */
  reportedAtMs: Map<string, number>;
  /** Between a cell and the store. Arrives once, never, twice, late: in no sure order. */
  send(cellId: string, deliver: () => void): void;
  /** For the history, if one is written. */
  note(text: () => string): void;
  /** An invariant does not hold: the first verdict stands. */
  fail(what: string): void;
  readonly verdict: string | null;
  readonly history: readonly string[];
  /** Who hears of changes; set by those who listen. */
  onChange: () => void;
  onPlaced: (cellId: string) => void;
}

const NETWORK_MS = { min: 1, max: 20 };
const LATE_MS = { min: 100, max: 6_000 };

export function makeWorld(seed: number, { withHistory }: { withHistory: boolean }): World {
  const random = seeded(seed);
  const time = startTimeline();
  const history: string[] = [];
  const heard = new Map<string, number[]>();
  let verdict: string | null = null;
  const note = (text: () => string): void => {
    if (withHistory) history.push(`${(time.nowMs / 1_000).toFixed(3).padStart(8)} ${text()}`);
  };

  function deliverLater(cellId: string, deliver: () => void): void {
    if (random.chance(world.weather.lost)) return;
    const { min, max } = random.chance(world.weather.delayed) ? LATE_MS : NETWORK_MS;
    time.after(random.between(min, max), () => {
      if (!world.cutOff.has(cellId)) deliver();
    });
  }

  const world: World = {
    time,
    random,
    store: openSimStore({ changed: () => world.onChange(), placed: cellId => world.onPlaced(cellId) }),
    weather: CALM,
    cutOff: new Set(),
    badSpecs: new Set(),
    brokenSandboxes: new Set(),
    sandboxesFailed: false,
    frozenWriteMs: 0,
    hear: cellId => {
      const times = heard.get(cellId);
      if (times === undefined) heard.set(cellId, [time.nowMs]);
      else times.push(time.nowMs);
    },
    heardBefore: (cellId, atMs) => heard.get(cellId)?.findLast(timeMs => timeMs < atMs) ?? Number.NEGATIVE_INFINITY,
    reportedAtMs: new Map(),
    send: (cellId, deliver) => {
      if (world.cutOff.has(cellId)) return;
      deliverLater(cellId, deliver);
      if (random.chance(world.weather.doubled)) deliverLater(cellId, deliver);
    },
    note,
    fail: what => {
      if (verdict === null) note(() => `BROKEN ${what}`);
      verdict ??= what;
    },
    get verdict() {
      return verdict;
    },
    history,
    onChange: () => undefined,
    onPlaced: () => undefined,
  };
  return world;
}
