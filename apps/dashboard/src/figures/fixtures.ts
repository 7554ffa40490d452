/** Figures and frames as tests need them. */
import type { AppFigures } from '@cupola/contract/v3/figures';
import type { Values } from './charts.ts';
import type { WindowFrame } from './with-window.ts';

const BEGIN_MS = Date.UTC(2026, 0, 2, 3, 0, 0);
export const timeAt = (index: number, stepS = 10): string => new Date(BEGIN_MS + index * stepS * 1_000).toISOString();

/** `ok`: counts of 2xx; the other classes never came. */
export function someFigures(ok: Values, given: Partial<AppFigures> = {}): AppFigures {
  const same = (value: number): Array<number | null> => ok.map(count => (count === null ? null : value));
  return {
    step_seconds: 10,
    times: ok.map((_, index) => timeAt(index)),
    requests: { '1xx': same(0), '2xx': [...ok], '3xx': same(0), '4xx': same(0), '5xx': same(0) },
    latency_ms: { p50: same(5), p95: same(20), p99: same(1_500) },
    cpu: same(0.25),
    memory_in_bytes: same(32 * 1024 * 1024),
    instances: same(1),
    marks: [],
    ...given,
  };
}

export function aFrame(at: string, ok: number, given: Partial<WindowFrame> = {}): WindowFrame {
  return {
    type: 'metrics',
    app_guid: 'app',
    organization_guid: null,
    space_guid: null,
    at,
    step_seconds: 10,
    requests: { '1xx': 0, '2xx': ok, '3xx': 0, '4xx': 0, '5xx': 0 },
    latency_ms: { p50: 1, p95: 2, p99: 3 },
    cpu: 0.5,
    memory_in_bytes: 1024,
    instances: 2,
    ...given,
  };
}
