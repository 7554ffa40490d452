/** Row 22: a page of 50 apps, with a token, beside a bare node:http server that sends the same bytes; and its p99 at half of what it can do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Platform } from '../test/platform.ts';
import { get, pace, percentile, right, saturate, type Target } from './load.ts';
import { freePort } from './proxies.ts';
import { median, ms, type Row } from './table.ts';

const PATH = '/v3/apps?per_page=50';
const CONNECTIONS = 16;
const ROUND_MS = 2_000;

/** Sends the file, as it was read at its start. */
const BARE = `
const body = require('node:fs').readFileSync(process.argv[1]);
require('node:http').createServer((_, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length }).end(body);
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listens'));
`;

export async function benchApi(
  platform: Platform,
  { rounds, engine }: { rounds: number; engine: string },
): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-api-'));
  const token = await platform.token();
  const request = get('localhost', PATH, { Authorization: `bearer ${token}` });
  const body = JSON.stringify((await platform.api('GET', PATH)).body);
  writeFileSync(join(folder, 'body.json'), body);
  const port = await freePort();
  const bare = spawn(process.execPath, ['-e', BARE, '--', join(folder, 'body.json'), String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(bare.stdout, 'data');
    const target = (to: number): Target => ({
      port: to,
      requests: [request],
      bodyBytes: Buffer.byteLength(body),
      connections: CONNECTIONS,
    });
    const [ours, peer]: [number[], number[]] = [[], []];
    for (let round = 0; round < Math.max(rounds, 3); round++) {
      const api = right('the API', await saturate(target(platform.facts.apiPort), ROUND_MS));
      ours.push((api.requests / api.ms) * 1_000);
      const plain = right('node:http', await saturate(target(port), ROUND_MS));
      peer.push((plain.requests / plain.ms) * 1_000);
    }
    const half = right('the API', await pace(target(platform.facts.apiPort), median(ours) / 2, ROUND_MS * 2));
    const p99 = percentile(half.latenciesMs, 0.99);
    const ratio = median(ours) / median(peer);
    return [
      {
        row: '22',
        what: `API on ${engine}: a page of 50 apps with a token, requests a second`,
        ours: `${Math.round(median(ours))}/s`,
        beside: `${Math.round(median(peer))}/s bare node:http, same bytes`,
        ratio,
        aim: '>= 0.5x bare',
        met: ratio >= 0.5,
      },
      {
        row: '22',
        what: 'the same at half of that rate, p99',
        ours: ms(p99),
        beside: `p50 ${ms(percentile(half.latenciesMs, 0.5))}`,
        ratio: null,
        aim: '<= 50 ms',
        met: p99 <= 50,
      },
    ];
  } finally {
    bare.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}
