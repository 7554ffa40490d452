/** Calls of the internal API. Nothing is retried here: each caller knows what a repeat would mean. */
import { Readable } from 'node:stream';
import { type InternalAddress, internalDoor } from '@cupola/certificates/members/dial';
import { FencedError } from '@cupola/model/errors';
import { Pool } from 'undici';

/** Of an answer's words, in characters: a sentence or two (ours). */
const SAID_MAX = 500;

/** An answer that is no success. 409 comes as {@link FencedError} instead. */
export class RefusedByApiError extends Error {
  override readonly name = 'RefusedByApiError';
  readonly status: number;
  /** @param said the API's own words, for whoever reads the log; '' when it said nothing. */
  constructor(what: string, { status, said }: { status: number; said: string }) {
    super(`the API answered ${status} to ${what}${said === '' ? '' : `: ${said.slice(0, SAID_MAX)}`}`);
    this.status = status;
  }
}

/** Nobody answered, or whoever did is about to leave: the same question may be answered in a moment, and nothing is wrong with it. */
export function isAway(error: unknown): boolean {
  if (error instanceof RefusedByApiError) return error.status === 503;
  return !(error instanceof FencedError);
}

export interface InternalApi {
  /** POST of JSON. The answer's JSON, not parsed by any schema yet; null for an empty one. Silence for `silenceMs` ends it with an error. */
  post(path: string, body: unknown, options?: { silenceMs: number }): Promise<unknown>;
  /** GET whose body is read as it comes; silence for `silenceMs` ends it with an error. */
  stream(path: string, options: StreamOptions): Promise<Readable>;
  close(): Promise<void>;
}
interface StreamOptions {
  query?: Record<string, string>;
  /** Each has connections of its own: layers that are slow to come delay neither the watch nor a heartbeat. */
  over: 'watch' | 'layers';
  silenceMs: number;
  signal: AbortSignal;
  /** Where the API says that what is asked for is to be had elsewhere (303): its address. The stream is empty then. */
  elsewhere?(url: string): void;
}

const CALL_TIMEOUT_MS = 5_000;
/** Heartbeat, report and log batch at once, and one to spare; two watches; as many layers as starts may be in flight. */
const CONNECTIONS = { calls: 4, watch: 2, layers: 4 } as const;

export function createInternalApi(address: InternalAddress): InternalApi {
  const { origin, options } = internalDoor(address);
  const open = (connections: number): Pool => new Pool(origin, { ...options, connections });
  const pools = {
    calls: open(CONNECTIONS.calls),
    watch: open(CONNECTIONS.watch),
    layers: open(CONNECTIONS.layers),
  };
  return {
    post: async (path, body, { silenceMs } = { silenceMs: CALL_TIMEOUT_MS }) => {
      const answer = await pools.calls.request({
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
      });
      const text = await answer.body.text();
      check(answer.statusCode, `POST ${path}`, text);
      return text === '' ? null : JSON.parse(text);
    },
    stream: async (path, { query = {}, over, silenceMs, signal, elsewhere }) => {
      const answer = await pools[over].request({
        path,
        method: 'GET',
        query,
        signal,
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
      });
      const { location } = answer.headers;
      if (answer.statusCode === 303 && typeof location === 'string') {
        await answer.body.dump(); // The next call needs the connection.
        elsewhere?.(location);
        return Readable.from([]);
      }
      if (answer.statusCode !== 200) check(answer.statusCode, `GET ${path}`, await answer.body.text());
      return answer.body;
    },
    close: async () => {
      await Promise.all(Object.values(pools).map(pool => pool.destroy()));
    },
  };
}

function check(status: number, what: string, said: string): void {
  if (status === 409) throw new FencedError('this cell');
  if (status >= 300) throw new RefusedByApiError(what, { status, said });
}
