/** Rows 24, 25 and 26: what the platform costs while nothing happens, what an instance costs beside its app, and how soon the API answers. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Platform, startPlatform, until } from '../test/platform.ts';
import { makeBenchApp } from './bench-app.ts';
import { commandLine, pssKib } from './processes.ts';
import { median, megabytes, type Row, seconds } from './table.ts';

const pids = (): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number);
/** Below its data folder: of a shim that has an instance, and of the one that is kept ahead, of which a cell has one however many instances it runs. */
const INSTANCES = 'cell/instances/sandboxes';
const AHEAD = 'cell/instances/spares';
/** Shims of that place, and the sandbox tools below them: everything beside the app itself. */
function besideApps(place: string): number[] {
  const shims = pids().filter(pid => commandLine(pid).startsWith(`cupola-shim ${place}/`));
  const below = (pid: number): number[] => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  };
  const tools = (pid: number): number[] =>
    below(pid).flatMap(child =>
      /^(cupola-shim|\S*bwrap|\/bin\/sh \/run)/.test(commandLine(child)) ? [child, ...tools(child)] : [],
    );
  return [...new Set(shims.flatMap(shim => [shim, ...tools(shim)]))];
}

/** performance.md row 24: at rest is 60 s after the last request. */
const REST_MS = 60_000;

export async function benchMemory(platform: Platform): Promise<Row[]> {
  const app = makeBenchApp();
  await platform.cupola(['push'], { cwd: app.folder });
  rmSync(app.folder, { recursive: true, force: true });
  const status = await until('instances run', async () => {
    const seen = await platform.status();
    return seen.instances.length > 0 && seen;
  });
  const parts = [status.pid, ...status.parts.map(({ pid }) => pid)];
  const beside = besideApps(join(platform.data, INSTANCES));
  const ahead = besideApps(join(platform.data, AHEAD));
  await new Promise(resolve => setTimeout(resolve, REST_MS));
  const sum = (list: readonly number[]): number => list.reduce((total, pid) => total + pssKib(pid), 0);
  const [ofParts, ofShims, ofAhead] = [sum(parts), sum(beside), sum(ahead)];
  const all = ofParts + ofShims + ofAhead;
  const each = ofShims / status.instances.length;
  return [
    {
      row: '24',
      what: 'platform at rest: supervisor, control, cell, router, shims (PSS)',
      ours: megabytes(all),
      beside: `${status.parts.map(({ name, pid }) => `${name} ${megabytes(pssKib(pid))}`).join(', ')}, shim ahead ${megabytes(ofAhead)}`,
      ratio: null,
      aim: '< 200 MB',
      met: all < 200 * 1_024,
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

/** From the command to the first answer of the API, of a platform that has been started before. */
export async function firstAnswerMs(platform: Platform): Promise<number> {
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
  return answeredMs;
}

export async function benchColdStart(rounds: number): Promise<Row[]> {
  await using platform = await startPlatform();
  const times: number[] = [];
  for (let round = 0; round < Math.min(rounds, 5); round++) times.push(await firstAnswerMs(platform));
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
