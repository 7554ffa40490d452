/** Rows 6, 8 and 14: an instance's start, its healing, and a second instance on the same layer, beside the plain process. */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import http from 'node:http';
import { appPids, type Platform, until } from '../test/platform.ts';
import { type Answer, APP, HOST, makeBenchApp } from './bench-app.ts';
import { freePort } from './proxies.ts';
import { median, ms, type Row, timed } from './table.ts';

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const asked = http.get({ host: '127.0.0.1', port, agent: false }, answer => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
  });
}

/** The same program by hand: from spawn to its first answer. */
async function plainStart(folder: string): Promise<number> {
  const port = await freePort();
  const start = performance.now();
  const env = { PATH: process.env.PATH ?? '', PORT: String(port) };
  const child = spawn(process.execPath, ['server.js'], { cwd: folder, env, stdio: 'ignore' });
  while (!(await answers(port))) await new Promise(resolve => setTimeout(resolve, 1));
  const tookMs = performance.now() - start;
  child.kill('SIGKILL');
  await new Promise(resolve => child.once('exit', resolve));
  return tookMs;
}

async function ask(platform: Platform): Promise<Answer | null> {
  const answer = await platform.ask(HOST).catch(() => null);
  return answer?.status === 200 ? (JSON.parse(answer.body) as Answer) : null;
}

/** From the request that starts the app to the first 200 through the router, which holds the request meanwhile. Nothing of the app runs before. */
async function ourStart(platform: Platform, guid: string): Promise<number> {
  const before = (await ask(platform))?.born;
  await platform.api('POST', `/v3/apps/${guid}/actions/stop`);
  // A stop lingers: the copy serves for 2 s more, and would have to be stopped while its successor starts.
  await until('its route is gone', async () => (await platform.ask(HOST)).status === 404);
  await until('its last process has ended', async () => appPids(platform.data).length === 0);
  await settle();
  const { tookMs } = await timed(async () => {
    const started = await platform.api('POST', `/v3/apps/${guid}/actions/start`);
    if (started.status !== 200) throw new Error(`start: ${started.status} ${JSON.stringify(started.body)}`);
    await answerOfAnother(platform, before);
  });
  return tookMs;
}

/** What a stop has left to do (removing a sandbox, another one kept ahead) is no part of the next start. */
const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 2_000));

/** Asked as the plain process is: again after a millisecond. */
async function answerOfAnother(platform: Platform, before: string | undefined): Promise<void> {
  for (;;) {
    const answer = await ask(platform);
    if (answer !== null && answer.born !== before) return;
    await new Promise(resolve => setTimeout(resolve, 1));
  }
}

/** From kill -9 of the app to the first answer of another process. */
async function heal(platform: Platform): Promise<number> {
  const before = await ask(platform);
  const start = performance.now();
  for (const pid of appPids(platform.data)) process.kill(pid, 'SIGKILL');
  await answerOfAnother(platform, before?.born);
  return performance.now() - start;
}

/** From the request to scale to the first answer of the second instance. */
async function second(platform: Platform, guid: string): Promise<number> {
  const first = (await ask(platform))?.born;
  const scale = (instances: number) =>
    platform.api('POST', `/v3/apps/${guid}/processes/web/actions/scale`, { instances });
  const { tookMs } = await timed(async () => {
    await scale(2);
    await answerOfAnother(platform, first);
  });
  await scale(1);
  await until('one is left', async () => appPids(platform.data).length === 1);
  await settle();
  return tookMs;
}

export async function benchApps(platform: Platform, rounds: number): Promise<Row[]> {
  const app = makeBenchApp();
  await platform.cupola(['push'], { cwd: app.folder });
  const { body } = await platform.api('GET', `/v3/apps?names=${APP}`);
  const guid = (body as { resources: Array<{ guid: string }> }).resources[0]?.guid ?? '';
  const plain: number[] = [];
  const starts: number[] = [];
  for (let round = 0; round < rounds; round++) {
    plain.push(await plainStart(app.folder));
    starts.push(await ourStart(platform, guid));
  }
  const heals: number[] = [];
  // The third crash in a row waits by the crash table.
  for (let round = 0; round < 2; round++) heals.push(await heal(platform));
  await ourStart(platform, guid);
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) seconds.push(await second(platform, guid));
  rmSync(app.folder, { recursive: true, force: true });
  const [bare, ours, healed, more] = [median(plain), median(starts), median(heals), median(seconds)];
  return [
    {
      row: '6',
      what: 'instance start to first 200 (API, scheduler, agent, probe, router)',
      ours: ms(ours),
      beside: `${ms(bare)} plain process`,
      ratio: ours / bare,
      aim: '< 1.3x the plain process',
      met: ours < 1.3 * bare,
    },
    {
      row: '8',
      what: 'kill -9 of the app to the next 200',
      ours: ms(healed),
      beside: `${ms(ours)} row 6`,
      ratio: healed / ours,
      aim: '< 2x row 6',
      met: healed < 2 * ours,
    },
    {
      row: '14',
      what: 'second instance to its first 200 (nothing is unpacked)',
      ours: ms(more),
      beside: `${ms(bare)} plain process`,
      ratio: more / bare,
      aim: 'as row 6',
      met: more < 1.3 * bare,
    },
  ];
}
