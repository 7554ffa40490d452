/** `GET /v3/apps/:guid/metrics`, ours (contract/v3/figures.ts): what graphs are drawn of. */
import { type AppFigures, appFigures } from '@cupola/contract/v3/figures';
import { UnprocessableError } from '@cupola/model/errors';
import {
  CLASSES_AT,
  COARSE_STEP_S,
  coarser,
  FINE_STEP_S,
  MARK_EVENT_TYPES,
  markOf,
  PACK_MS,
  quantileMs,
  stepFor,
  type Window,
} from '@cupola/model/metrics';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import { type ScopedApp, seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { SEEING_EVENTS } from '../events/endpoints.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { EVERY_ROW } from '../pages/filters.ts';
import { inPlaces, scopeOf } from '../pages/scope.ts';
import { unpack, windowsIn } from './pack.ts';

const HOUR_MS = 3_600_000;
const POINTS_MAX = 2_000;
/** Without a step: as many as a graph shows. */
const POINTS = 360;
const MARKS_MAX = 500;

const query = z.strictObject({
  start: z.iso.datetime({ error: 'Start must be a time such as 2026-01-02T03:04:05Z' }).exactOptional(),
  end: z.iso.datetime({ error: 'End must be a time such as 2026-01-02T03:04:05Z' }).exactOptional(),
  step: z.coerce
    .number()
    .int()
    .multipleOf(FINE_STEP_S, { error: `Step must be a multiple of ${FINE_STEP_S} seconds` })
    .positive()
    .exactOptional(),
});

interface Range {
  startMs: number;
  endMs: number;
  stepMs: number;
}

function rangeOf(asked: z.output<typeof query>, now: number): Range {
  const endMs = asked.end === undefined ? now : Date.parse(asked.end);
  const startMs = asked.start === undefined ? endMs - HOUR_MS : Date.parse(asked.start);
  if (startMs >= endMs) throw new UnprocessableError('Start must be before end');
  const isFine = startMs > now - 24 * PACK_MS;
  const least = isFine ? FINE_STEP_S : COARSE_STEP_S;
  const step = asked.step ?? Math.max(least, stepFor(endMs - startMs, POINTS));
  if (!isFine && step % COARSE_STEP_S !== 0)
    throw new UnprocessableError(`What is older than a day is kept by ${COARSE_STEP_S} s: ask for a multiple of it`);
  const stepMs = step * 1_000;
  if ((endMs - startMs) / stepMs > POINTS_MAX)
    throw new UnprocessableError(`These are more than ${POINTS_MAX} windows: ask for a longer step or a shorter time`);
  return { startMs: Math.floor(startMs / stepMs) * stepMs, endMs, stepMs };
}

async function readWindows({ store }: ApiDeps, appGuid: string, { startMs, endMs, stepMs }: Range): Promise<Window[]> {
  const packs = await store.read
    .selectFrom('metric_packs')
    .select('packed')
    .where('app_guid', '=', appGuid)
    .where('step_s', '=', stepMs % (COARSE_STEP_S * 1_000) === 0 ? COARSE_STEP_S : FINE_STEP_S)
    .where('at', '>', startMs - PACK_MS)
    .where('at', '<', endMs)
    .orderBy('at')
    .execute();
  // Of hours that are not packed yet.
  const rows = await store.read
    .selectFrom('metric_windows')
    .select(['at', 'apps_json'])
    .where('at', '>=', startMs)
    .where('at', '<', endMs)
    .orderBy('at')
    .execute();
  const windows = [...packs.flatMap(({ packed }) => unpack(packed)), ...windowsIn(rows, appGuid)];
  return coarser(
    windows.filter(({ at }) => at >= startMs && at < endMs),
    stepMs,
  );
}

function series(windows: readonly Window[], { startMs, endMs, stepMs }: Range): Omit<AppFigures, 'marks'> {
  const known = new Map(windows.map(window => [window.at, window]));
  const times = Array.from({ length: Math.ceil((endMs - startMs) / stepMs) }, (_, index) => startMs + index * stepMs);
  const each = (value: (window: Window) => number | null): Array<number | null> =>
    times.map(at => {
      const window = known.get(at);
      return window === undefined ? null : value(window);
    });
  // Of an app that was measured, and that nobody asked for anything.
  const ofClass = (hundreds: number) => each(({ requests }) => requests?.[CLASSES_AT + hundreds - 1] ?? 0);
  const quantile = (share: number) => each(({ requests }) => (requests === null ? null : quantileMs(requests, share)));
  return {
    step_seconds: stepMs / 1_000,
    times: times.map(isoTime),
    requests: { '1xx': ofClass(1), '2xx': ofClass(2), '3xx': ofClass(3), '4xx': ofClass(4), '5xx': ofClass(5) },
    latency_ms: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
    cpu: each(({ usage }) => usage?.cpu ?? null),
    memory_in_bytes: each(({ usage }) => usage?.memoryBytes ?? null),
    instances: each(({ usage }) => usage?.instances ?? null),
  };
}

async function readMarks(
  { store }: ApiDeps,
  { actor, app, range }: { actor: Actor; app: ScopedApp; range: Range },
): Promise<AppFigures['marks']> {
  const scope = await scopeOf(store.read, actor, { seeing: SEEING_EVENTS });
  const rows = await store.read
    .selectFrom('audit_events')
    .select(['guid', 'created_at', 'type', 'actor_name'])
    .where('target_guid', '=', app.guid)
    .where('created_at', '>=', range.startMs)
    .where('created_at', '<', range.endMs)
    .where('type', 'in', MARK_EVENT_TYPES)
    // A manifest tells of each of its settings, changed or not, with every push; what it changes bends a graph with the deployment or start that follows.
    .where('data_json', 'not like', '%"manifest_triggered":true%')
    .where(scope === 'all' ? EVERY_ROW : inPlaces('audit_events', scope, 'picked'))
    .orderBy('created_at', 'desc')
    .limit(MARKS_MAX)
    .execute();
  return rows.reverse().flatMap(({ guid, created_at, type, actor_name }) => {
    const kind = markOf(type);
    return kind === null
      ? []
      : [{ at: isoTime(created_at), kind, event_guid: guid, event_type: type, actor: actor_name }];
  });
}

export const figureEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/metrics',
    summary: 'Requests, latency, CPU and memory of an app over time, with marks; an hour without `start` and `end`',
    query,
    responseSchema: appFigures,
    handle: async (deps, { actor, params, query: asked }) => {
      const app = await seenApp(deps.store.read, actor, params.guid ?? '');
      const range = rangeOf(asked, deps.now());
      const windows = await readWindows(deps, app.guid, range);
      return { status: 200, body: { ...series(windows, range), marks: await readMarks(deps, { actor, app, range }) } };
    },
  }),
];
