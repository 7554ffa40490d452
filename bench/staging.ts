/** Row 12: what staging a Node.js app adds to `npm ci`, by the same lock and with a warm cache each. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Platform } from '../test/platform.ts';
import { until } from '../test/platform.ts';
import { median, type Row, seconds, timed } from './table.ts';

const run = promisify(execFile);
const APP = 'bench-staging';

/** Some 70 packages. */
const PACKAGE = {
  name: APP,
  version: '1.0.0',
  private: true,
  scripts: { start: 'node server.js' },
  dependencies: { express: '5.1.0', pino: '9.7.0' },
};

async function stageAgain(platform: Platform, packageGuid: string): Promise<void> {
  const made = await platform.api('POST', '/v3/builds', { package: { guid: packageGuid } });
  const { guid } = made.body as { guid: string };
  await until('it is staged', async () => {
    const { state, error } = (await platform.api('GET', `/v3/builds/${guid}`)).body as { state: string; error: string };
    if (state === 'FAILED') throw new Error(error);
    return state === 'STAGED';
  });
}

export async function benchStaging(platform: Platform, rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-staging-'));
  const plain = join(folder, 'plain');
  const app = join(folder, 'app');
  const cache = join(folder, 'cache');
  cpSync(join(import.meta.dirname, '../examples/node-hello'), app, { recursive: true });
  writeFileSync(join(app, 'package.json'), JSON.stringify(PACKAGE));
  await run('npm', ['install', '--package-lock-only', '--no-audit', '--no-fund', '--cache', cache], { cwd: app });
  await platform.cupola(['push', APP, '--no-manifest', '-p', app, '--no-route', '-m', '128M']);
  const { body } = await platform.api('GET', '/v3/packages?order_by=-created_at&per_page=1');
  const packageGuid = (body as { resources: Array<{ guid: string }> }).resources[0]?.guid ?? '';
  const npmCi = async (): Promise<void> => {
    rmSync(plain, { recursive: true, force: true });
    cpSync(app, plain, { recursive: true });
    const args = ['ci', '--omit=dev', '--no-audit', '--no-fund', '--prefer-offline', '--cache', cache];
    await run('npm', args, { cwd: plain });
  };
  await npmCi();
  await stageAgain(platform, packageGuid);
  const beside: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round < rounds; round++) {
    beside.push((await timed(npmCi)).tookMs);
    ours.push((await timed(() => stageAgain(platform, packageGuid))).tookMs);
  }
  rmSync(folder, { recursive: true, force: true });
  const [staged, npm] = [median(ours), median(beside)];
  return [
    {
      row: '12',
      what: 'staging a Node.js app with a lock, warm cache: from the request to STAGED',
      ours: seconds(staged),
      beside: `${seconds(npm)} npm ci, the same lock, a warm cache`,
      ratio: staged / npm,
      aim: '<= 1.15x npm ci',
      met: staged <= 1.15 * npm,
    },
  ];
}
