/** The platform itself, ours beside the v3 API, for admins: its cells, what is built and by whom it is led. */
import { CELL_STATES } from '@cupola/model/states';
import { z } from 'zod';

const when = z.iso.datetime().nullable();
const count = z.number().int();

export const clusterCell = z.object({
  guid: z.string(),
  name: z.string(),
  zone: z.string(),
  /** Name of the one that it is in; null: it is everybody's. */
  isolation_segment: z.string().nullable(),
  state: z.enum(CELL_STATES),
  stacks: z.array(z.string()),
  /** What keeps apps apart there, as a canary has shown at the agent's start. */
  sandbox: z.object({
    name: z.string(),
    enforced: z.record(z.string(), z.boolean()),
    missing: z.array(z.string()),
  }),
  /** MB; `placed`: what the scheduler has given away. */
  memory_in_mb: z.object({ capacity: count, placed: count }),
  /** `placed` by the scheduler's books, `running` by what the agent reports, those that are being stopped too. */
  instances: z.object({ placed: count, running: count }),
  heard_at: when,
  drained_at: when,
  lost_at: when,
});
export type ClusterCell = z.infer<typeof clusterCell>;

export const clusterAnswer = z.object({
  version: z.string(),
  cells: z.array(clusterCell),
  /** Machines that have joined, with what they do here. */
  members: z.array(
    z.object({ id: z.string(), host_name: z.string(), roles: z.array(z.string()), joined_at: z.iso.datetime() }),
  ),
  /** Who leads, as it calls itself; null: nobody has yet. `terms`: how often that has changed. */
  scheduler: z.object({ leader: z.string().nullable(), terms: count }),
  /** Builds that somebody waits for. */
  builds: z.object({ waiting: count, staging: count, oldest_waiting_since: when }),
  /** Of packages and droplets, MB; uploads are refused when less than `kept_free` is free. */
  disk_in_mb: z.object({ total: count, free: count, kept_free: count }),
});
export type Cluster = z.infer<typeof clusterAnswer>;
