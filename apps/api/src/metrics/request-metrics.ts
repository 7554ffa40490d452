/** Rate, errors and duration of each endpoint, by its path as it is written there: an app's guid would make a series of its own. */
import type { Metrics } from '@cupola/process/health';

/** A request that has been answered, or whose client has left. */
export interface RequestDone {
  listener: 'public' | 'internal';
  method: string;
  /** `/v3/apps/:guid`; empty where nobody serves the path. */
  route: string;
  status: number;
  ms: number;
}

/** Seconds. Most answers take some ms; uploads, held requests and watches take minutes (ours). */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

export function createRequestMetrics(metrics: Metrics): (done: RequestDone) => void {
  const requests = metrics.counter({
    name: 'cupola_api_requests_total',
    help: 'Requests answered, by listener, method, route and class of the status (4xx has those whose client left).',
    labels: ['listener', 'method', 'route', 'status'],
  });
  const durations = metrics.histogram({
    name: 'cupola_api_request_duration_seconds',
    help: 'From the head of a request to the end of its answer, by listener and route.',
    labels: ['listener', 'route'],
    buckets: BUCKETS,
  });
  return ({ listener, method, route, status, ms }) => {
    const known = route === '' ? { route: 'none', method: 'any' } : { route, method };
    requests.add({ listener, ...known, status: `${Math.floor(status / 100)}xx` });
    durations.observe({ listener, route: known.route }, ms / 1000);
  };
}
