/** `./cupola program scheduler`: a scheduler alone. Of several in a cluster one leads, and the others wait. */
import { CELL_LIMITS } from '@cupola/model/limits';
import { commonSettings, runProgram } from '@cupola/process/run';
import { databaseUrl } from '@cupola/process/settings';
import { z } from 'zod';
import { createSchedulerWatch, readinessOf } from './metrics.ts';
import { start } from './start.ts';

const settings = z.object({
  ...commonSettings,
  CUPOLA_DATABASE_URL: databaseUrl,
});

await runProgram('scheduler', settings, async (env, log, health) => {
  await using starting = new AsyncDisposableStack();
  const { openPostgresStore } = await import('@cupola/store/postgres');
  const store = await openPostgresStore({ url: env.CUPOLA_DATABASE_URL });
  starting.defer(() => store.close());
  starting.use(
    await start({
      store,
      log,
      now: Date.now,
      monotonic: () => performance.now(),
      passMs: CELL_LIMITS.convergenceEmbeddedMs,
      isAlone: false,
      ...(health === null ? {} : { watch: createSchedulerWatch(health.metrics, () => performance.now()) }),
    }),
  );
  const running = starting.move();
  return { ready: {}, readiness: () => readinessOf(store), [Symbol.asyncDispose]: () => running.disposeAsync() };
});
