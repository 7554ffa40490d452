/** An agent in a process of its own, for tests that kill it: arguments are the socket, the sandboxes' folder with their installation, and the agent's folder. */
import { openSandboxes } from '@cupola/sandbox/open-sandboxes';
import { pino } from 'pino';
import { start } from './start.ts';

const [socketPath = '', sandboxFolder = '', installation = '', folder = ''] = process.argv.slice(2);
const sandboxes = await openSandboxes({
  folder: sandboxFolder,
  installation,
  allowUnsandboxed: false,
  canaryUid: 69_998,
  separateNetwork: false,
});
console.log('sandboxes');
const agent = await start({
  internal: { socketPath },
  sandboxes,
  networks: null,
  folder,
  cell: { id: 'cell-1', name: 'test', zone: 'z1', capacityMemoryMb: 1_024, capacityDiskMb: 10_000 },
  stacks: [],
  uids: process.getuid?.() === 0 ? { first: 71_000, count: 100 } : null,
  log: pino({ level: 'silent' }),
  now: Date.now,
  monotonic: () => performance.now(),
});
await agent.ready;
console.log('ready');
// Its own loops may not keep it: the test decides when it ends.
setInterval(() => undefined, 60_000);
