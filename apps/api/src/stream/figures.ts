/** Figures of apps on the stream: of the newest window that is over, two queries for all who watch. */
import type { StreamFrame } from '@cupola/contract/v3/stream';
import { CLASSES_AT, FINE_STEP_S, quantileMs, type Window } from '@cupola/model/metrics';
import type { ApiDeps } from '../deps.ts';
import { windowsIn } from '../figures/pack.ts';
import { appsOf } from '../figures/window-text.ts';
import { isoTime } from '../http/iso-time.ts';
import { readHomes } from '../pages/homes.ts';
import type { Frame } from './frames.ts';

const STEP_MS = FINE_STEP_S * 1_000;
/** Windows are written as they end; another API may be a little later. */
const LATE_MS = 2_000;

export async function readNewestFigures({ store, now }: Pick<ApiDeps, 'store' | 'now'>): Promise<Frame[]> {
  const at = (Math.floor((now() - LATE_MS) / STEP_MS) - 1) * STEP_MS;
  const rows = await store.read.selectFrom('metric_windows').select(['at', 'apps_json']).where('at', '=', at).execute();
  const apps = [...new Set(rows.flatMap(({ apps_json }) => appsOf(apps_json)))];
  const homes = await readHomes(store.read, 'apps', apps);
  return apps.flatMap(guid => {
    const home = homes.get(guid);
    const [window] = windowsIn(rows, guid);
    return home === undefined || window === undefined ? [] : [frameOf(guid, home, window)];
  });
}

function frameOf(
  guid: string,
  { organizationGuid, spaceGuid }: { organizationGuid: string | null; spaceGuid: string | null },
  { at, requests, usage }: Window,
): Frame {
  const ofClass = (hundreds: number): number => requests?.[CLASSES_AT + hundreds - 1] ?? 0;
  const quantile = (share: number): number | null => (requests === null ? null : quantileMs(requests, share));
  const frame: StreamFrame = {
    type: 'metrics',
    app_guid: guid,
    organization_guid: organizationGuid,
    space_guid: spaceGuid,
    at: isoTime(at),
    step_seconds: FINE_STEP_S,
    requests: { '1xx': ofClass(1), '2xx': ofClass(2), '3xx': ofClass(3), '4xx': ofClass(4), '5xx': ofClass(5) },
    latency_ms: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
    cpu: usage?.cpu ?? null,
    memory_in_bytes: usage?.memoryBytes ?? null,
    instances: usage?.instances ?? null,
  };
  const subject = { kind: 'metrics', guid, appGuid: guid, organizationGuid, spaceGuid } as const;
  return { subject, revision: 0, cursor: null, json: JSON.stringify(frame) };
}
