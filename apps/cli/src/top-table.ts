/** The table of `cupola top`. Pure: what was heard in, text out. */
import type { StreamFrame } from '@cupola/contract/v3/stream';
import { bytes, table } from '@cupola/push/text';

export type AppFigures = Extract<StreamFrame, { type: 'metrics' }>;

export const TOP_ORDERS = ['cpu', 'memory', 'requests'] as const;
export type TopOrder = (typeof TOP_ORDERS)[number];

const VALUES: Record<TopOrder, (figures: AppFigures) => number> = {
  cpu: ({ cpu }) => cpu ?? 0,
  memory: ({ memory_in_bytes }) => memory_in_bytes ?? 0,
  requests: figures => requestsOf(figures),
};

const requestsOf = ({ requests }: AppFigures): number => Object.values(requests).reduce((sum, count) => sum + count, 0);
const perSecond = (count: number, { step_seconds }: AppFigures): string => (count / step_seconds).toFixed(1);
const ms = (value: number | null): string => (value === null ? '-' : String(Math.round(value)));

/** The busiest first. */
export function topTable(
  all: readonly AppFigures[],
  { nameOf, order }: { nameOf(guid: string): string; order: TopOrder },
): string {
  const rows = all
    .toSorted((a, b) => VALUES[order](b) - VALUES[order](a) || (nameOf(a.app_guid) < nameOf(b.app_guid) ? -1 : 1))
    .map(figures => [
      nameOf(figures.app_guid),
      figures.cpu === null ? '-' : `${(figures.cpu * 100).toFixed(1)}%`,
      figures.memory_in_bytes === null ? '-' : bytes(Math.round(figures.memory_in_bytes / 1_048_576) * 1_048_576),
      String(figures.instances ?? '-'),
      perSecond(requestsOf(figures), figures),
      perSecond(figures.requests['5xx'], figures),
      ms(figures.latency_ms.p50),
      ms(figures.latency_ms.p95),
    ]);
  return table([['app', 'cpu', 'memory', 'instances', 'req/s', '5xx/s', 'p50 ms', 'p95 ms'], ...rows]);
}
