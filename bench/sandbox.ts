/** Row 5: a sandbox with all its limits, started by us, beside the same tool started bare. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSandboxes } from '../packages/sandbox/src/open-sandboxes.ts';
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
  const sandboxes = await openSandboxes({
    folder: join(folder, 'sandboxes'),
    installation: `bench-${randomUUID().slice(0, 8)}`,
    allowUnsandboxed: false,
    canaryUid: 69_996,
    separateNetwork: false,
  });
  const ours: number[] = [];
  const bares: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      bares.push(await bare());
      ours.push(await launch());
    }
  } finally {
    clearInterval(keep);
    await sandboxes.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const [our, other] = [median(ours), median(bares)];
  return [
    {
      row: '5',
      what: `sandbox start to first output (${sandboxes.report.rung})`,
      ours: ms(our),
      beside: `${ms(other)} bare bwrap`,
      ratio: our / other,
      aim: 'shown: disk image, limits and shim included',
      met: true,
    },
  ];

  async function launch(): Promise<number> {
    const start = performance.now();
    const sandbox = await sandboxes.start({
      guid: randomUUID(),
      uid: 69_995,
      mounts: [],
      files: {},
      argv: ['/bin/echo', 'here'],
      cwd: '/',
      environment: { PATH: '/usr/bin:/bin' },
      limits: { memoryMb: 64, cpuShare: 0.1, pidsMax: 64, diskMb: 64 },
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
