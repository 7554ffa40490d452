/**
 * The queue on Redis (BullMQ), for several APIs. Stagers hold no credential of Redis: each API serves their `next` from here. A job is one build's guid and
 * nothing else. A lease is BullMQ's delay: a hint that was taken is put off until its lease is over, and then waits again with its priority. So nothing is
 * locked but for the moment between the two, and whoever dies in it is noticed by the check for stalled jobs.
 */
import { randomUUID } from 'node:crypto';
import { connectRedis, type RedisLink } from '@cupola/redis/connect';
import { Queue, Worker } from 'bullmq';
import type { BuildHint, BuildQueue } from './build-queue.ts';

const NAME = 'builds';
/** With braces: all keys in one slot, should Redis be a cluster. */
const PREFIX = '{cupola}';
const OFFERED = `${PREFIX}:offered`;
/** Of the moment between taking a hint and putting it off. */
const LOCK_MS = 2_000;

type BuildJobs = Queue<{ buildGuid: string }, void, 'build'>;
type BuildWorker = Worker<{ buildGuid: string }, void, 'build'>;

export interface RedisQueueOptions {
  /** `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `rediss://`. */
  url: string;
}

/** Returns at once; Redis may be away, then and later. */
export function openRedisQueue({ url }: RedisQueueOptions): BuildQueue {
  const link = connectRedis(url);
  const ears = connectRedis(url, { isListener: true });
  const bullmq = openBullmq(link);
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  // Whatever was said while it was away was not heard.
  ears.onReady(() => {
    ears.client.subscribe(OFFERED).then(wake, () => undefined); // Lost again: the next connection subscribes.
  });
  ears.client.on('message', wake);

  return {
    offer: async ({ buildGuid, priority }) => {
      const options = { jobId: jobIdOf(buildGuid), priority, removeOnComplete: true, removeOnFail: true };
      await link.run(async () => {
        const { queue } = await bullmq.get();
        await queue.add('build', { buildGuid }, options);
        await link.client.publish(OFFERED, '');
      });
    },
    next: async (_stagerId, leaseMs) => {
      try {
        return await link.run(async () => take((await bullmq.get()).worker, leaseMs));
      } catch {
        return null; // Redis is away: no hint can be had. The outbox says so, and its next offer wakes who waits.
      }
    },
    done: async buildGuid => {
      // Lost when Redis is away: the hint comes again, its claim is refused, and it is forgotten then.
      await link.run(async () => (await bullmq.get()).queue.remove(jobIdOf(buildGuid))).catch(() => undefined);
    },
    onOffer: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {
      listeners.clear();
      await bullmq.close();
      for (const one of [ears, link]) await one[Symbol.asyncDispose]();
    },
  };
}

/** No `:` may be in it. */
const jobIdOf = (buildGuid: string): string => `build-${buildGuid}`;

async function take(worker: BuildWorker, leaseMs: number): Promise<BuildHint | null> {
  const token = randomUUID();
  const job = await worker.getNextJob(token, { block: false });
  if (job === undefined) return null;
  await job.moveToDelayed(Date.now() + leaseMs, token);
  return { buildGuid: job.data.buildGuid, priority: job.opts.priority ?? 1 };
}

interface Opened {
  queue: BuildJobs;
  worker: BuildWorker;
}

/** Opened when Redis is there: what BullMQ begins without it, it never finishes. */
function openBullmq({ client }: RedisLink) {
  let opened: Promise<Opened> | null = null;

  async function open(): Promise<Opened> {
    const options = { connection: client, prefix: PREFIX, skipVersionCheck: true };
    const queue: BuildJobs = new Queue(NAME, options);
    const worker: BuildWorker = new Worker(NAME, undefined, {
      ...options,
      autorun: false,
      lockDuration: LOCK_MS,
      stalledInterval: LOCK_MS,
      // The claim in the store counts attempts.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    });
    // Calls fail by themselves; the connection comes back by itself.
    queue.on('error', () => undefined);
    worker.on('error', () => undefined);
    try {
      await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
      await worker.startStalledCheckTimer();
      return { queue, worker };
    } catch (error) {
      opened = null;
      await Promise.allSettled([worker.close(true), queue.close()]);
      throw error;
    }
  }

  return {
    get: (): Promise<Opened> => {
      opened ??= open();
      return opened;
    },
    close: async (): Promise<void> => {
      const found = await opened?.catch(() => null);
      if (found) await Promise.allSettled([found.worker.close(true), found.queue.close()]);
    },
  };
}
