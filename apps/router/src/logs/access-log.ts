/**
 * One line for each request to an app, in gorouter's format, as `[RTR/0]` log lines of that app. On the request's path a record is pushed to a list, no
 * more; lines are made and sent in batches. Bounded: while the API is away the newest beyond the bound are dropped, counted, and the count is logged for
 * each app once it is back. Counters by app and status come along for free.
 */
import type { LogEnvelope } from '@cupola/contract/internal';
import type { Logger } from 'pino';
import type { Client } from 'undici';
import type { Arrival } from '../requests/admit.ts';
import { forwarded } from '../requests/forward-headers.ts';
import type { ScreenedRequest } from '../requests/screen.ts';
import type { RouterSettings } from '../settings.ts';
import type { Backend, RouteEntry } from '../table/route-table.ts';

/** How a request ended. */
export interface Outcome {
  status: number;
  bytesIn: number;
  bytesOut: number;
  /** The copy that was tried last; null when none was. */
  backend: Backend | null;
  routerError: string | null;
  /** Time with copies, ms; the rest is the router's own. */
  backendMs: number;
}

export interface AccessLog extends AsyncDisposable {
  /** Counts the request and, when it was for an app, keeps a record of it. */
  add(arrival: Arrival, request: ScreenedRequest | null, entry: RouteEntry | null, outcome: Outcome): void;
  /** Requests by app guid ('' where no app was found), then by status. */
  readonly counts: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Lines dropped so far because nobody took them. */
  readonly lost: number;
}

interface Line {
  readonly arrival: Arrival;
  readonly request: ScreenedRequest;
  readonly appGuid: string;
  readonly outcome: Outcome;
  readonly durationMs: number;
}

interface Deps {
  /** Speaks to the internal API. */
  client: Client;
  settings: RouterSettings;
  /** Epoch ms. */
  now(): number;
  monotonic(): number;
  log: Logger;
}

const SEND_TIMEOUT_MS = 5_000;
const RETRY_MS = 1_000;

export function createAccessLog({ client, settings, now, monotonic, log }: Deps): AccessLog {
  let waiting: Line[] = [];
  let lost = 0;
  const lostByApp = new Map<string, number>();
  const counts = new Map<string, Map<number, number>>();
  const stamp = createStamp(now);
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<void> | null = null;
  let failing = false;

  const send = async (): Promise<void> => {
    const batch = waiting.slice(0, settings.accessLogBatchMax);
    const losses = [...lostByApp];
    if (batch.length + losses.length === 0) return;
    const envelopes = [
      ...batch.map(line => envelope(line.appGuid, format(line), stamp())),
      ...losses.map(([guid, many]) => envelope(guid, lossText(many), stamp())),
    ];
    const { statusCode, body } = await client.request({
      path: '/internal/logs',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ envelopes }),
      headersTimeout: SEND_TIMEOUT_MS,
      bodyTimeout: SEND_TIMEOUT_MS,
    });
    await body.dump();
    if (statusCode >= 300) throw new Error(`the API answered ${statusCode} to a batch of log lines`);
    waiting = waiting.slice(batch.length);
    for (const [guid, many] of losses) {
      const left = (lostByApp.get(guid) ?? 0) - many;
      if (left > 0) lostByApp.set(guid, left);
      else lostByApp.delete(guid);
    }
  };
  const schedule = (ms: number): void => {
    timer ??= setTimeout(() => {
      timer = null;
      flush();
    }, ms);
  };
  const flush = (): void => {
    sending ??= send()
      .then(
        () => {
          failing = false;
        },
        error => {
          if (!failing) log.warn({ err: error }, 'access log lines wait: the API does not take them');
          failing = true;
        },
      )
      .finally(() => {
        sending = null;
        if (waiting.length > 0)
          schedule(failing ? RETRY_MS : waiting.length >= settings.accessLogBatchMax ? 0 : settings.accessLogFlushMs);
      });
  };

  return {
    add: (arrival, request, entry, outcome) => {
      const appGuid = (outcome.backend?.destination ?? entry?.item.destinations[0])?.appGuid ?? '';
      count(counts, appGuid, outcome.status);
      if (request === null || appGuid === '') return;
      if (waiting.length >= settings.accessLogBufferMax) {
        lost++;
        lostByApp.set(appGuid, (lostByApp.get(appGuid) ?? 0) + 1);
        return;
      }
      waiting.push({ arrival, request, appGuid, outcome, durationMs: monotonic() - arrival.startedMonotonicMs });
      if (waiting.length === settings.accessLogBatchMax && !failing) flush();
      else schedule(settings.accessLogFlushMs);
    },
    counts,
    get lost() {
      return lost;
    },
    [Symbol.asyncDispose]: async () => {
      if (timer !== null) clearTimeout(timer);
      await sending;
      if (timer !== null) clearTimeout(timer);
      // One last try for what is left: batches go on while the API takes them.
      while (waiting.length > 0 && !failing)
        await send().catch(error => {
          failing = true;
          log.warn({ err: error, lines: waiting.length }, 'the last access log lines were not taken');
        });
    },
  };
}

