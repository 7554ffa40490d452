/**
 * `node apps/agent/src/main.ts`: an agent alone, on the host's network, until it is killed; its instances go on. For tests that kill it, and for looking at it
 * apart. In embedded mode `apps/control` starts the agent beside the stager.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HOST_STACK } from '@cupola/model/host-stack';
import { openSandboxes } from '@cupola/sandbox/open-sandboxes';
import { pino } from 'pino';
import { z } from 'zod';
import { start } from './start.ts';

const env = z
  .object({
    /** Folder with `internal.sock`. */
    CUPOLA_STATE: z.string().min(1),
    /** The cell's folder: sandboxes, records, layers. */
    CUPOLA_CELL: z.string().min(1),
    CUPOLA_CELL_ID: z.string().min(1).default(randomUUID),
    CUPOLA_INSTALLATION: z.string().min(1),
    CUPOLA_MEMORY_MB: z.coerce.number().int().positive().default(1_024),
    CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  })
  .parse(process.env);

const sandboxes = await openSandboxes({
  folder: join(env.CUPOLA_CELL, 'sandboxes'),
  installation: env.CUPOLA_INSTALLATION,
  allowUnsandboxed: false,
  canaryUid: 69_998,
  separateNetwork: false,
});
console.log('sandboxes open');
const agent = await start({
  internal: { socketPath: join(env.CUPOLA_STATE, 'internal.sock') },
  sandboxes,
  networks: null,
  forward: null,
  folder: join(env.CUPOLA_CELL, 'agent'),
  cell: {
    id: env.CUPOLA_CELL_ID,
    name: hostname(),
    zone: 'z1',
    capacityMemoryMb: env.CUPOLA_MEMORY_MB,
    capacityDiskMb: 1_000_000,
  },
  stacks: () => [{ name: HOST_STACK, digest: '', abiKey: '', root: null }],
  uids: process.getuid?.() === 0 ? { first: 71_000, count: 100 } : null,
  log: pino({ name: 'agent', level: env.CUPOLA_LOG_LEVEL }),
  now: Date.now,
  monotonic: () => performance.now(),
});
await agent.fenced;
