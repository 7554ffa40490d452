/**
 * Requests and their seconds by app, for Prometheus and for the API. On the request's path it is one look-up and three additions to numbers that are there: prom-client's own
 * histogram makes an object and a text of the labels for each observation. Bounded: of more apps than it keeps, those asked longest ago become `other`.
 */
import {
  CLASSES_AT,
  COUNTED_APPS_MAX,
  LATENCY_BOUNDS_MS,
  REQUEST_NUMBERS,
  STATUS_CLASSES,
  SUM_AT,
} from '@cupola/model/metrics';

/** Behind an app's numbers, the number of its last request; then those of them that were told of before. */
const ASKED_AT = REQUEST_NUMBERS;
const TOLD_AT = ASKED_AT + 1;
const LENGTH = TOLD_AT + REQUEST_NUMBERS;
/** Forgotten at once, so that looking for the oldest costs a request nothing that matters. */
const FORGOTTEN_SHARE = 0.1;

export interface Latency {
  /** What has come to each app since the last call; of apps that were forgotten meanwhile it is lost. */
  sinceLast(): Array<{ guid: string; numbers: number[] }>;
  /** A request is over. `appGuid` is empty where no app was found. */
  observe(appGuid: string, status: number, ms: number): void;
  /** In Prometheus' text format. */
  text(): string;
}

export function createLatency({ appsMax = COUNTED_APPS_MAX } = {}): Latency {
  const apps = new Map<string, Float64Array>();
  const other = new Float64Array(LENGTH);
  let requests = 0;

  const makeRoom = (): void => {
    const byAge = [...apps].sort(([, a], [, b]) => (a[ASKED_AT] ?? 0) - (b[ASKED_AT] ?? 0));
    for (const [guid, numbers] of byAge.slice(0, Math.ceil(appsMax * FORGOTTEN_SHARE))) {
      for (let at = 0; at < ASKED_AT; at++) other[at] = (other[at] ?? 0) + (numbers[at] ?? 0);
      apps.delete(guid);
    }
  };
  return {
    observe: (appGuid, status, ms) => {
      let numbers = apps.get(appGuid);
      if (numbers === undefined) {
        if (apps.size >= appsMax) makeRoom();
        numbers = new Float64Array(LENGTH);
        apps.set(appGuid, numbers);
      }
      let bucket = 0;
      while (bucket < LATENCY_BOUNDS_MS.length && ms > (LATENCY_BOUNDS_MS[bucket] as number)) bucket++;
      const klass = CLASSES_AT + Math.min(STATUS_CLASSES, Math.max(1, Math.floor(status / 100))) - 1;
      numbers[bucket] = (numbers[bucket] as number) + 1;
      numbers[klass] = (numbers[klass] as number) + 1;
      numbers[SUM_AT] = (numbers[SUM_AT] as number) + ms;
      numbers[ASKED_AT] = ++requests;
    },
    sinceLast: () => {
      const news: Array<{ guid: string; numbers: number[] }> = [];
      for (const [guid, numbers] of apps) {
        // Each request is counted in a class.
        if (guid === '' || !isNews(numbers)) continue;
        const since = Array.from(
          { length: REQUEST_NUMBERS },
          (_, at) => (numbers[at] ?? 0) - (numbers[TOLD_AT + at] ?? 0),
        );
        numbers.copyWithin(TOLD_AT, 0, REQUEST_NUMBERS);
        news.push({ guid, numbers: since });
      }
      return news;
    },
    text: () => {
      const all: Array<readonly [string, Float64Array]> = [...apps];
      if (other.some(number => number > 0)) all.push(['other', other]);
      return [
        '# HELP cupola_router_requests_total Requests by app and class of the status; app "": no app was found, "other": apps not asked lately.',
        '# TYPE cupola_router_requests_total counter',
        ...all.flatMap(([app, numbers]) => requestLines(app, numbers)),
        '# HELP cupola_router_request_duration_seconds From the head of a request to the end of its answer, by app.',
        '# TYPE cupola_router_request_duration_seconds histogram',
        ...all.flatMap(([app, numbers]) => durationLines(app, numbers)),
      ].join('\n');
    },
  };
}

function isNews(numbers: Float64Array): boolean {
  for (let at = CLASSES_AT; at < SUM_AT; at++) if (numbers[at] !== numbers[TOLD_AT + at]) return true;
  return false;
}

function requestLines(app: string, numbers: Float64Array): string[] {
  return Array.from({ length: STATUS_CLASSES }, (_, at) => [at + 1, numbers[CLASSES_AT + at] ?? 0] as const)
    .filter(([, count]) => count > 0)
    .map(([hundreds, count]) => `cupola_router_requests_total{app="${app}",status="${hundreds}xx"} ${count}`);
}

function durationLines(app: string, numbers: Float64Array): string[] {
  const name = 'cupola_router_request_duration_seconds';
  let count = 0;
  const buckets = [...LATENCY_BOUNDS_MS, Number.POSITIVE_INFINITY].map((bound, at) => {
    count += numbers[at] ?? 0;
    const le = Number.isFinite(bound) ? String(bound / 1000) : '+Inf';
    return `${name}_bucket{app="${app}",le="${le}"} ${count}`;
  });
  const seconds = (numbers[SUM_AT] ?? 0) / 1000;
  return [...buckets, `${name}_sum{app="${app}"} ${seconds}`, `${name}_count{app="${app}"} ${count}`];
}
