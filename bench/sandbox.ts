/** Row 5: a sandbox with all its limits, started by us, beside a sandbox by bubblewrap started bare. As in a cell: with a shim kept ahead, which is also measured without. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSandboxes } from '../packages/sandbox/src/open-sandboxes.ts';
import type { Sandboxes } from '../packages/sandbox/src/sandbox.ts';
import { median, ms, type Row } from './table.ts';

/** Until the first byte that the program inside prints. */
function bare(): Promise<number> {
  const start = performance.now();
  const child = spawn(
    'bwrap',
    ['--unshare-all', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--', '/bin/echo', 'here'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout?.once('data', () => resolve(performance.now() - start));
  });
}

export async function benchSandbox(rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-'));
  const keep = setInterval(() => undefined, 1_000); // Shims keep no process alive that waits for them.
  const open = (name: string, more: { spareAfterMs?: number }): Promise<Sandboxes> =>
    openSandboxes({
      folder: join(folder, name, 'sandboxes'),
      installation: `bench-${randomUUID().slice(0, 8)}`,
      allowUnsandboxed: false,
      canaryUid: 69_996,
      separateNetwork: false,
      ...more,
    });
  const [ahead, cold] = [await open('ahead', { spareAfterMs: 0 }), await open('cold', {})];
  const [ours, colds, bares]: [number[], number[], number[]] = [[], [], []];
  try {
    // The next shim has come up before it is taken, and comes up while nothing is measured.
    const rest = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 250));
    for (let round = 0; round < rounds; round++) {
      await rest();
      bares.push(await bare());
      ours.push(await launch(ahead));
      await rest();
      colds.push(await launch(cold));
    }
  } finally {
    await ahead.close();
    await cold.close();
    clearInterval(keep);
    rmSync(folder, { recursive: true, force: true });
  }
  const [our, coldly, other] = [median(ours), median(colds), median(bares)];
  const row = (what: string, took: number): Row => ({
    row: '5',
    what,
    ours: ms(took),
    beside: `${ms(other)} bare bwrap`,
    ratio: took / other,
    aim: 'shown: disk image, limits and shim included',
    met: true,
  });
  return [
    row(`sandbox start to first output (${ahead.report.rung}, a shim kept ahead)`, our),
    row(`the same, nothing kept ahead (the second of two starts at once)`, coldly),
  ];

  async function launch(sandboxes: Sandboxes): Promise<number> {
    const start = performance.now();
    const sandbox = await sandboxes.start({
      guid: randomUUID(),
      uid: 69_995,
      mounts: [],
      files: {},
      argv: ['/bin/echo', 'here'],
      cwd: '/',
      environment: { PATH: '/usr/bin:/bin' },
      limits: { memoryMb: 64, cpuShare: 0.1, pidsMax: 64, diskMb: 1_024 },
      network: { kind: 'host' },
      logRateBytesPerSecond: -1,
    });
    let tookMs = Number.NaN;
    for await (const { line } of sandbox.output()) {
      if (line !== 'here') throw new Error(`the sandbox printed: ${line}`);
      tookMs = performance.now() - start;
    }
    await sandbox.ended;
    await sandbox.remove();
    return tookMs;
  }
}
