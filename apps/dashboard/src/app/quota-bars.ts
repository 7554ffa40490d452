/** How full quotas are, and how full they would be: bars of the scale panel. Pure. */
import { memory } from '../ui/time.ts';

export interface QuotaLevel {
  kind: 'space' | 'organization';
  quota: {
    name: string;
    apps: { total_memory_in_mb?: number | null | undefined; total_instances?: number | null | undefined };
  };
  used: { memory_in_mb: number; started_instances: number };
}
export interface Size {
  instances: number;
  memory_in_mb: number;
}
export interface QuotaBar {
  key: string;
  label: string;
  text: string;
  /** Of the limit, 0 to 1: what is used already, and with what is wanted. */
  used: number;
  wanted: number;
  isOver: boolean;
}

/** Bars for the limits that there are. Only what is started counts, so what a stopped app wants adds nothing yet. */
export function quotaBars(
  levels: readonly QuotaLevel[],
  { now, wanted, isStarted }: { now: Size; wanted: Size; isStarted: boolean },
): QuotaBar[] {
  const more = isStarted
    ? {
        memory: wanted.instances * wanted.memory_in_mb - now.instances * now.memory_in_mb,
        instances: wanted.instances - now.instances,
      }
    : { memory: 0, instances: 0 };
  return levels.flatMap(({ kind, quota, used }) => [
    ...bar(`${kind} memory`, `memory, quota ${quota.name} of the ${kind}`, {
      used: used.memory_in_mb,
      more: more.memory,
      limit: quota.apps.total_memory_in_mb,
      show: memory,
    }),
    ...bar(`${kind} instances`, `instances, quota ${quota.name} of the ${kind}`, {
      used: used.started_instances,
      more: more.instances,
      limit: quota.apps.total_instances,
      show: String,
    }),
  ]);
}

interface Numbers {
  used: number;
  more: number;
  limit: number | null | undefined;
  show(value: number): string;
}

function bar(key: string, label: string, { used, more, limit, show }: Numbers): QuotaBar[] {
  if (limit === null || limit === undefined || !Number.isFinite(more)) return [];
  const wanted = used + more;
  const share = (value: number): number => (limit === 0 ? Number(value > 0) : Math.min(1, Math.max(0, value / limit)));
  return [
    {
      key,
      label,
      text: `${show(used)}${more === 0 ? '' : ` → ${show(wanted)}`} of ${show(limit)}`,
      used: share(used),
      wanted: share(wanted),
      isOver: wanted > limit,
    },
  ];
}
