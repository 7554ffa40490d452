/** The tables of `cupola top` and `cupola top APP`. Pure: what was heard in, text out. */
import type { StreamFrame } from '@cupola/contract/v3/stream';
import { bytes, span, table } from '@cupola/push/text';

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

const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
const MIB = 1_048_576;
const wholeMegabytes = (count: number): string => bytes(Math.round(count / MIB) * MIB);

/** The busiest first. */
export function topTable(
  all: readonly AppFigures[],
  { nameOf, order }: { nameOf(guid: string): string; order: TopOrder },
): string {
  const rows = all
    .toSorted((a, b) => VALUES[order](b) - VALUES[order](a) || (nameOf(a.app_guid) < nameOf(b.app_guid) ? -1 : 1))
    .map(figures => [
      nameOf(figures.app_guid),
      figures.cpu === null ? '-' : percent(figures.cpu),
      figures.memory_in_bytes === null ? '-' : wholeMegabytes(figures.memory_in_bytes),
      String(figures.instances ?? '-'),
      perSecond(requestsOf(figures), figures),
      perSecond(figures.requests['5xx'], figures),
      ms(figures.latency_ms.p50),
      ms(figures.latency_ms.p95),
    ]);
  return table([['app', 'cpu', 'memory', 'instances', 'req/s', '5xx/s', 'p50 ms', 'p95 ms'], ...rows]);
}

export interface InstanceRow {
  readonly type: string;
  readonly index: number;
  readonly state: string;
  readonly uptimeSeconds: number | null;
  /** Fraction of one core; null: nothing was measured. */
  readonly cpu: number | null;
  readonly memoryBytes: number | null;
  readonly memoryLimitBytes: number | null;
  /** That are on record. */
  readonly crashes: number;
  readonly host: string | null;
  readonly details: string | null;
}

export const INSTANCE_ORDERS = ['index', 'cpu', 'memory'] as const;
export type InstanceOrder = (typeof INSTANCE_ORDERS)[number];

/** With their head; web first, then by index, or what uses most first. */
export function instanceRows(all: readonly InstanceRow[], order: InstanceOrder): string[][] {
  const used = ({ cpu, memoryBytes }: InstanceRow): number =>
    order === 'index' ? 0 : ((order === 'cpu' ? cpu : memoryBytes) ?? 0);
  const rank = ({ type }: InstanceRow): string => (type === 'web' ? '' : type);
  const rows = all
    .toSorted((a, b) => used(b) - used(a) || rank(a).localeCompare(rank(b)) || a.index - b.index)
    .map(({ type, index, state, uptimeSeconds, cpu, memoryBytes, memoryLimitBytes, crashes, host, details }) => [
      `${type}/${index}`,
      state.toLowerCase(),
      uptimeSeconds === null ? '-' : span(uptimeSeconds),
      cpu === null ? '-' : percent(cpu),
      memoryBytes === null
        ? '-'
        : wholeMegabytes(memoryBytes) + (memoryLimitBytes === null ? '' : ` of ${bytes(memoryLimitBytes)}`),
      String(crashes),
      host ?? '-',
      details ?? '',
    ]);
  return [['instance', 'state', 'for', 'cpu', 'memory', 'crashes', 'cell', 'details'], ...rows];
}
