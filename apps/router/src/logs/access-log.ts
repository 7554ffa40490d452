/**
 * One line for each request to an app, in gorouter's format, as `[RTR/0]` log lines of that app, sent in batches. Bounded: while the API is away
 * the newest beyond the bound are dropped, counted, and the count is logged for each app once it is back. Counters by app and status come along for free.
 */
import type { Logger } from 'pino';
import type { Client } from 'undici';
import type { Arrival } from '../requests/admit.ts';
import { forwarded } from '../requests/forward-headers.ts';
import type { ScreenedRequest } from '../requests/screen.ts';
import type { RouterSettings } from '../settings.ts';
import type { Backend, RouteEntry } from '../table/route-table.ts';
import type { Latency } from './latency.ts';
import { createBatchQueue, envelopeJson } from './line-batch.ts';

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

interface Deps {
  /** Speaks to the internal API. */
  client: Client;
  settings: RouterSettings;
  /** Epoch ms. */
  now(): number;
  monotonic(): number;
  log: Logger;
  /** Told of each request. */
  latency: Latency;
}

const SEND_TIMEOUT_MS = 5_000;
const RETRY_MS = 1_000;
const NANOS_PER_MS = 1_000_000;

export function createAccessLog({ client, settings, now, monotonic, log, latency }: Deps): AccessLog {
  const queue = createBatchQueue(settings.accessLogBatchMax);
  let lost = 0;
  const lostByApp = new Map<string, number>();
  const counts = new Map<string, Map<number, number>>();
  const stamp = createStamp(now);
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<void> | null = null;
  let failing = false;

  const write = (appGuid: string, line: string): void => queue.add(envelopeJson(appGuid, line, stamp()));
  const send = async (): Promise<void> => {
    const batch = queue.oldest();
    if (batch === null) return;
    const { statusCode, body } = await client.request({
      path: '/internal/logs',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: batch.body(),
      headersTimeout: SEND_TIMEOUT_MS,
      bodyTimeout: SEND_TIMEOUT_MS,
    });
    await body.dump();
    if (statusCode >= 300) throw new Error(`the API answered ${statusCode} to a batch of log lines`);
    queue.taken();
    for (const [guid, many] of lostByApp) write(guid, lossText(many));
    lostByApp.clear();
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
        if (queue.lines > 0) schedule(failing ? RETRY_MS : queue.hasFull ? 0 : settings.accessLogFlushMs);
      });
  };

  return {
    add: (arrival, request, entry, outcome) => {
      const appGuid = (outcome.backend?.destination ?? entry?.item.destinations[0])?.appGuid ?? '';
      count(counts, appGuid, outcome.status);
      latency.observe(appGuid, outcome.status, monotonic() - arrival.startedMonotonicMs);
      if (request === null || appGuid === '') return;
      if (queue.lines >= settings.accessLogBufferMax) {
        lost++;
        lostByApp.set(appGuid, (lostByApp.get(appGuid) ?? 0) + 1);
        return;
      }
      write(appGuid, format({ arrival, request, appGuid, outcome }, monotonic() - arrival.startedMonotonicMs));
      if (queue.hasFull && !failing) flush();
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
      while (queue.lines > 0 && !failing)
        await send().catch(error => {
          failing = true;
          log.warn({ err: error, lines: queue.lines }, 'the last access log lines were not taken');
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
  let lastMs = 0;
  let within = 0;
  return () => {
    const wallMs = Math.floor(now());
    if (wallMs > lastMs) {
      lastMs = wallMs;
      within = 0;
    } else if (++within === NANOS_PER_MS) {
      lastMs++;
      within = 0;
    }
    return `${lastMs}${String(within).padStart(6, '0')}`;
  };
}

function lossText(many: number): string {
  return `${many} access log ${many === 1 ? 'line was' : 'lines were'} lost: the platform was away or too busy to take them`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
const BREAKS_OUT = /[\u0000-\u001f\u007f-\u009f"\\]/;

/** Within quotes: a field can end neither itself nor the line (threats.md 28). */
function quoted(text: string): string {
  if (text === '') return '"-"';
  if (!BREAKS_OUT.test(text)) return `"${text}"`;
  return `"${text.replace(new RegExp(BREAKS_OUT, 'g'), char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
}

const seconds = (ms: number): string => (ms / 1000).toFixed(6);

interface Ended {
  readonly arrival: Arrival;
  readonly request: ScreenedRequest;
  readonly appGuid: string;
  readonly outcome: Outcome;
}

/** CF: gorouter's access log, fields in its order. */
function format({ arrival, request, appGuid, outcome }: Ended, durationMs: number): string {
  const { raw, origin, remotePort } = arrival;
  const { backend } = outcome;
  const { forwardedFor, forwardedProto } = forwarded(request, origin);
  const asked = quoted(`${raw.method} ${raw.url} HTTP/${raw.httpVersion}`);
  const client = quoted(`${origin.remoteAddress}:${remotePort}`);
  const copy = quoted(backend === null ? '' : `${backend.host}:${backend.port}`);
  const ownMs = Math.max(0, durationMs - outcome.backendMs);
  return (
    `${request.host} - [${new Date(origin.startedMs).toISOString()}] ${asked} ${outcome.status} ${outcome.bytesIn} ${outcome.bytesOut}` +
    ` ${quoted(request.referer)} ${quoted(request.userAgent)} ${client} ${copy}` +
    ` x_forwarded_for:${quoted(forwardedFor)} x_forwarded_proto:${quoted(forwardedProto)} vcap_request_id:${quoted(origin.requestId)}` +
    ` response_time:${seconds(durationMs)} gorouter_time:${seconds(ownMs)} app_id:${quoted(appGuid)}` +
    ` app_index:${quoted(backend === null ? '' : String(backend.index))} instance_id:${quoted(backend?.instanceGuid ?? '')}` +
    ` x_cf_routererror:${quoted(outcome.routerError ?? '')}`
  );
}
