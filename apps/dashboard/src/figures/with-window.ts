/** What the live stream tells of an app's figures, put into those that were read. Pure: the same value comes back where nothing changes. */
import type { AppFigures } from '@cupola/contract/v3/figures';
import type { StreamFrame } from '@cupola/contract/v3/stream';
import { markOf } from '@cupola/model/metrics';
import type { AuditEvent } from '../data/read.ts';

export type WindowFrame = Extract<StreamFrame, { type: 'metrics' }>;
type Values = ReadonlyArray<number | null>;

/**
 * With the window of this frame, and the oldest gone for it, so that the range stays as long as it is. Windows that nobody told of in between are unknown.
 * Of coarser figures a frame says too little: `isPast()` says when to read those again.
 */
export function withWindow(figures: AppFigures, frame: WindowFrame): AppFigures {
  const last = figures.times.at(-1);
  const stepMs = figures.step_seconds * 1_000;
  if (figures.step_seconds !== frame.step_seconds || last === undefined) return figures;
  const ahead = Math.round((Date.parse(frame.at) - Date.parse(last)) / stepMs);
  const length = figures.times.length;
  // So late that nothing is left of what was read, or older than all of it.
  if (ahead >= length || ahead <= -length) return figures;
  const moved = Math.max(0, ahead);
  const place = length - 1 + Math.min(0, ahead);
  const put = (values: Values, value: number | null): Array<number | null> => {
    const next = [...values.slice(moved), ...Array.from({ length: moved }, () => null)];
    next[place] = value;
    return next;
  };
  const { requests, latency_ms, cpu, memory_in_bytes, instances } = figures;
  return {
    ...figures,
    times: figures.times.map((_, index) =>
      new Date(Date.parse(last) + (index + 1 - length + moved) * stepMs).toISOString(),
    ),
    requests: {
      '1xx': put(requests['1xx'], frame.requests['1xx']),
      '2xx': put(requests['2xx'], frame.requests['2xx']),
      '3xx': put(requests['3xx'], frame.requests['3xx']),
      '4xx': put(requests['4xx'], frame.requests['4xx']),
      '5xx': put(requests['5xx'], frame.requests['5xx']),
    },
    latency_ms: {
      p50: put(latency_ms.p50, frame.latency_ms.p50),
      p95: put(latency_ms.p95, frame.latency_ms.p95),
      p99: put(latency_ms.p99, frame.latency_ms.p99),
    },
    cpu: put(cpu, frame.cpu),
    memory_in_bytes: put(memory_in_bytes, frame.memory_in_bytes),
    instances: put(instances, frame.instances),
  };
}

/** Whether a window of these figures, longer than the frame's, has ended since they were read. */
export function isPast({ step_seconds, times }: AppFigures, frame: WindowFrame): boolean {
  const last = times.at(-1);
  if (step_seconds === frame.step_seconds || last === undefined) return false;
  return Date.parse(frame.at) >= Date.parse(last) + 2 * step_seconds * 1_000;
}

/** Without the last window, which has only begun. */
export function wholeWindows(figures: AppFigures): AppFigures {
  const { times, requests, latency_ms, cpu, memory_in_bytes, instances } = figures;
  const cut = <T>(values: readonly T[]): T[] => values.slice(0, -1);
  return {
    ...figures,
    times: cut(times),
    requests: {
      '1xx': cut(requests['1xx']),
      '2xx': cut(requests['2xx']),
      '3xx': cut(requests['3xx']),
      '4xx': cut(requests['4xx']),
      '5xx': cut(requests['5xx']),
    },
    latency_ms: { p50: cut(latency_ms.p50), p95: cut(latency_ms.p95), p99: cut(latency_ms.p99) },
    cpu: cut(cpu),
    memory_in_bytes: cut(memory_in_bytes),
    instances: cut(instances),
  };
}

/** With a mark for this event, if it is one that bends graphs. */
export function withMark(figures: AppFigures, { guid, type, created_at, actor }: AuditEvent): AppFigures {
  const kind = markOf(type);
  if (kind === null || figures.marks.some(({ event_guid }) => event_guid === guid)) return figures;
  const mark = { at: created_at, kind, event_guid: guid, event_type: type, actor: actor?.name ?? '' };
  return { ...figures, marks: [...figures.marks, mark] };
}
