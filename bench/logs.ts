/** Rows 20 and 21: lines of an app until each follower of its log has them, and how long one line takes, beside `tail -f` of a file. */
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { Platform } from '../test/platform.ts';
import { median, ms, type Row } from './table.ts';

const APP = 'bench-logs';
const LINES = 50_000;
const PACED = 100;
/** Between two lines of which each is looked at alone. */
const PACE_MS = 30;
/** As our CLI does (packages/client/src/logs.ts). */
const READ_MAX = 1_000;
const FOLLOWER_PAUSE_MS = 20;
/** No line for so long: what is missing is lost. */
const SILENCE_MS = 5_000;

/** `POST /lines?run=R&count=N&every=MS`: lines `R number time`. */
const SERVER = `
const { performance } = require('node:perf_hooks');
require('node:http')
  .createServer(async (request, response) => {
    response.end();
    const { searchParams } = new URL(request.url, 'http://app');
    const [run, count, every] = ['run', 'count', 'every'].map(name => searchParams.get(name));
    const line = number => run + ' ' + number + ' ' + (performance.timeOrigin + performance.now()) + ' ' + 'x'.repeat(60) + '\\n';
    if (request.method !== 'POST') return;
    if (every > 0)
      for (let number = 0; number < count; number++) {
        process.stdout.write(line(number));
        await new Promise(resolve => setTimeout(resolve, Number(every)));
      }
    else
      for (let number = 0; number < count; number += 100)
        if (!process.stdout.write(Array.from({ length: 100 }, (_, index) => line(number + index)).join('')))
          await new Promise(resolve => process.stdout.once('drain', resolve));
  })
  .listen(Number(process.env.PORT));
`;

interface Envelope {
  timestamp: string;
  log?: { payload: string };
}

/** Reads the log as it grows, as our CLI does, until `count` lines of that run have come or nothing comes. Latencies in ms. */
async function follow(
  platform: Platform,
  { guid, token, run, count }: { guid: string; token: string; run: string; count: number },
): Promise<{ seen: number; latenciesMs: number[]; tookMs: number }> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const read = (fromNs: bigint): Promise<Envelope[]> =>
    new Promise((resolve, reject) => {
      http
        .get(
          {
            host: '127.0.0.1',
            port: platform.facts.apiPort,
            path: `/api/v1/read/${guid}?envelope_types=LOG&limit=${READ_MAX}&start_time=${fromNs}`,
            headers: { authorization: `bearer ${token}`, prefer: 'wait=2' },
            agent,
          },
          response => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString()).envelopes.batch));
          },
        )
        .on('error', reject);
    });
  const beganMs = performance.now();
  const latenciesMs: number[] = [];
  let fromNs = BigInt(Date.now()) * 1_000_000n;
  let lastMs = performance.now();
  let tookMs = 0;
  while (latenciesMs.length < count && performance.now() - lastMs < SILENCE_MS) {
    const batch = await read(fromNs);
    const now = performance.timeOrigin + performance.now();
    for (const { timestamp, log } of batch) {
      fromNs = BigInt(timestamp) + 1n;
      const [of, , at] = Buffer.from(log?.payload ?? '', 'base64')
        .toString()
        .split(' ');
      if (of === run) latenciesMs.push(now - Number(at));
    }
    if (batch.length > 0) {
      lastMs = performance.now();
      tookMs = lastMs - beganMs;
    }
    if (batch.length < READ_MAX) await pause(FOLLOWER_PAUSE_MS);
  }
  agent.destroy();
  return { seen: latenciesMs.length, latenciesMs, tookMs };
}

/** The same lines, appended to a file that `tail -f` follows. */
async function tailed(): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-tail-'));
  const file = join(folder, 'log');
  writeFileSync(file, '');
  const tail = spawn('tail', ['-f', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const latenciesMs: number[] = [];
  createInterface({ input: tail.stdout }).on('line', line =>
    latenciesMs.push(performance.timeOrigin + performance.now() - Number(line)),
  );
  await pause(200);
  for (let line = 0; line < PACED; line++) {
    appendFileSync(file, `${performance.timeOrigin + performance.now()}\n`);
    await pause(PACE_MS);
  }
  tail.kill();
  rmSync(folder, { recursive: true, force: true });
  return latenciesMs;
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

export async function benchLogs(platform: Platform, rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-logs-'));
  writeFileSync(join(folder, 'server.js'), SERVER);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: APP, version: '1.0.0', private: true }));
  writeFileSync(
    join(folder, 'manifest.yml'),
    `applications:\n- name: ${APP}\n  memory: 128M\n  command: node server.js\n  log-rate-limit-per-second: -1\n`,
  );
  await platform.cupola(['push'], { cwd: folder });
  rmSync(folder, { recursive: true, force: true });
  const { body } = await platform.api('GET', `/v3/apps?names=${APP}`);
  const guid = (body as { resources: Array<{ guid: string }> }).resources[0]?.guid ?? '';
  const emit = (run: string, count: number, every: number) =>
    platform.ask(`${APP}.localhost`, `/lines?run=${run}&count=${count}&every=${every}`, { method: 'POST' });

  const rate = async (run: string, followers: number): Promise<{ perSecond: number; lost: number }> => {
    const token = await platform.token();
    const following = Array.from({ length: followers }, () => follow(platform, { guid, token, run, count: LINES }));
    await emit(run, LINES, 0);
    const seen = await Promise.all(following);
    const slowest = Math.max(...seen.map(({ tookMs }) => tookMs));
    const lost = Math.max(...seen.map(one => LINES - one.seen));
    return { perSecond: ((LINES - lost) / slowest) * 1_000, lost };
  };
  const alone = [];
  const ten = [];
  const ours: number[] = [];
  const beside: number[] = [];
  for (let round = 0; round < rounds; round++) {
    alone.push(await rate(`alone-${round}`, 1));
    ten.push(await rate(`ten-${round}`, 10));
    const token = await platform.token();
    const following = follow(platform, { guid, token, run: `paced-${round}`, count: PACED });
    await pause(200);
    await emit(`paced-${round}`, PACED, PACE_MS);
    ours.push(...(await following).latenciesMs);
    beside.push(...(await tailed()));
  }
  const rows = [['1 follower', alone, 300_000] as const, ['10 followers', ten, 100_000] as const].map(
    ([who, seen, aim]): Row => {
      const perSecond = median(seen.map(one => one.perSecond));
      const lost = Math.max(...seen.map(one => one.lost));
      return {
        row: '20',
        what: `lines of an app until all are with ${who}`,
        ours: `${Math.round(perSecond)}/s`,
        beside: `${lost} of ${LINES} lost to a follower at most`,
        ratio: null,
        aim: `>= ${aim}/s, none lost`,
        met: perSecond >= aim && lost === 0,
      };
    },
  );
  const [p99, tail] = [percentile(ours, 0.99), percentile(beside, 0.99)];
  return [
    ...rows,
    {
      row: '21',
      what: `a line from the app's write to a follower, p99 (p50 ${ms(percentile(ours, 0.5))})`,
      ours: ms(p99),
      beside: `${ms(tail)} tail -f of a file`,
      ratio: p99 / tail,
      aim: '<= 20 ms',
      met: p99 <= 20,
    },
  ];
}
