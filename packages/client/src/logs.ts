/** Log lines of an app, by log-cache's read API. */
import { setTimeout as pause } from 'node:timers/promises';
import { readLogEnvelopes } from '@cupola/contract/v3/client-reads';
import type { CloudClient } from './cloud-client.ts';

export interface ClientLogLine {
  readonly timestampNs: bigint;
  /** `APP/PROC/WEB`, `STG`, `RTR` ... */
  readonly sourceType: string;
  readonly instanceId: string;
  readonly stream: 'OUT' | 'ERR';
  readonly text: string;
}

/** log-cache's own most at once. */
const READ_MAX = 1_000;
/** After lines came, others are gathered for so long; the next read is then held until there are some. Nobody sees it, and no app's chatter makes a storm of reads. */
const TAIL_PAUSE_MS = 20;
const RETRY_PAUSE_MS = 200;
const TAIL_ERRORS_MAX = 5;

interface Read {
  readonly startNs?: bigint;
  readonly limit?: number;
  readonly descending?: boolean;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
}

/** Always oldest first. No lines where the platform keeps no logs. */
async function readLines(
  client: CloudClient,
  appGuid: string,
  { startNs, limit = READ_MAX, descending = false, headers, signal }: Read,
): Promise<ClientLogLine[]> {
  const { logCache } = client.endpoints;
  if (logCache === null) return [];
  const { envelopes } = await client.read(readLogEnvelopes, {
    path: `${logCache}/api/v1/read/${encodeURIComponent(appGuid)}`,
    // With a limit, which no form of the cf CLI's tail has: our server gives that one shifted times while it stages.
    query: {
      envelope_types: 'LOG',
      limit: String(limit),
      ...(descending ? { descending: 'true' } : {}),
      ...(startNs === undefined ? {} : { start_time: String(startNs) }),
    },
    ...(headers === undefined ? {} : { headers }),
    ...(signal === undefined ? {} : { signal }),
  });
  const lines = (envelopes?.batch ?? [])
    .filter(({ log }) => log !== null && log !== undefined)
    .map(({ timestamp, instance_id, tags, log }) => ({
      timestampNs: BigInt(timestamp),
      sourceType: tags?.source_type ?? 'APP',
      instanceId: instance_id ?? '',
      stream: log?.type === 'ERR' ? ('ERR' as const) : ('OUT' as const),
      text: Buffer.from(log?.payload ?? '', 'base64').toString(),
    }));
  return lines.sort((a, b) => (a.timestampNs < b.timestampNs ? -1 : a.timestampNs > b.timestampNs ? 1 : 0));
}

/** The newest lines, oldest of them first. */
export function recentLines(client: CloudClient, appGuid: string, limit = READ_MAX): Promise<ClientLogLine[]> {
  return readLines(client, appGuid, { limit, descending: true, startNs: 0n });
}

export interface Tail {
  /** Nanoseconds since the epoch. */
  readonly fromNs: bigint;
  readonly signal: AbortSignal;
  show(line: ClientLogLine): void;
}

/**
 * Shows lines as they come until `signal` is aborted; then reads once more, so that what was logged before is shown too. Throws after five failures in a
 * row.
 */
export async function followLines(client: CloudClient, appGuid: string, { fromNs, signal, show }: Tail): Promise<void> {
  let startNs = fromNs;
  let failures = 0;
  const next = async (held: boolean): Promise<number> => {
    const lines = await readLines(client, appGuid, {
      startNs,
      ...(held ? { headers: { prefer: 'wait=2' }, signal } : {}),
    });
    for (const line of lines) {
      show(line);
      if (line.timestampNs >= startNs) startNs = line.timestampNs + 1n;
    }
    return lines.length;
  };
  while (!signal.aborted) {
    try {
      const count = await next(true);
      failures = 0;
      if (count < READ_MAX) await pause(TAIL_PAUSE_MS, undefined, { signal });
    } catch (error) {
      if (signal.aborted) break;
      if (++failures >= TAIL_ERRORS_MAX) throw error;
      await pause(RETRY_PAUSE_MS, undefined, { signal }).catch(() => undefined); // Aborted: the loop ends.
    }
  }
  while ((await next(false)) === READ_MAX);
}
