/**
 * The stager's side of the internal API (table in `@cupola/contract/internal`). Calls that may be repeated are, while the API is being restarted: a build
 * outlives that. An answer of 409 or 404 means that the build is not ours any more, and is thrown as `FencedError`.
 */
import { pipeline, type Readable, Transform } from 'node:stream';
import { type InternalAddress, internalDoor } from '@cupola/certificates/members/dial';
import {
  type BuildFinish,
  type BuildOrder,
  buildHeartbeatAnswer,
  buildHint,
  buildItem,
  buildOrder,
  type LogEnvelope,
  type ToolchainRecord,
  toolchainRecord,
  watchLine,
} from '@cupola/contract/internal';
import { FencedError } from '@cupola/model/errors';
import { ROUTER_LIMITS } from '@cupola/model/limits';
import { Pool } from 'undici';
import type { z } from 'zod';

/** Between two tries; the API is back within a second or two. */
const RETRY_MS = 200;
/** Calls that may be repeated are, for this long: as long as a lease lives without its heartbeat. */
const RETRY_FOR_MS = 30_000;
/** A call without a body of unknown length is answered within this, or its API is frozen: it is asked of another one while the lease of the build lasts. */
const ANSWER_MS = 10_000;
/** A held call is answered so soon after its time. */
const HELD_LATE_MS = 5_000;
/** A body, there or back, of which nothing comes for this long will not come: the API is frozen, or cut off (an S3 server that is, it notices in 46 s). */
const BODY_SILENCE_MS = 60_000;
/** A layer that has been sent is checked, and stored whole, within this. */
const STORE_MS = 300_000;
/** Held calls and watches, package and layers, and what goes on beside them. */
const CONNECTIONS = 16;

interface LayerToPut {
  digest: string;
  sizeBytes: number;
  open(): Readable;
}

/** Whose layer it is, for the API to check. */
export type LayerOwner = { buildGuid: string; fence: number } | { toolchain: string };

export interface BuildEntry {
  guid: string;
  fence: number;
  cancel: boolean;
}

export interface InternalClient {
  /** Held up to `waitMs`; null when nothing waits. */
  nextHint(waitMs: number, stacks: readonly string[], signal: AbortSignal): Promise<string | null>;
  /** @throws FencedError when another has it, or nobody may have it. */
  claim(buildGuid: string): Promise<BuildOrder>;
  heartbeat(buildGuid: string, fence: number): Promise<{ leaseMs: number; cancel: boolean }>;
  openPackage(buildGuid: string, fence: number, signal: AbortSignal): Promise<Readable>;
  hasLayer(digest: string): Promise<boolean>;
  openLayer(digest: string): Promise<Readable>;
  /** `open` is called anew for each try. */
  putLayer(layer: LayerToPut, owner: LayerOwner, signal?: AbortSignal): Promise<void>;
  toolchain(key: string): Promise<ToolchainRecord | null>;
  putToolchain(record: ToolchainRecord): Promise<void>;
  finish(buildGuid: string, result: BuildFinish): Promise<void>;
  /** Lines of a build: the app's log has them once somebody has asked for it. */
  log(buildGuid: string, envelopes: LogEnvelope[]): Promise<void>;
  /** What has changed in builds, until the connection breaks. */
  watchBuilds(signal: AbortSignal): AsyncIterable<BuildEntry>;
  /** Ends every call that is under way. */
  close(): Promise<void>;
}

class AnswerError extends Error {
  override readonly name = 'AnswerError';
  readonly status: number;
  constructor(what: string, status: number, text: string) {
    super(`${what} was answered with ${status}: ${text.slice(0, 500)}`);
    this.status = status;
  }
}

