/** What a scheduler shows of its work: whether it leads, its passes, and what they wrote. */
import type { Action } from '@cupola/model/plan';
import type { Metrics, Readiness } from '@cupola/process/health';
import type { Store } from '@cupola/store/store';

/** Who is told of what the scheduler does. */
export interface SchedulerWatch {
  leads(isLeading: boolean): void;
  /** A pass has ended: read, decided, written. */
  passed(ms: number, written: readonly Action[]): void;
}

/** Seconds (ours): some ms on a small platform, some 100 on one of 100,000 instances. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function createSchedulerWatch(metrics: Metrics, monotonic: () => number): SchedulerWatch {
  let isLeading = false;
  let passedAtMs = monotonic();
  const gauge = (name: string, help: string, value: () => number): void =>
    metrics.read({ name, help, labels: [], kind: 'gauge' }, () => [[{}, value()]]);
  gauge('cupola_scheduler_leading', '1 while this scheduler leads; over all of them the sum is 1.', () =>
    isLeading ? 1 : 0,
  );
  gauge(
    'cupola_scheduler_last_pass_age_seconds',
    'Since the last pass that ended well, or the start of this lead; 0 where another one leads.',
    () => (isLeading ? (monotonic() - passedAtMs) / 1000 : 0),
  );
  const passes = metrics.histogram({
    name: 'cupola_scheduler_pass_duration_seconds',
    help: 'Reading, deciding and writing of a pass.',
    labels: [],
    buckets: BUCKETS,
  });
  const actions = metrics.counter({
    name: 'cupola_scheduler_actions_total',
    help: 'What passes wrote: instances placed and withdrawn, waits explained and cleared, cells marked.',
    labels: ['kind'],
  });
  return {
    leads: now => {
      isLeading = now;
      passedAtMs = monotonic();
    },
    passed: (ms, written) => {
      passedAtMs = monotonic();
      passes.observe({}, ms / 1000);
      for (const action of written) actions.add({ kind: action.do });
    },
  };
}

/** One that waits for the lead is ready too. */
export async function readinessOf({ read }: Pick<Store, 'read'>): Promise<Readiness> {
  try {
    await read.selectFrom('counter').select('revision').execute();
    return { missing: null };
  } catch (error) {
    return { missing: `the database does not answer (${error instanceof Error ? error.message : String(error)})` };
  }
}
