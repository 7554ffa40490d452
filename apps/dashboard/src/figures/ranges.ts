/** How far back graphs look. Steps are those that the API keeps, or multiples of them: so each graph has 90 to 360 points. Pure. */
import { COARSE_STEP_S, FINE_STEP_S } from '@cupola/model/metrics';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export interface Range {
  key: string;
  label: string;
  lengthMs: number;
  stepS: number;
}
export const RANGES = [
  { key: '15m', label: '15 min', lengthMs: 15 * MINUTE_MS, stepS: FINE_STEP_S },
  { key: '1h', label: '1 h', lengthMs: HOUR_MS, stepS: FINE_STEP_S },
  { key: '24h', label: '24 h', lengthMs: DAY_MS, stepS: COARSE_STEP_S },
  { key: '30d', label: '30 days', lengthMs: 30 * DAY_MS, stepS: 24 * COARSE_STEP_S },
] as const satisfies readonly Range[];
export const FIRST_RANGE: Range = RANGES[0];

/** What to ask for at `now`, by the API's clock as far as it is known: up to its own now, so with a window that has just begun (`wholeWindows()`). */
export function askedOf({ lengthMs, stepS }: Range, now: number): { start: string; step: string } {
  const stepMs = stepS * 1_000;
  return { start: new Date(Math.floor(now / stepMs) * stepMs - lengthMs).toISOString(), step: String(stepS) };
}

/** The range that figures were read for: they may be a window longer. */
export function rangeOf(windows: number, stepS: number): Range {
  const lengthMs = windows * stepS * 1_000;
  return RANGES.reduce<Range>(
    (best, one) => (Math.abs(one.lengthMs - lengthMs) < Math.abs(best.lengthMs - lengthMs) ? one : best),
    FIRST_RANGE,
  );
}

/** Of an axis: a time of day, or a day where the range has many. */
export function timeText(ms: number, { lengthMs }: Range): string {
  const at = new Date(ms);
  if (lengthMs > DAY_MS) return at.toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
  return `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
}