export function openInternal(address: InternalAddress, stagerId: string): InternalClient {
  const { origin, options } = internalDoor(address);
  const pool = new Pool(origin, {
    ...options,
    connections: CONNECTIONS,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const call = caller(pool);
  let isClosed = false;
  /** Repeats a call that failed on its way, or at an API that is just being started. */
  const patiently = async <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    const until = performance.now() + RETRY_FOR_MS;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const isFinal = error instanceof FencedError || (error instanceof AnswerError && error.status < 500);
        if (isFinal || isClosed || signal?.aborted === true || performance.now() > until) throw error;
        await new Promise(resolve => setTimeout(resolve, RETRY_MS));
      }
    }
  };
  const path = (guid: string): string => `/internal/builds/${encodeURIComponent(guid)}`;
  const json = <T>(schema: z.ZodType<T>, text: string): T => schema.parse(JSON.parse(text));
  return {
    nextHint: async (waitMs, stacks, signal) => {
      const query = new URLSearchParams({ stager: stagerId, wait_ms: String(waitMs) });
      for (const name of stacks) query.append('stack', name);
      const { status, text } = await call('GET', `/internal/builds/next?${query}`, {
        signal,
        answerMs: waitMs + HELD_LATE_MS,
      });
      return status === 204 ? null : json(buildHint, text).buildGuid;
    },
    claim: async guid =>
      json(buildOrder, (await call('POST', `${path(guid)}/claim`, { json: { stager: stagerId } })).text),
    heartbeat: async (guid, fence) =>
      json(buildHeartbeatAnswer, (await call('POST', `${path(guid)}/heartbeat`, { json: { fence } })).text),
    openPackage: (guid, fence, signal) =>
      patiently(() => openBody(pool, `${path(guid)}/package?fence=${fence}`, signal), signal),
    openLayer: digest => patiently(() => openBody(pool, `/internal/layers/${digest}`)),
    hasLayer: digest =>
      patiently(async () => {
        try {
          return (await call('HEAD', `/internal/layers/${digest}`)).status === 200;
        } catch (error) {
          if (error instanceof FencedError) return false; // 404: not stored.
          throw error;
        }
      }),
    putLayer: async ({ digest, sizeBytes, open }, owner, signal) => {
      const query = new URLSearchParams(
        'toolchain' in owner ? { toolchain: owner.toolchain } : { build: owner.buildGuid, fence: String(owner.fence) },
      );
      await patiently(async () => {
        using silence = silenceOf(signal);
        const body = pipeline(open(), silence.meter, () => undefined); // What fails in it is told by the call.
        const { signal: over } = silence;
        await call('PUT', `/internal/layers/${digest}?${query}`, { body, sizeBytes, signal: over, answerMs: null });
      }, signal);
    },
    toolchain: key =>
      patiently(async () => {
        try {
          return json(toolchainRecord, (await call('GET', `/internal/toolchains/${encodeURIComponent(key)}`)).text);
        } catch (error) {
          if (error instanceof FencedError) return null;
          throw error;
        }
      }),
    putToolchain: async record => {
      await patiently(() => call('PUT', `/internal/toolchains/${encodeURIComponent(record.key)}`, { json: record }));
    },
    finish: async (guid, result) => {
      await patiently(() => call('POST', `${path(guid)}/finish`, { json: result }));
    },
    log: async (guid, envelopes) => {
      await call('POST', `${path(guid)}/logs`, { json: { envelopes } });
    },
    watchBuilds: signal => watchBuilds(pool, signal),
    close: async () => {
      isClosed = true;
      await pool.destroy();
    },
  };
}

interface CallOptions {
  json?: unknown;
  body?: Readable;
  sizeBytes?: number;
  signal?: AbortSignal;
  /** Null: `signal` is all that ends it. */
  answerMs?: number | null;
}

function caller(pool: Pool) {
  return async (
    method: 'GET' | 'HEAD' | 'POST' | 'PUT',
    path: string,
    { json, body, sizeBytes, signal, answerMs = ANSWER_MS }: CallOptions = {},
  ): Promise<{ status: number; text: string }> => {
    const ends = [signal ?? null, answerMs === null ? null : AbortSignal.timeout(answerMs)].filter(end => end !== null);
    const answer = await pool.request({
      method,
      path,
      signal: AbortSignal.any(ends),
      headers: {
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...(sizeBytes === undefined ? {} : { 'content-length': String(sizeBytes) }),
      },
      body: json === undefined ? (body ?? null) : JSON.stringify(json),
    });
    const text = await answer.body.text();
    refuseFailure(`${method} ${path}`, answer.statusCode, text);
    return { status: answer.statusCode, text };
  };
}

function refuseFailure(what: string, status: number, text: string): void {
  if (status === 409 || status === 404) throw new FencedError(`The work of ${what}`);
  if (status >= 400) throw new AnswerError(what, status, text);
}

/** Aborts once a body on its way out stands still, or what gave it up does. */
function silenceOf(given: AbortSignal | undefined): Disposable & { signal: AbortSignal; meter: Transform } {
  const silent = new AbortController();
  const wait = (ms: number): NodeJS.Timeout =>
    setTimeout(() => silent.abort(new Error(`the API took nothing of a layer for ${ms} ms`)), ms);
  let timer = wait(BODY_SILENCE_MS);
  return {
    signal: given === undefined ? silent.signal : AbortSignal.any([given, silent.signal]),
    meter: new Transform({
      transform: (chunk, _encoding, done) => {
        timer.refresh();
        done(null, chunk);
      },
      flush: done => {
        clearTimeout(timer);
        timer = wait(STORE_MS);
        done();
      },
    }),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

async function openBody(pool: Pool, path: string, signal?: AbortSignal): Promise<Readable> {
  const answer = await pool.request({
    method: 'GET',
    path,
    signal: signal ?? null,
    headersTimeout: BODY_SILENCE_MS,
    bodyTimeout: BODY_SILENCE_MS,
  });
  if (answer.statusCode >= 400) refuseFailure(`GET ${path}`, answer.statusCode, await answer.body.text());
  return answer.body;
}

const buildLine = watchLine(buildItem);
const { watchSilenceMs } = ROUTER_LIMITS;
const watched = { headersTimeout: watchSilenceMs, bodyTimeout: watchSilenceMs };

async function* watchBuilds(pool: Pool, signal: AbortSignal): AsyncIterable<BuildEntry> {
  const answer = await pool.request({ method: 'GET', path: '/internal/builds/watch', signal, ...watched });
  if (answer.statusCode >= 400) refuseFailure('the watch of builds', answer.statusCode, await answer.body.text());
  answer.body.setEncoding('utf8');
  let held = '';
  for await (const chunk of answer.body as AsyncIterable<string>) {
    held += chunk;
    const lines = held.split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() === '') continue;
      const entry = buildLine.parse(JSON.parse(line));
      if (entry.type === 'snapshot') yield* entry.items;
      else if (entry.type === 'upsert') yield entry.item;
    }
  }
}
