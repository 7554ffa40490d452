/** Whether this API can do its work: with its store it can, without Redis it can do most. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Readiness } from '@cupola/process/health';
import type { RedisLink } from '@cupola/redis/connect';
import type { Store } from '@cupola/store/store';

/** Of an answer of Redis; less than the whole check may take (ours). */
const REDIS_MS = 1_000;

export async function readinessOf(store: Pick<Store, 'read'>, redis: RedisLink): Promise<Readiness> {
  const [stored, isRedisThere] = await Promise.all([
    store.read
      .selectFrom('counter')
      .select('revision')
      .execute()
      .then(
        () => null,
        (error: unknown) => `the database does not answer (${error instanceof Error ? error.message : String(error)})`,
      ),
    answers(redis),
  ]);
  return {
    missing: stored?.split('\n')[0] ?? null,
    degraded: isRedisThere ? null : `Redis at ${redis.address} does not answer: logs are missing, builds start late`,
  };
}

async function answers(redis: RedisLink): Promise<boolean> {
  const over = new AbortController();
  const late = pause(REDIS_MS, false, over).catch(() => false);
  const answer = redis
    .run(() => redis.client.ping())
    .then(
      () => true,
      () => false,
    );
  return Promise.race([answer, late]).finally(() => over.abort());
}
