/**
 * Requests and their seconds by app, for Prometheus. On the request's path it is one look-up and three additions to numbers that are there: prom-client's own
 * histogram makes an object and a text of the labels for each observation. Bounded: of more apps than it keeps, those asked longest ago become `other`.
 */

/** Upper bounds, in ms. */
const BOUNDS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
/** 1xx to 5xx: of a status that is none of them (0: its client left before there was one) the first. */
const CLASSES = 5;
/** Where the parts of an app's numbers lie: buckets with that without a bound, then classes, then the sum of ms, then the number of its last request. */
const CLASSES_AT = BOUNDS_MS.length + 1;
const SUM_AT = CLASSES_AT + CLASSES;
const ASKED_AT = SUM_AT + 1;
/** Apps that have series of their own (ours: a scrape is then some 2 MB of text). */
const APPS_MAX = 1_000;
/** Forgotten at once, so that looking for the oldest costs a request nothing that matters. */
const FORGOTTEN_SHARE = 0.1;

export interface Latency {
  /** A request is over. `appGuid` is empty where no app was found. */
  observe(appGuid: string, status: number, ms: number): void;
  /** In Prometheus' text format. */
  text(): string;
}

export function createLatency({ appsMax = APPS_MAX } = {}): Latency {
  const apps = new Map<string, Float64Array>();
  const other = new Float64Array(ASKED_AT + 1);
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
        numbers = new Float64Array(ASKED_AT + 1);
        apps.set(appGuid, numbers);
      }
      let bucket = 0;
      while (bucket < BOUNDS_MS.length && ms > (BOUNDS_MS[bucket] as number)) bucket++;
      const klass = CLASSES_AT + Math.min(CLASSES, Math.max(1, Math.floor(status / 100))) - 1;
      numbers[bucket] = (numbers[bucket] as number) + 1;
      numbers[klass] = (numbers[klass] as number) + 1;
      numbers[SUM_AT] = (numbers[SUM_AT] as number) + ms;
      numbers[ASKED_AT] = ++requests;
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

function requestLines(app: string, numbers: Float64Array): string[] {
  return Array.from({ length: CLASSES }, (_, at) => [at + 1, numbers[CLASSES_AT + at] ?? 0] as const)
    .filter(([, count]) => count > 0)
    .map(([hundreds, count]) => `cupola_router_requests_total{app="${app}",status="${hundreds}xx"} ${count}`);
}

function durationLines(app: string, numbers: Float64Array): string[] {
  const name = 'cupola_router_request_duration_seconds';
  let count = 0;
  const buckets = [...BOUNDS_MS, Number.POSITIVE_INFINITY].map((bound, at) => {
    count += numbers[at] ?? 0;
    const le = Number.isFinite(bound) ? String(bound / 1000) : '+Inf';
    return `${name}_bucket{app="${app}",le="${le}"} ${count}`;
  });
  const seconds = (numbers[SUM_AT] ?? 0) / 1000;
  return [...buckets, `${name}_sum{app="${app}"} ${seconds}`, `${name}_count{app="${app}"} ${count}`];
}
