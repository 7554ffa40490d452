/** What each copy uses, sampled beside the heartbeat, so that a slow disk measurement never delays the lease. */
import type { CellHeartbeat } from '@cupola/contract/internal';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { Copy } from './copies/copy.ts';
import { pause } from './pause.ts';

export type UsageSample = CellHeartbeat['usage'][number];

export interface Usage {
  /** Of the copies that ran at the last round. */
  newest(): UsageSample[];
  /** Samples each 5 s until `signal` is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

interface Last {
  atMs: number;
  cpuSeconds: number;
  logBytes: number;
  sandboxGuid: string;
}

export function createUsage({ copies, monotonic }: { copies(): Copy[]; monotonic(): number }): Usage {
  let samples: UsageSample[] = [];
  const last = new Map<string, Last>();

  const sample = async (copy: Copy): Promise<UsageSample[]> => {
    const { sandbox, output, record } = copy;
    if (sandbox === null) return [];
    const { guid } = record.placement;
    const { cpuSeconds, memoryBytes, diskBytes } = await sandbox.usage();
    const now: Last = {
      atMs: monotonic(),
      cpuSeconds,
      logBytes: output?.bytes ?? 0,
      sandboxGuid: sandbox.guid,
    };
    const before = last.get(guid);
    last.set(guid, now);
    // Nothing to compare with: a first sample, or another start.
    const isFirst = before === undefined || before.sandboxGuid !== now.sandboxGuid;
    const seconds = isFirst ? Number.POSITIVE_INFINITY : (now.atMs - before.atMs) / 1000;
    return [
      {
        guid,
        cpu: isFirst ? 0 : Math.max(0, (now.cpuSeconds - before.cpuSeconds) / seconds),
        memoryBytes,
        diskBytes,
        logBytesPerSecond: isFirst ? 0 : Math.max(0, (now.logBytes - before.logBytes) / seconds),
      },
    ];
  };

  return {
    newest: () => samples,
    run: async signal => {
      while (!signal.aborted) {
        const round: UsageSample[] = [];
        const running = copies();
        // One after the other: 250 at once would be a spike on a small machine.
        for (const copy of running) round.push(...(await sample(copy).catch(() => [])));
        const guids = new Set(running.map(({ record }) => record.placement.guid));
        for (const guid of last.keys()) if (!guids.has(guid)) last.delete(guid);
        samples = round;
        await pause(CELL_LIMITS.heartbeatMs, signal);
      }
    },
  };
}
