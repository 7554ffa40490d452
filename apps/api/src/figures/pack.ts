/**
 * Windows of an hour that is over become one row for each app and step, in slices of apps, so that memory does not grow with them. Done twice it does no harm:
 * the windows go last. And what is too old, or too much, goes.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { COARSE_STEP_S, coarser, FINE_STEP_S, PACK_MS, together, type Window } from '@cupola/model/metrics';
import type { MetricPacksTable } from '@cupola/store/schema';
import { sql } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { appsOf, figuresOf, readWindow, written } from './window-text.ts';

type Deps = Pick<ApiDeps, 'store' | 'now'>;

const APPS_AT_ONCE = 50;
/** The last windows of an hour may still be under way. */
const GRACE_MS = 60_000;
/** Of a task in one pass. */
const BATCH = 2_000;
const FINE_KEPT_MS = 25 * PACK_MS;
const COARSE_KEPT_MS = 30 * 24 * PACK_MS;
/** All of it together (ours): a month of some 500 busy apps. */
const FIGURES_MAX_BYTES = 256 * 1024 * 1024;

/** The oldest hour that is over, if it has windows. Answers how many rows it became. */
export async function packFigures({ store, now }: Deps): Promise<number> {
  const oldest = await store.read.selectFrom('metric_windows').select('at').orderBy('at').limit(1).executeTakeFirst();
  if (oldest === undefined) return 0;
  const hour = Math.floor(oldest.at / PACK_MS) * PACK_MS;
  if (hour + PACK_MS + GRACE_MS > now()) return 0;
  const rows = await store.read
    .selectFrom('metric_windows')
    .select(['at', 'apps_json'])
    .where('at', '>=', hour)
    .where('at', '<', hour + PACK_MS)
    .orderBy('at')
    .execute();
  const guids = [...new Set(rows.flatMap(({ apps_json }) => appsOf(apps_json)))];
  let made = 0;
  for (let from = 0; from < guids.length; from += APPS_AT_ONCE) {
    const packs = guids.slice(from, from + APPS_AT_ONCE).flatMap(guid => packsOf(guid, windowsIn(rows, guid), hour));
    await store.note(async ({ db }) => {
      for (const pack of packs)
        await db
          .insertInto('metric_packs')
          .values(pack)
          .onConflict(conflict =>
            conflict
              .columns(['app_guid', 'step_s', 'at'])
              .doUpdateSet({ packed: pack.packed, size_bytes: pack.size_bytes }),
          )
          .execute();
    });
    made += packs.length;
  }
  await store.note(({ db }) =>
    db
      .deleteFrom('metric_windows')
      .where('at', '<', hour + PACK_MS)
      .execute(),
  );
  return made;
}

/** Of one app, what several APIs have heard put together, in the order of time. */
export function windowsIn(rows: ReadonlyArray<{ at: number; apps_json: string }>, appGuid: string): Window[] {
  const windows = new Map<number, Window>();
  for (const { at, apps_json } of rows) {
    const figures = readWindow(apps_json, appGuid);
    if (figures === null) continue;
    const known = windows.get(at);
    windows.set(at, { at, ...(known === undefined ? figures : together(known, figures)) });
  }
  return [...windows.values()];
}

function packsOf(appGuid: string, windows: readonly Window[], hour: number): MetricPacksTable[] {
  return [FINE_STEP_S, COARSE_STEP_S].map(step => {
    const packed = pack(coarser(windows, step * 1_000));
    return { app_guid: appGuid, step_s: step, at: hour, size_bytes: packed.length, packed };
  });
}

function pack(windows: readonly Window[]): string {
  const entries = windows.map(({ at, ...figures }) => [at, written(figures)]);
  return deflateRawSync(JSON.stringify(entries)).toString('base64');
}

export function unpack(packed: string): Window[] {
  const entries = JSON.parse(inflateRawSync(Buffer.from(packed, 'base64')).toString()) as Array<
    [number, Parameters<typeof figuresOf>[0]]
  >;
  return entries.map(([at, figures]) => ({ at, ...figuresOf(figures) }));
}

/** What is too old, of apps that are gone, or over the budget: the finer first, then the oldest. */
export async function forgetFigures({ store, now }: Deps, maxBytes = FIGURES_MAX_BYTES): Promise<number> {
  const { total } = await store.read
    .selectFrom('metric_packs')
    .select(({ fn }) => fn.coalesce(fn.sum<number>('size_bytes'), sql<number>`0`).as('total'))
    .executeTakeFirstOrThrow();
  return store.note(async ({ db }) => {
    const old = await db
      .deleteFrom('metric_packs')
      .where(({ or, and, eb }) =>
        or([
          and([eb('step_s', '=', FINE_STEP_S), eb('at', '<', now() - FINE_KEPT_MS)]),
          and([eb('step_s', '=', COARSE_STEP_S), eb('at', '<', now() - COARSE_KEPT_MS)]),
          eb('app_guid', 'not in', db.selectFrom('apps').select('guid')),
        ]),
      )
      .executeTakeFirst();
    let removed = Number(old.numDeletedRows);
    if (total <= maxBytes) return removed;
    const rows = await db
      .selectFrom('metric_packs')
      .select(['app_guid', 'step_s', 'at', 'size_bytes'])
      .orderBy('step_s')
      .orderBy('at')
      .limit(BATCH)
      .execute();
    let over = total - maxBytes;
    for (const { app_guid, step_s, at, size_bytes } of rows) {
      if (over <= 0) break;
      over -= size_bytes;
      removed++;
      await db
        .deleteFrom('metric_packs')
        .where('app_guid', '=', app_guid)
        .where('step_s', '=', step_s)
        .where('at', '=', at)
        .execute();
    }
    return removed;
  });
}
