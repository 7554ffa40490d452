/**
 * Figures of apps over time: what is counted in one window, how windows become one, and what is read from them. Pure. Requests are counted by routers,
 * usage is measured by agents; either may be missing from a window.
 */

/** Upper bounds of a request's time, in ms; one bucket more has no bound. */
export const LATENCY_BOUNDS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000] as const;
/** 1xx to 5xx. */
export const STATUS_CLASSES = 5;
/** Numbers of one app's requests: buckets, then classes, then the sum of ms. */
export const CLASSES_AT = LATENCY_BOUNDS_MS.length + 1;
export const SUM_AT = CLASSES_AT + STATUS_CLASSES;
export const REQUEST_NUMBERS = SUM_AT + 1;

/** Apps of which a router counts the requests one by one (ours: a scrape is then some 2 MB of text). */
export const COUNTED_APPS_MAX = 1_000;

/** s. What is kept for a day, and for a month. */
export const FINE_STEP_S = 10;
export const COARSE_STEP_S = 300;
/** ms. Windows of one hour lie together, once it is over. */
export const PACK_MS = 3_600_000;

export interface UsageFigures {
  /** Of all instances together: fractions of one core. */
  cpu: number;
  memoryBytes: number;
  /** That were measured. */
  instances: number;
}
/** What is known of one app in one window; null: nothing. */
export interface Figures {
  /** `REQUEST_NUMBERS` numbers. */
  requests: readonly number[] | null;
  usage: UsageFigures | null;
}
/** By its beginning, epoch ms. */
export interface Window extends Figures {
  at: number;
}

/** Of the same window, from elsewhere: all of it together. */
export function together(a: Figures, b: Figures): Figures {
  return {
    requests: sumOf(a.requests, b.requests),
    usage:
      a.usage === null || b.usage === null
        ? (a.usage ?? b.usage)
        : {
            cpu: a.usage.cpu + b.usage.cpu,
            memoryBytes: a.usage.memoryBytes + b.usage.memoryBytes,
            instances: a.usage.instances + b.usage.instances,
          },
  };
}

function sumOf(a: readonly number[] | null, b: readonly number[] | null): readonly number[] | null {
  if (a === null || b === null) return a ?? b;
  return a.map((number, at) => number + (b[at] ?? 0));
}

/** Longer windows: requests added up, CPU on average, of memory and instances the most. In the order of time. */
export function coarser(windows: readonly Window[], stepMs: number): Window[] {
  const groups = Map.groupBy(windows, ({ at }) => Math.floor(at / stepMs) * stepMs);
  return [...groups].sort(([a], [b]) => a - b).map(([at, inside]) => ({ at, ...over(inside) }));
}

function over(windows: readonly Window[]): Figures {
  const usages = windows.flatMap(({ usage }) => usage ?? []);
  return {
    requests: windows.reduce<readonly number[] | null>((sum, { requests }) => sumOf(sum, requests), null),
    usage:
      usages.length === 0
        ? null
        : {
            cpu: usages.reduce((sum, { cpu }) => sum + cpu, 0) / usages.length,
            memoryBytes: Math.max(...usages.map(({ memoryBytes }) => memoryBytes)),
            instances: Math.max(...usages.map(({ instances }) => instances)),
          },
  };
}

/** The ms under which this share of requests stayed, as far as buckets tell: evenly spread inside one. Null without requests. */
export function quantileMs(requests: readonly number[], share: number): number | null {
  const buckets = requests.slice(0, CLASSES_AT);
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const wanted = share * total;
  let before = 0;
  for (const [at, count] of buckets.entries()) {
    const from = at === 0 ? 0 : (LATENCY_BOUNDS_MS[at - 1] ?? 0);
    const to = LATENCY_BOUNDS_MS[at];
    // Of what is slower than the last bound no more is known.
    if (to === undefined) return from;
    if (before + count >= wanted && count > 0) return from + ((to - from) * (wanted - before)) / count;
    before += count;
  }
  return null;
}

/** How long windows must be for a graph of `pointsMax` points: a step that is kept, or a multiple of it. */
export function stepFor(rangeMs: number, pointsMax: number): number {
  const least = rangeMs / 1_000 / pointsMax;
  for (const step of [10, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600]) if (step >= least) return step;
  return 86_400;
}

/** One word for what may explain a bend in a graph. */
export type MarkKind = 'deploy' | 'crash' | 'scale' | 'config' | 'start' | 'stop';

/** Audit events that are marks. */
const MARKS: ReadonlyArray<readonly [type: string, kind: MarkKind]> = [
  ['audit.app.process.crash', 'crash'],
  ['audit.app.process.scale', 'scale'],
  ['audit.app.process.update', 'config'],
  ['audit.app.deployment.create', 'deploy'],
  ['audit.app.droplet.mapped', 'deploy'],
  ['audit.app.update', 'config'],
  ['audit.app.environment_variables.update', 'config'],
  ['audit.app.restart', 'start'],
  ['audit.app.start', 'start'],
  ['audit.app.stop', 'stop'],
];
export const MARK_EVENT_TYPES = MARKS.map(([type]) => type);

/** Null: it is none. */
export function markOf(eventType: string): MarkKind | null {
  return MARKS.find(([type]) => type === eventType)?.[1] ?? null;
}
