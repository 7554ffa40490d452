/**
 * Lines of apps and of the cell itself, to the API in batches. Bounded: an app's lines wait where they are, on its shim's disk, until there is room; the
 * cell's own are dropped, counted, and the count is said once the API is back. What has been taken is remembered by its position, so that the next agent
 * reads on from there: a line may come twice around a kill -9, none is left out.
 */
import type { LogEnvelope } from '@cupola/contract/internal';
import type { Logger } from 'pino';
import { jittered, pause } from '../pause.ts';
import type { InternalApi } from '../session/internal-api.ts';

/** Whose lines these are. */
export interface LogSource {
  appGuid: string;
  /** `APP/PROC/WEB`, `CELL`, `HEALTH`. */
  sourceType: string;
  /** The copy's index. */
  instanceId: string;
}
/** A place in the output of a sandbox, and who remembers it. */
export interface Mark {
  position: string;
  reached(position: string): void;
}
export interface LogLine {
  source: LogSource;
  type: 'OUT' | 'ERR';
  /** Wall time. */
  timestampMs: number;
  line: string;
  /** Told once the API has this line and all before it; null: nobody needs to know. */
  mark: Mark | null;
}

export interface LogSender {
  /** Takes the line, or, where the buffer is full, counts it as lost. */
  offer(line: LogLine): void;
  /** Takes the line as soon as there is room. */
  add(line: LogLine): Promise<void>;
  /** Counts lines that their reader had to give up. */
  lose(source: LogSource, lines: number): void;
  /** Sends until `signal` is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once all that waits now was taken, or after `ms`. */
  settled(ms: number): Promise<void>;
}

/** A line that comes alone goes at once, but for what was written in one go with it; where lines come all the time, so many ms of them are one batch (ours). */
const FIRST_MS = 2;
const FLUSH_MS = 20;
const BATCH_LINES = 1_000;
const BATCH_CHARS = 1024 * 1024;
/** What waits here in all; an app's further lines wait in its shim's 4 MiB (ours). */
const BUFFER_LINES = 10_000;
const BUFFER_CHARS = 8 * 1024 * 1024;
const RETRY_MS = 1_000;

interface Deps {
  api: Pick<InternalApi, 'post'>;
  now(): number;
  log: Logger;
}

export function createLogSender({ api, now, log }: Deps): LogSender {
  const waiting: LogLine[] = [];
  let chars = 0;
  let wake = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();
  let empty = Promise.withResolvers<void>();
  const stamp = createStamps();
  const lost = new Map<string, { source: LogSource; lines: number }>();

  const isFull = (): boolean => waiting.length >= BUFFER_LINES || chars >= BUFFER_CHARS;
  const push = (line: LogLine): void => {
    waiting.push(line);
    chars += line.line.length;
    wake.resolve();
  };
  const lose = (source: LogSource, lines: number): void => {
    const key = `${source.appGuid} ${source.instanceId}`;
    const known = lost.get(key);
    lost.set(key, { source: { ...source, sourceType: 'CELL' }, lines: (known?.lines ?? 0) + lines });
    wake.resolve();
  };
  const send = async (): Promise<void> => {
    const batch = takeBatch(waiting);
    const losses = [...lost];
    const envelopes = batch.map(line => envelope(line, stamp));
    for (const [, { source, lines }] of losses) envelopes.push(lossEnvelope(source, { lines, now: now() }, stamp));
    if (envelopes.length > 0) await api.post('/internal/logs', { envelopes });
    waiting.splice(0, batch.length);
    for (const line of batch) chars -= line.line.length;
    for (const [key, { lines }] of losses) {
      const left = lost.get(key);
      if (left !== undefined && left.lines > lines) left.lines -= lines;
      else lost.delete(key);
    }
    // Of many lines of one copy only the last position counts; each writes a small file.
    const reached = new Map(
      batch.flatMap(({ mark }) => (mark === null ? [] : [[mark.reached, mark.position] as const])),
    );
    for (const [tell, position] of reached) tell(position);
    room.resolve();
    room = Promise.withResolvers();
  };

  return {
    offer: line => {
      if (isFull()) lose(line.source, 1);
      else push(line);
    },
    add: async line => {
      while (isFull()) await room.promise;
      push(line);
    },
    lose,
    run: async signal => {
      signal.addEventListener('abort', () => wake.resolve());
      let failing = false;
      let sentAt = 0;
      while (!signal.aborted) {
        if (waiting.length + lost.size === 0) {
          empty.resolve();
          await wake.promise;
          wake = Promise.withResolvers();
          empty = Promise.withResolvers();
        }
        const sinceMs = now() - sentAt;
        // A clock that is set back makes no pause longer.
        if (waiting.length < BATCH_LINES)
          await pause(Math.min(FLUSH_MS, Math.max(FIRST_MS, FLUSH_MS - sinceMs)), signal);
        sentAt = now();
        try {
          await send();
          failing = false;
        } catch (error) {
          if (!failing && !signal.aborted) log.warn({ err: error }, 'log lines wait: the API does not take them');
          failing = true;
          await pause(jittered(RETRY_MS), signal);
        }
      }
    },
    settled: async ms => {
      const enough = new AbortController();
      await new Promise(resolve => setImmediate(resolve));
      await Promise.race([empty.promise, pause(ms, enough.signal)]);
      enough.abort();
    },
  };
}

function takeBatch(waiting: readonly LogLine[]): LogLine[] {
  let chars = 0;
  let many = 0;
  while (many < waiting.length && many < BATCH_LINES && chars < BATCH_CHARS) chars += waiting[many++]?.line.length ?? 0;
  return waiting.slice(0, many);
}

type Stamp = (source: LogSource, timestampMs: number) => string;

function envelope({ source, type, timestampMs, line }: LogLine, stamp: Stamp): LogEnvelope {
  const { appGuid, sourceType, instanceId } = source;
  return { appGuid, sourceType, instanceId, type, timestampNs: stamp(source, timestampMs), line };
}

function lossEnvelope(source: LogSource, { lines, now }: { lines: number; now: number }, stamp: Stamp): LogEnvelope {
  const line = `${lines} log ${lines === 1 ? 'line was' : 'lines were'} lost: the platform was away or too busy to take them`;
  return envelope({ source, type: 'ERR', timestampMs: now, line, mark: null }, stamp);
}

/** Sources whose last stamp is kept; older ones may repeat a nanosecond, which is no harm once their lines are long stored. */
const STAMPS_MAX = 2_000;

/** Nanoseconds since the epoch, unique and rising for each source. */
function createStamps(): Stamp {
  const last = new Map<string, bigint>();
  return ({ appGuid, sourceType, instanceId }, timestampMs) => {
    const key = `${appGuid} ${sourceType} ${instanceId}`;
    const wall = BigInt(Math.floor(timestampMs)) * 1_000_000n;
    const before = last.get(key) ?? 0n;
    const stamp = wall > before ? wall : before + 1n;
    last.delete(key);
    last.set(key, stamp);
    const oldest = last.keys().next().value;
    if (last.size > STAMPS_MAX && oldest !== undefined) last.delete(oldest);
    return String(stamp);
  };
}