function count(counts: Map<string, Map<number, number>>, appGuid: string, status: number): void {
  const ofApp = counts.get(appGuid) ?? new Map<number, number>();
  counts.set(appGuid, ofApp);
  ofApp.set(status, (ofApp.get(status) ?? 0) + 1);
}

/** Nanoseconds since the epoch, rising even within one ms. */
function createStamp(now: () => number): () => string {
  let last = 0n;
  return () => {
    const wall = BigInt(Math.floor(now())) * 1_000_000n;
    last = wall > last ? wall : last + 1n;
    return String(last);
  };
}

function envelope(appGuid: string, line: string, timestampNs: string): LogEnvelope {
  return { appGuid, sourceType: 'RTR', instanceId: '0', type: 'OUT', timestampNs, line };
}

function lossText(many: number): string {
  return `${many} access log ${many === 1 ? 'line was' : 'lines were'} lost: the platform was away or too busy to take them`;
}

/** Within quotes: a field can end neither itself nor the line (threats.md 28). */
function quoted(text: string): string {
  if (text === '') return '"-"';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  return `"${text.replace(/[\u0000-\u001f\u007f-\u009f"\\]/g, char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
}

/** CF: gorouter's access log, fields in its order. */
function format({ arrival, request, appGuid, outcome, durationMs }: Line): string {
  const { raw, origin, remotePort } = arrival;
  const { backend } = outcome;
  const { forwardedFor, forwardedProto } = forwarded(request, origin);
  const seconds = (ms: number): string => (ms / 1000).toFixed(6);
  return [
    `${request.host} - [${new Date(origin.startedMs).toISOString()}]`,
    quoted(`${raw.method} ${raw.url} HTTP/${raw.httpVersion}`),
    outcome.status,
    outcome.bytesIn,
    outcome.bytesOut,
    quoted(request.referer),
    quoted(request.userAgent),
    quoted(`${origin.remoteAddress}:${remotePort}`),
    quoted(backend === null ? '' : `${backend.host}:${backend.port}`),
    `x_forwarded_for:${quoted(forwardedFor)}`,
    `x_forwarded_proto:${quoted(forwardedProto)}`,
    `vcap_request_id:${quoted(origin.requestId)}`,
    `response_time:${seconds(durationMs)}`,
    `gorouter_time:${seconds(Math.max(0, durationMs - outcome.backendMs))}`,
    `app_id:${quoted(appGuid)}`,
    `app_index:${quoted(backend === null ? '' : String(backend.index))}`,
    `instance_id:${quoted(backend?.instanceGuid ?? '')}`,
    `x_cf_routererror:${quoted(outcome.routerError ?? '')}`,
  ].join(' ');
}
