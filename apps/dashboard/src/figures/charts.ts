/** Figures as graphs: which lines, in which unit, and what they come to in words. Pure. */
import type { AppFigures } from '@cupola/contract/v3/figures';
import type { MarkKind } from '@cupola/model/metrics';

export type Values = ReadonlyArray<number | null>;
export interface Line {
  /** Names its colour too: `line-KEY` of the style sheet. */
  key: string;
  label: string;
  values: Values;
  /** A bound, not a measure. */
  isLimit?: true;
}
export interface Chart {
  key: string;
  title: string;
  lines: readonly Line[];
  /** Each line on top of those before it: together they are the sum. */
  isStacked: boolean;
  /** The top of the scale is this at least, so that noise does not look like a mountain. */
  least: number;
  text(value: number): string;
}

const MIB = 1024 * 1024;
const CLASSES = ['2xx', '3xx', '4xx', '5xx', '1xx'] as const;
const QUANTILES = ['p50', 'p95', 'p99'] as const;

/** @param limitMb memory of all instances that are wanted now; null: not known. */
export function chartsOf(figures: AppFigures, limitMb: number | null): Chart[] {
  const { step_seconds, requests, latency_ms, cpu, memory_in_bytes, instances } = figures;
  const scaled = (values: Values, by: number): Values => values.map(value => (value === null ? null : value * by));
  return [
    {
      key: 'requests',
      title: 'requests a second',
      // A class that never came is no line.
      lines: CLASSES.filter(name => name === '2xx' || requests[name].some(count => (count ?? 0) > 0)).map(name => ({
        key: name,
        label: name,
        values: scaled(requests[name], 1 / step_seconds),
      })),
      isStacked: true,
      least: 1,
      text: shortNumber,
    },
    {
      key: 'latency',
      title: 'time to answer',
      lines: QUANTILES.map(name => ({ key: name, label: name, values: latency_ms[name] })),
      isStacked: false,
      least: 10,
      text: ms => (ms < 1_000 ? `${shortNumber(ms)} ms` : `${shortNumber(ms / 1_000)} s`),
    },
    {
      key: 'cpu',
      title: 'cpu, of one core',
      lines: [{ key: 'cpu', label: 'used', values: scaled(cpu, 100) }],
      isStacked: false,
      least: 5,
      text: percent => `${shortNumber(percent)} %`,
    },
    {
      key: 'memory',
      title: 'memory',
      lines: [
        { key: 'memory', label: 'used', values: scaled(memory_in_bytes, 1 / MIB) },
        ...(limitMb === null || limitMb === 0
          ? []
          : [{ key: 'limit', label: 'limit now', values: memory_in_bytes.map(() => limitMb), isLimit: true as const }]),
      ],
      isStacked: false,
      least: 1,
      text: mb => `${shortNumber(mb)} MB`,
    },
    {
      key: 'instances',
      title: 'instances measured',
      lines: [{ key: 'instances', label: 'running', values: instances }],
      isStacked: false,
      least: 1,
      text: shortNumber,
    },
  ];
}

/** Three digits at most: 0.25, 7.3, 48, 950, 1.2k, 38k. */
export function shortNumber(value: number): string {
  if (value >= 9_950) return `${Math.round(value / 1_000)}k`;
  if (value >= 995) return `${(value / 1_000).toFixed(1).replace(/\.0$/, '')}k`;
  if (value >= 9.95 || Number.isInteger(value)) return String(Math.round(value));
  return value >= 0.995 ? value.toFixed(1) : value.toFixed(2);
}

/** Each line as the sum of itself and those before it; unknown where all of them are. */
export function stackedOf(lines: readonly Values[]): Values[] {
  const sums: Array<number | null> = [];
  return lines.map(values => {
    for (const [index, value] of values.entries())
      sums[index] = value === null ? (sums[index] ?? null) : (sums[index] ?? 0) + value;
    return [...sums];
  });
}

/** Indices of what is known between two that are not: a line has no length there, so it takes a point to be seen. */
export function loneOf(values: Values): number[] {
  const isKnown = (index: number): boolean => (values[index] ?? null) !== null;
  return [...values.keys()].filter(index => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1));
}

/** The newest that is known; null: nothing is. */
export function newestOf(values: Values): number | null {
  return values.findLast(value => value !== null) ?? null;
}

export interface Summary {
  chart: string;
  line: string;
  now: string;
  mean: string;
  most: string;
}

/** What the graphs say, for who does not see them. Lines that nothing is known of say so. */
export function summaryOf(charts: readonly Chart[]): Summary[] {
  return charts.flatMap(({ title, lines, text }) =>
    lines
      .filter(({ isLimit }) => isLimit !== true)
      .map(({ label, values }) => {
        const known = values.filter(value => value !== null);
        const shown = (value: number | null): string => (value === null ? 'unknown' : text(value));
        const mean = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
        return {
          chart: title,
          line: label,
          now: shown(newestOf(values)),
          mean: shown(mean),
          most: shown(known.length === 0 ? null : known.reduce((a, b) => Math.max(a, b))),
        };
      }),
  );
}

/** A mark's sign in the graph; and in words, of one and of several. */
export const MARK_SIGNS: Record<MarkKind, readonly [sign: string, word: string, words: string]> = {
  deploy: ['▲', 'deploy', 'deploys'],
  crash: ['✕', 'crash', 'crashes'],
  scale: ['↕', 'scaling', 'scalings'],
  config: ['◆', 'configuration', 'configurations'],
  start: ['▶', 'start', 'starts'],
  stop: ['■', 'stop', 'stops'],
};

/** Where signs stand whose moments are at `xs` (ascending): `gap` apart, and none beyond `most`, so that those of one moment are beside each other. */
export function placesOf(xs: readonly number[], { gap, most }: { gap: number; most: number }): number[] {
  let free = 0;
  const places = xs.map(x => {
    const place = Math.max(x, free);
    free = place + gap;
    return place;
  });
  let end = most;
  return places
    .toReversed()
    .map(place => {
      const moved = Math.min(place, end);
      end = moved - gap;
      return moved;
    })
    .toReversed();
}

/** Marks of the kinds that there are, with how many; in the order of `MARK_SIGNS`. */
export function countedMarks(marks: AppFigures['marks']): Array<{ kind: MarkKind; count: number }> {
  return (Object.keys(MARK_SIGNS) as MarkKind[])
    .map(kind => ({ kind, count: marks.filter(mark => mark.kind === kind).length }))
    .filter(({ count }) => count > 0);
}

/** Marks inside the window that begins at `atMs`. */
export function marksAt(marks: AppFigures['marks'], atMs: number, stepMs: number): AppFigures['marks'] {
  return marks.filter(({ at }) => Date.parse(at) >= atMs && Date.parse(at) < atMs + stepMs);
}
