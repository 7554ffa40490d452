/** What a router shows of itself; it is counted in any case, and read when somebody asks. Requests and their seconds: `logs/latency.ts`. */
import type { Metrics, Readiness } from '@cupola/process/health';
import type { Latency } from './logs/latency.ts';
import type { Router } from './start.ts';

export function addRouterMetrics(metrics: Metrics, latency: Latency, router: Pick<Router, 'state'>): void {
  const read = (kind: 'gauge' | 'counter', name: string, help: string, value: () => number): void =>
    metrics.read({ name, help, labels: [], kind }, () => [[{}, value()]]);
  metrics.text(latency.text);
  read('gauge', 'cupola_router_routes', 'Routes in the table.', () => router.state().routes);
  read(
    'gauge',
    'cupola_router_backend_connections',
    'Open connections to copies.',
    () => router.state().backendConnections,
  );
  read('gauge', 'cupola_router_held_requests', 'Requests that wait for a copy.', () => router.state().held);
  read(
    'gauge',
    'cupola_router_machines_down',
    'Machines in use that do not answer: their copies are passed over.',
    () => router.state().machinesDown,
  );
  read(
    'counter',
    'cupola_router_log_lines_lost_total',
    'Lines of access logs that nobody took in time.',
    () => router.state().logLinesLost,
  );
}

/** It serves by the table that it has, be it an old one. */
export function readinessOf(router: Pick<Router, 'state'>): Readiness {
  return {
    missing: router.state().hasTable ? null : 'no table of routes has come yet, neither from disk nor from the API',
  };
}
