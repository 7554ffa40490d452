/** Rows 24, 25 and 26: what the platform costs while nothing happens, what an instance costs beside its app, and how soon the API answers. */
import { readdirSync, readFileSync } from 'node:fs';
import { type Platform, startPlatform, until } from '../test/platform.ts';
import { median, megabytes, type Row, seconds } from './table.ts';

/** Memory of a process, shared pages divided among those that share them, KiB. */
function pssKib(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // It has just ended.
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

const pids = (): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number);
/** Shims of this platform, and the sandbox tools below them: everything beside the app itself. */
function besideApps(data: string): number[] {
  const shims = pids().filter(pid => commandLine(pid).includes('shim') && commandLine(pid).includes(data));
  const below = (pid: number): number[] => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  };
  const tools = (pid: number): number[] =>
    below(pid).flatMap(child =>
      /^(\S*bwrap|\S*unshare|\S*setpriv|\/bin\/sh \/run)/.test(commandLine(child)) ? [child, ...tools(child)] : [],
    );
  return shims.flatMap(shim => [shim, ...tools(shim)]);
}

export async function benchMemory(platform: Platform): Promise<Row[]> {
  const status = await until('instances run', async () => {
    const seen = await platform.status();
    return seen.instances.length > 0 && seen;
  });
  const parts = [status.pid, ...status.parts.map(({ pid }) => pid)];
  const beside = besideApps(platform.data);
  const sum = (list: readonly number[]): number => list.reduce((total, pid) => total + pssKib(pid), 0);
  const [ofParts, ofShims] = [sum(parts), sum(beside)];
  const each = ofShims / status.instances.length;
  return [
    {
      row: '24',
      what: 'platform at rest: supervisor, control, cell, router, shims (PSS)',
      ours: megabytes(ofParts + ofShims),
      beside: `${status.parts.map(({ name, pid }) => `${name} ${megabytes(pssKib(pid))}`).join(', ')}`,
      ratio: null,
      aim: '< 200 MB',
      met: ofParts + ofShims < 200 * 1_024,
    },
    {
      row: '25',
      what: 'beside each instance: shim, sandbox tool, init (PSS)',
      ours: megabytes(each),
      beside: `${status.instances.length} instances`,
      ratio: null,
      aim: '<= 5 MB',
      met: each <= 5 * 1_024,
    },
  ];
}

/** From the command to the first answer of the API, on a data folder that has been started before. */
export async function benchColdStart(rounds: number): Promise<Row[]> {
  await using platform = await startPlatform();
  const times: number[] = [];
  for (let round = 0; round < Math.min(rounds, 5); round++) {
    await platform.down();
    const start = performance.now();
    let answeredMs = Number.NaN;
    const up = platform.up();
    const asked = (async () => {
      for (;;) {
        const answer = await platform.api('GET', '/', undefined).catch(() => null);
        if (answer?.status === 200) break;
        await new Promise(resolve => setTimeout(resolve, 5));
      }
      answeredMs = performance.now() - start;
    })();
    await Promise.all([up, asked]);
    times.push(answeredMs);
  }
  return [
    {
      row: '26',
      what: '`cupola up` to the first answer of the API',
      ours: seconds(median(times)),
      beside: '',
      ratio: null,
      aim: '< 1 s',
      met: median(times) < 1_000,
    },
  ];
}
