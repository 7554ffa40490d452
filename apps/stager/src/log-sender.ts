/** Staging log lines of one build, sent in batches, never one by one. A lost line is counted and told, and never fails a build. */
import type { LogEnvelope } from '@cupola/contract/internal';

/** A batch is sent this long after its first line. */
const FLUSH_MS = 50;
const BATCH_MAX = 1_000;
/** Beyond it the newest are dropped: a build that prints faster than the log takes must not fill our memory. */
const WAITING_MAX = 20_000;
/** Of a batch that the API would not take. */
const TRIES_MAX = 5;
const RETRY_MS = 300;

export interface LogSender {
  line(text: string, type?: 'OUT' | 'ERR'): void;
  /** Resolves when all lines so far are sent, or given up. */
  flush(): Promise<void>;
}

export function openLogSender(
  send: (envelopes: LogEnvelope[]) => Promise<void>,
  { appGuid, now }: { appGuid: string; now(): number },
): LogSender {
  let waiting: LogEnvelope[] = [];
  let dropped = 0;
  let lastNs = 0n;
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<void> = Promise.resolve();

  const envelope = (line: string, type: 'OUT' | 'ERR'): LogEnvelope => {
    const ns = BigInt(now()) * 1_000_000n;
    lastNs = ns > lastNs ? ns : lastNs + 1n;
    return { appGuid, sourceType: 'STG', instanceId: '0', type, timestampNs: String(lastNs), line };
  };
  const sendBatch = async (batch: LogEnvelope[]): Promise<void> => {
    for (let tried = 1; ; tried++)
      try {
        return await send(batch);
      } catch {
        // The API is being restarted; the platform's log tells of it. These lines are what is lost.
        if (tried === TRIES_MAX) {
          dropped += batch.length;
          return;
        }
        await new Promise(resolve => setTimeout(resolve, RETRY_MS));
      }
  };
  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH_MAX);
      waiting = waiting.slice(BATCH_MAX);
      const lost = dropped;
      dropped = 0;
      if (lost > 0) batch.push(envelope(`${lost} lines of the staging log were lost`, 'ERR'));
      await sendBatch(batch);
    }
  };
  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    sending = sending.then(drain);
    return sending;
  };
  return {
    line: (text, type = 'OUT') => {
      if (waiting.length >= WAITING_MAX) {
        dropped++;
        return;
      }
      waiting.push(envelope(text, type));
      timer ??= setTimeout(() => void flush(), FLUSH_MS);
    },
    flush,
  };
}
