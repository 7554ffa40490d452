/**
 * Figures of apps as routers and agents tell them, gathered for ten seconds and written as one row, so that a platform of any size costs its store one small
 * commit in that time, and none where nothing runs. They may get lost: with this process, or when the store does not take them.
 */
import { randomUUID } from 'node:crypto';
import type { CellHeartbeat, RequestCounts } from '@cupola/contract/internal';
import { FINE_STEP_S, type Figures, together } from '@cupola/model/metrics';
import type { ApiDeps } from '../deps.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { windowText } from './window-text.ts';

type Samples = CellHeartbeat['usage'];

export interface FiguresRecorder extends AsyncDisposable {
  /** Of a router. */
  requests(batch: RequestCounts): void;
  /** The newest of a cell; what it says of instances that are not placed there is left out. */
  usage(cellId: string, samples: Samples): void;
  /** Writes what has come, as of the window that has just ended. */
  flush(): Promise<void>;
}

const STEP_MS = FINE_STEP_S * 1_000;
/** Routers whose last batch is remembered: more of them are sessions of before. */
const SESSIONS_MAX = 1_000;

export function createFiguresRecorder({ store, log, now }: Pick<ApiDeps, 'store' | 'log' | 'now'>): FiguresRecorder {
  const source = randomUUID();
  const sessions = new Map<string, number>();
  let counted = new Map<string, Figures>();
  let measured = new Map<string, Samples>();
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  /** At the end of the window. Where nothing comes, nothing ticks. */
  function arm(): void {
    timer ??= setTimeout(
      () => {
        timer = null;
        writing = flush();
      },
      STEP_MS - (Date.now() % STEP_MS),
    ).unref();
  }

  async function flush(): Promise<void> {
    const [requests, usage] = [counted, measured];
    counted = new Map();
    measured = new Map();
    if (requests.size === 0 && usage.size === 0) return;
    const at = Math.floor((now() - STEP_MS / 2) / STEP_MS) * STEP_MS;
    try {
      const apps = await withUsage(store, { requests, usage });
      if (apps.size === 0) return;
      const row = { apps_json: windowText(apps) };
      await store.note(({ db }) =>
        db
          .insertInto('metric_windows')
          .values({ at, source, ...row })
          .onConflict(conflict => conflict.columns(['at', 'source']).doUpdateSet(row))
          .execute(),
      );
    } catch (error) {
      log.warn({ err: error }, 'figures of apps of ten seconds are lost: the store did not take them');
    }
  }

  return {
    requests: ({ session, sequence, apps }) => {
      if (sequence <= (sessions.get(session) ?? 0)) return;
      sessions.delete(session);
      sessions.set(session, sequence);
      const oldest = sessions.keys().next().value;
      if (sessions.size > SESSIONS_MAX && oldest !== undefined) sessions.delete(oldest);
      for (const { guid, numbers } of apps) {
        const figures: Figures = { requests: numbers, usage: null };
        const known = counted.get(guid);
        counted.set(guid, known === undefined ? figures : together(known, figures));
      }
      arm();
    },
    usage: (cellId, samples) => {
      if (samples.length === 0) return;
      measured.set(cellId, samples);
      arm();
    },
    flush,
    [Symbol.asyncDispose]: async () => {
      if (timer !== null) clearTimeout(timer);
      await writing;
      await flush();
    },
  };
}

/** Figures of routers, and what cells have measured of the instances that are placed on them. */
async function withUsage(
  store: ApiDeps['store'],
  { requests, usage }: { requests: ReadonlyMap<string, Figures>; usage: ReadonlyMap<string, Samples> },
): Promise<Map<string, Figures>> {
  const apps = new Map(requests);
  const guids = [...usage.values()].flatMap(samples => samples.map(({ guid }) => guid));
  const rows = await inChunks(guids, some =>
    store.read
      .selectFrom('placements')
      // Tasks run beside the app: they are none of its instances, and have a limit of their own.
      .innerJoin('processes', 'processes.guid', 'placements.process_guid')
      .select(['placements.guid', 'placements.app_guid', 'placements.cell_id'])
      .where('placements.guid', 'in', some)
      .execute(),
  );
  const placed = new Map(rows.map(row => [row.guid, row]));
  for (const [cellId, samples] of usage)
    for (const { guid, cpu, memoryBytes } of samples) {
      const place = placed.get(guid);
      // A cell speaks for its own.
      if (place?.cell_id !== cellId) continue;
      const mine: Figures = { requests: null, usage: { cpu, memoryBytes, instances: 1 } };
      const known = apps.get(place.app_guid);
      apps.set(place.app_guid, known === undefined ? mine : together(known, mine));
    }
  return apps;
}
