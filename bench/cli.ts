/** What `cupola --help` costs beside a Node.js that does nothing: in turn, each as a process of its own, on the clock and in CPU. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../test/platform.ts';
import { median, ms, type Row } from './table.ts';

const RATIO_MAX = 2;
/** Of each, for one round of the bench. */
const RUNS = 20;
/** Linux: of /proc/PID/stat. */
const TICK_MS = 10;

interface Costs {
  readonly args: readonly string[];
  readonly tookMs: number[];
  cpuMs: number;
}

/** CPU of all children that have ended. */
function childrenCpuMs(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

function run(costs: Costs): void {
  const cpuMs = childrenCpuMs();
  const startMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, costs.args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${costs.args.join(' ')} failed: ${stderr.toString()}`);
  costs.tookMs.push(performance.now() - startMs);
  costs.cpuMs += childrenCpuMs() - cpuMs;
}

/** The CLI as the launcher starts it. Whatever is slow in the machine is slow for both. */
export async function benchCli(rounds: number): Promise<Row[]> {
  // Makes the programs, if they are not there.
  spawnSync(join(ROOT, 'cupola'), ['completion', 'bash'], { stdio: 'ignore' });
  const ours: Costs = { args: [join(ROOT, '.programs/current/cli.mjs'), '--help'], tookMs: [], cpuMs: 0 };
  const bare: Costs = { args: ['-e', '0'], tookMs: [], cpuMs: 0 };
  for (let at = 0; at < rounds * RUNS; at++) {
    run(ours);
    run(bare);
  }
  const ratio = median(ours.tookMs) / median(bare.tookMs);
  const cpu = ({ cpuMs, tookMs }: Costs): string => `${ms(median(tookMs))}, ${ms(cpuMs / tookMs.length)} of CPU`;
  return [
    {
      row: 'cli',
      what: `cupola --help (median of ${ours.tookMs.length})`,
      ours: cpu(ours),
      beside: `node -e 0: ${cpu(bare)}`,
      ratio,
      aim: `<= ${RATIO_MAX}x`,
      met: ratio <= RATIO_MAX,
    },
  ];
}
