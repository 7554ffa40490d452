/**
 * What the whole platform has and waits for, from the store: every API of a cluster shows the same, so take the maximum over them, never the sum. Read when
 * somebody asks, and not again for some seconds. Builds and tasks are counted from an index by state alone; copies and cells are those that live.
 */
import type { Metrics, Sample } from '@cupola/process/health';
import type { Store } from '@cupola/store/store';
import { sql } from 'kysely';

/** Several who scrape cost no more than one (ours). */
const KEPT_MS = 5_000;

interface Deps {
  store: Pick<Store, 'read'>;
  /** Epoch ms. */
  now(): number;
  monotonic(): number;
}

export function addStoreMetrics(metrics: Metrics, { store: { read }, now, monotonic }: Deps): void {
  const gauge = (name: string, help: string, value: () => Promise<number>): void =>
    metrics.read(
      { name, help, labels: [], kind: 'gauge' },
      kept(monotonic, async () => [[{}, await value()]]),
    );
  const byState = (name: string, help: string, table: 'builds' | 'copies' | 'cells' | 'tasks'): void =>
    metrics.read(
      { name, help, labels: ['state'], kind: 'gauge' },
      kept(monotonic, async () => {
        const rows = await read
          .selectFrom(table)
          .select(['state', sql<number>`count(*)`.as('many')])
          .groupBy('state')
          .execute();
        return rows.map(({ state, many }): Sample<'state'> => [{ state }, Number(many)]);
      }),
    );
  /** Nobody stages it. */
  const waiting = kept(monotonic, async () => {
    const { many, oldest } = await read
      .selectFrom('builds')
      .select([sql<number>`count(*)`.as('many'), sql<number | null>`min(created_at)`.as('oldest')])
      .where('state', '=', 'STAGING')
      .where('stager', 'is', null)
      .executeTakeFirstOrThrow();
    return { many: Number(many), oldestMs: oldest === null ? 0 : Math.max(0, now() - Number(oldest)) };
  });
  gauge('cupola_build_queue_depth', 'Builds that no stager has taken yet.', async () => (await waiting()).many);
  gauge(
    'cupola_build_queue_oldest_seconds',
    'Age of the oldest build that no stager has taken yet; 0: none waits.',
    async () => (await waiting()).oldestMs / 1000,
  );
  byState('cupola_builds', 'Builds by state, all that are kept.', 'builds');
  byState('cupola_instances', 'Running copies of apps and tasks by state, as their cells tell it.', 'copies');
  byState('cupola_cells', 'Cells by state.', 'cells');
  byState('cupola_tasks', 'Tasks by state, all that are kept.', 'tasks');
  gauge('cupola_placements_waiting', 'Instances that no cell has room for, or may run.', async () => {
    const { many } = await read
      .selectFrom('placement_errors')
      .select(sql<number>`count(*)`.as('many'))
      .executeTakeFirstOrThrow();
    return Number(many);
  });
}

/** What was read is the answer for KEPT_MS; who asks meanwhile waits for the same reading. A failure is not kept. */
function kept<T>(monotonic: () => number, ask: () => Promise<T>): () => Promise<T> {
  let last: { answer: Promise<T>; atMs: number } | null = null;
  return () => {
    if (last !== null && monotonic() - last.atMs < KEPT_MS) return last.answer;
    const reading = { answer: ask(), atMs: monotonic() };
    last = reading;
    reading.answer.catch(() => {
      if (last === reading) last = null;
    });
    return reading.answer;
  };
}
