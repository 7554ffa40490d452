/** A stager as a process of its own, to be killed. Arguments: FOLDER INTERNAL-SOCKET. */
import { join } from 'node:path';
import { pino } from 'pino';
import { testSandboxes } from './fixtures.ts';
import { start } from './start.ts';

const [folder = '', socketPath = ''] = process.argv.slice(2);
await start({
  internal: { socketPath },
  sandboxes: await testSandboxes(folder),
  folder: join(folder, 'b'),
  stagerId: 'stager-to-be-killed',
  uid: process.getuid?.() === 0 ? 69_999 : null,
  stacks: () => [{ name: 'host', digest: 'a'.repeat(64), abiKey: 'abi', root: null }],
  log: pino({ level: 'silent' }),
  now: Date.now,
});
