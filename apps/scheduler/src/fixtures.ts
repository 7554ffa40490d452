/** A scheduler on a real store with a clock in the test's hand, and apps as a start leaves them. */
import { randomUUID } from 'node:crypto';
import { anApp, aProcess, aRunSpec } from '@cupola/store/fixtures';
import type { ProcessesTable } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import type { SchedulerWatch } from './metrics.ts';
import { start } from './start.ts';

export interface TestScheduler extends AsyncDisposable {
  store: Store;
  /** What it has logged so far, a message each. */
  said: readonly string[];
  /** Resolves when the schedulers have read the store that often from now on. */
  looks(times: number): Promise<void>;
  /** Moves the monotonic clock. */
  pass(ms: number): void;
  /** Lets every given cell's agent show that it lives. */
  beat(...cellIds: string[]): Promise<void>;
  /** Ends the scheduler and starts another one on the same store. */
  restart(): Promise<void>;
  /** Another one beside it, which waits until nobody leads. */
  standby(): Promise<AsyncDisposable>;
  /** Ends it without a word. */
  end(): Promise<void>;
}

/** Looks at everything each 5 ms, so that a moved clock is noticed. */
export async function startTestScheduler({ watch }: { watch?: SchedulerWatch } = {}): Promise<TestScheduler> {
  const test = await openTestStore();
  let clockMs = 1_000_000;
  let reads = 0;
  const store: Store = Object.defineProperty({ ...test.store }, 'read', {
    get: () => {
      reads++;
      return test.store.read;
    },
  });
  const said: string[] = [];
  const log = pino({ level: 'info' }, { write: line => void said.push((JSON.parse(line) as { msg: string }).msg) });
  const run = (isAlone = true) =>
    start({
      ...{ store, log, now: Date.now, monotonic: () => clockMs, passMs: 5, isAlone },
      ...(watch === undefined ? {} : { watch }),
    });
  let scheduler = await run();
  return {
    store: test.store,
    said,
    looks: async times => {
      const from = reads;
      await found(async () => (reads >= from + times ? true : null));
    },
    pass: ms => {
      clockMs += ms;
    },
    beat: async (...cellIds) => {
      await test.store.note(async ({ db, now }) => {
        for (const cell_id of cellIds) {
          const { session } = await db
            .selectFrom('cells')
            .select('session')
            .where('cell_id', '=', cell_id)
            .executeTakeFirstOrThrow();
          await db
            .insertInto('cell_heartbeats')
            .values({ cell_id, session, counter: 1, usage_json: '[]', at: now })
            .onConflict(conflict =>
              conflict
                .column('cell_id')
                .doUpdateSet(set => ({ session, counter: set('cell_heartbeats.counter', '+', 1) })),
            )
            .execute();
        }
      });
    },
    restart: async () => {
      await scheduler[Symbol.asyncDispose]();
      scheduler = await run();
    },
    standby: () => run(false),
    end: async () => {
      await scheduler[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: async () => {
      await scheduler[Symbol.asyncDispose]();
      await test[Symbol.asyncDispose]();
    },
  };
}

/** A started app whose process runs a spec of its own; 64 MB a copy. */
export async function aStartedProcess(
  store: Store,
  given: Partial<ProcessesTable> & { specMemoryMb?: number } = {},
): Promise<ProcessesTable> {
  const { specMemoryMb = 64, ...values } = given;
  const app = await anApp(store, { state: 'STARTED' });
  const process = await aProcess(store, { app_guid: app.guid, ...values });
  return startAnew(store, process, { memoryMb: specMemoryMb });
}

/** What `cf restart` leaves: a new run spec, a higher start sequence. */
export async function startAnew(
  store: Store,
  process: ProcessesTable,
  { memoryMb = 64 }: { memoryMb?: number } = {},
): Promise<ProcessesTable> {
  const spec = await aRunSpec(store, {
    guid: randomUUID(),
    app_guid: process.app_guid,
    process_guid: process.guid,
    memory_mb: memoryMb,
  });
  return store.mutate(async ({ db, changed }) => {
    await db
      .updateTable('apps')
      .set({ state: 'STARTED', stopped_at: null })
      .where('guid', '=', process.app_guid)
      .execute();
    changed('process', process.guid);
    return db
      .updateTable('processes')
      .set(set => ({ run_spec_guid: spec.guid, start_sequence: set('start_sequence', '+', 1) }))
      .where('guid', '=', process.guid)
      .returningAll()
      .executeTakeFirstOrThrow();
  });
}

/** Resolves with what `look` finds as soon as it is not null or undefined; fails with the test's own time-out. */
export async function found<T>(look: () => Promise<T | null | undefined>): Promise<T> {
  for (;;) {
    const value = await look();
    if (value !== null && value !== undefined) return value;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}
