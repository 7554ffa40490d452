import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { aPlacement, aRunSpec } from '../fixtures.ts';
import { sandboxSpec } from './sandbox-spec.ts';

/** Enough begun after the first for it to have ended when the launcher looks. */
const BESIDE = 12;

test('a sidecar that ends before the launcher looks is seen', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cupola-launcher-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const commands = ['exit 9', ...Array.from({ length: BESIDE }, () => 'exec sleep 600')];
  const sidecars = commands.map((command, at) => ({ name: `sidecar-${at}`, command, memoryMb: null }));
  const { argv } = sandboxSpec({
    sandboxGuid: 'one',
    placement: aPlacement(aRunSpec([], { command: 'exec sleep 600', sidecars })),
    address: { host: '127.0.0.1', port: 8080, network: null },
    resolvConf: '',
    uid: 0,
    layerSources: [],
    stackRoot: null,
    image: null,
    lang: 'C.UTF-8',
    changesFolder: null,
  });
  const [program = '', ...words] = argv.map(word => word.replaceAll('/home/vcap', folder));
  const env = { PATH: process.env.PATH, TMPDIR: folder };
  const launcher = spawn(program, words, { cwd: folder, env, stdio: 'ignore', detached: true });
  onTestFinished(() => endGroup(launcher));
  expect(await once(launcher, 'exit')).toEqual([9, null]);
});

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended, as it should.
  }
}
