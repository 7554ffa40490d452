/** Rows 9 and 9b: a warm push of ten files, by our CLI and by the real one, and the fixed 3 s sleeps that the real one took. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Platform } from '../test/platform.ts';
import { type Answer, HOST, makeBenchApp } from './bench-app.ts';
import { median, type Row, seconds, timed } from './table.ts';

const run = promisify(execFile);
/** The CLI's fixed interval, less what a busy machine may blur. */
const SLEEP_MS = 2_900;

interface Pushed {
  tookMs: number;
  /** The first request after the CLI's end was answered 200 by the new version. */
  isNew: boolean;
}

async function measure(platform: Platform, push: () => Promise<unknown>, version: number): Promise<Pushed> {
  const { tookMs } = await timed(push);
  const answer = await platform.ask(HOST);
  const isNew = answer.status === 200 && (JSON.parse(answer.body) as Answer).version === version;
  return { tookMs, isNew };
}

/** Pauses between one answer and the next request in a trace of the cf CLI. */
function sleepsIn(trace: string): number {
  const times = [...trace.matchAll(/^(?:REQUEST|RESPONSE): \[([^\]]+)\]/gm)].map(match => Date.parse(match[1] ?? ''));
  return times.filter((at, index) => index > 0 && at - (times[index - 1] ?? at) >= SLEEP_MS).length;
}

export async function benchPushes(platform: Platform, rounds: number): Promise<Row[]> {
  const app = makeBenchApp();
  let version = 1;
  const next = (): number => {
    app.change(++version);
    return version;
  };
  const byOurs: Pushed[] = [];
  const ours = () => platform.cupola(['push'], { cwd: app.folder });
  await ours();
  for (let round = 0; round < rounds; round++) byOurs.push(await measure(platform, ours, next()));
  const rows = [rowOf('9', 'warm push of 10 files, our CLI', byOurs, 1_200)];
  if (process.env.CF !== undefined)
    rows.push(...(await byTheRealOne(platform, { cf: process.env.CF, folder: app.folder, next })));
  rmSync(app.folder, { recursive: true, force: true });
  return rows;
}

/** Twenty pushes, as the aim says. */
async function byTheRealOne(
  platform: Platform,
  { cf, folder, next }: { cf: string; folder: string; next(): number },
): Promise<Row[]> {
  const home = mkdtempSync(join(tmpdir(), 'cupola-bench-cf-'));
  const env = { ...process.env, CF_HOME: home, CF_COLOR: 'false' };
  const password = readFileSync(join(platform.data, 'admin-password'), 'utf8').trim();
  await run(cf, ['login', '-a', platform.facts.api, '-u', 'admin', '-p', password, '-o', 'cupola', '-s', 'dev'], {
    env,
  });
  const pushed: Pushed[] = [];
  let slept = 0;
  for (let round = 0; round < 20; round++) {
    const trace = join(home, `trace-${round}`);
    const push = () =>
      run(cf, ['push'], { cwd: folder, env: { ...env, CF_TRACE: trace }, maxBuffer: 64 * 1024 * 1024 });
    pushed.push(await measure(platform, push, next()));
    if (sleepsIn(readFileSync(trace, 'utf8')) > 0) slept++;
  }
  rmSync(home, { recursive: true, force: true });
  return [
    rowOf('9', 'warm push of 10 files, the real cf CLI (1.0 s is its own)', pushed, 2_000),
    {
      row: '9b',
      what: 'pushes of the real cf CLI that slept 3 s',
      ours: `${slept} of ${pushed.length}`,
      beside: '',
      ratio: null,
      aim: '0 of 20',
      met: slept === 0,
    },
  ];
}

function rowOf(row: string, what: string, pushed: readonly Pushed[], aimMs: number): Row {
  const ours = median(pushed.map(({ tookMs }) => tookMs));
  const fresh = pushed.filter(({ isNew }) => isNew).length;
  return {
    row,
    what,
    ours: seconds(ours),
    beside: `${fresh} of ${pushed.length} first requests 200, new version`,
    ratio: null,
    aim: `< ${seconds(aimMs)}, all`,
    met: ours < aimMs && fresh === pushed.length,
  };
}
