/** `GET /v3/apps/:guid/metrics`, ours: figures of an app over time, one value for each of `times`, null where nothing is known. */
import { z } from 'zod';

const values = z.array(z.number().nullable());
export const appFigures = z.object({
  /** Length of a window. */
  step_seconds: z.number().int(),
  /** Begin of each window. */
  times: z.array(z.iso.datetime()),
  /** Requests in the window, by class of their status. */
  requests: z.object({ '1xx': values, '2xx': values, '3xx': values, '4xx': values, '5xx': values }),
  /** Ms under which half, 95 % and 99 % of the requests stayed, within the bounds of the router's histogram. */
  latency_ms: z.object({ p50: values, p95: values, p99: values }),
  /** Fractions of one core, of all instances together. */
  cpu: values,
  memory_in_bytes: values,
  /** That were measured. */
  instances: values,
  /** What may explain a bend: from audit events that the asker may see. */
  marks: z.array(
    z.object({
      at: z.iso.datetime(),
      kind: z.enum(['deploy', 'crash', 'scale', 'config', 'start', 'stop']),
      event_guid: z.string(),
      event_type: z.string(),
      actor: z.string(),
    }),
  ),
});
export type AppFigures = z.infer<typeof appFigures>;
