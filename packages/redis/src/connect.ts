/**
 * One connection to Redis that nobody ever waits for long: what is asked while Redis is away fails within a second or two, and what was under way when the
 * connection broke fails too and is not sent again, since it may have been done. It comes back by itself, for ever.
 */
import { Redis } from 'ioredis';
import { RedisUnavailableError } from './errors.ts';

/** Ours: longer than any command of ours takes on a busy server, short enough for who waits. */
const ANSWER_MS = 2_000;
/** So long after a loss what is asked waits for the connection to be back: a restart of Redis takes less. */
const GAP_MS = 1_000;
/** So much longer at first, when this process has more to do than to connect. */
const START_MS = 2_000;

export interface RedisLink extends AsyncDisposable {
  readonly client: Redis;
  /** Host and port, for messages. */
  readonly address: string;
  /** Runs commands. @throws RedisUnavailableError, within some seconds, when they are not answered. Errors of Redis itself pass through. */
  run<T>(commands: () => Promise<T>): Promise<T>;
  /** Calls back now if connected, and after each time that the connection has come up. */
  onReady(listener: () => void): void;
}

/** Doubles up to a second: back after 0.4 s of a restart where the library's own would take 8 (cluster.md section 2). */
const retryStrategy = (attempt: number): number => Math.min(50 * 2 ** attempt, 1_000);

/**
 * Returns at once, connected or not. `isListener`: it is for subscriptions, whose silence is no sign that the server is away.
 * @throws TypeError for what is no `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `rediss://` of the same shape.
 */
export function connectRedis(url: string, { isListener = false } = {}): RedisLink {
  const address = addressOf(url);
  const client = new Redis(url, {
    retryStrategy,
    maxRetriesPerRequest: 0,
    connectTimeout: ANSWER_MS,
    // A server that is frozen, or cut off: its connection is given up, and whoever waits is told.
    ...(isListener ? {} : { socketTimeout: ANSWER_MS }),
  });
  let lastError: unknown;
  let awaySinceMs = performance.now() + START_MS;
  let up = Promise.withResolvers<true>();
  client.on('error', error => {
    lastError = error;
  });
  client.on('close', () => {
    // Each attempt that fails closes too; the first one counts.
    if (awaySinceMs !== Number.POSITIVE_INFINITY) return;
    awaySinceMs = performance.now();
    up = Promise.withResolvers();
  });
  client.on('ready', () => {
    awaySinceMs = Number.POSITIVE_INFINITY;
    up.resolve(true);
  });
  const unavailable = (cause: unknown): RedisUnavailableError => new RedisUnavailableError(address, { cause });

  async function untilReady(): Promise<void> {
    const leftMs = awaySinceMs + GAP_MS - performance.now();
    if (leftMs <= 0 || client.status === 'end') throw unavailable(lastError);
    if ((await within(leftMs, up.promise)) === null) throw unavailable(lastError);
  }

  return {
    client,
    address,
    run: async commands => {
      // At once when it can be: what is asked for in an order is sent in that order.
      if (client.status !== 'ready') await untilReady();
      const answered = commands().then(
        value => ({ value }),
        (error: unknown) => {
          throw isAnswer(error) ? error : unavailable(error);
        },
      );
      const answer = await within(ANSWER_MS, answered);
      if (answer === null) throw unavailable(lastError);
      return answer.value;
    },
    onReady: listener => {
      client.on('ready', listener);
      if (client.status === 'ready') listener();
    },
    [Symbol.asyncDispose]: async () => client.disconnect(),
  };
}

/** Null when it took longer; what it does later is nobody's any more. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  const over = Promise.withResolvers<null>();
  const timer = setTimeout(() => over.resolve(null), ms);
  work.catch(() => undefined); // Told below, unless it was too late.
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Redis has answered, with an error: it is there. */
const isAnswer = (error: unknown): boolean =>
  error instanceof Error &&
  error.name === 'ReplyError' &&
  !/^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN)\b/.test(error.message);

function addressOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !['redis:', 'rediss:'].includes(parsed.protocol) || parsed.hostname === '')
    throw new TypeError(
      'the address of Redis has the form redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss://',
    );
  return `${parsed.hostname}:${parsed.port === '' ? 6379 : parsed.port}`;
}
