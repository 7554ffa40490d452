/**
 * `npm run bench [-- ROUNDS [GROUP ...]]`: the figures of the main line on this machine, each beside something measured in the same run. Read the ratios:
 * wall-clock figures of a shared machine move by a factor of three. With CF=/path/to/cf the real cf CLI is measured too. Full results go to bench/results/.
 * Groups, all of them when none is named: cli, sandbox, start, archive, router, growth, growth-postgres, fleet, queue, store, blobs, apps, memory, pushes, repush, logs, screen, staging.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Platform, ROOT, startPlatform } from '../test/platform.ts';
import { benchApps } from './apps.ts';
import { benchArchive } from './archive.ts';
import { benchBlobs } from './blobs.ts';
import { benchCli } from './cli.ts';
import { benchFleet } from './fleet.ts';
import { benchGrowth, benchGrowthOnPostgres } from './growth.ts';
import { benchLogs } from './logs.ts';
import { benchColdStart, benchMemory } from './platform-cost.ts';
import { benchPushes } from './pushes.ts';
import { benchQueue } from './queue.ts';
import { benchRepush } from './repush.ts';
import { benchRouter } from './router.ts';
import { benchSandbox } from './sandbox.ts';
import { benchScreen } from './screen.ts';
import { benchStaging } from './staging.ts';
import { benchStore } from './store.ts';
import { print, type Row } from './table.ts';

/** On a machine without a platform. */
const ALONE = {
  cli: benchCli,
  sandbox: (rounds: number) => benchSandbox(rounds * 4),
  start: benchColdStart,
  archive: benchArchive,
  router: benchRouter,
  growth: benchGrowth,
  'growth-postgres': benchGrowthOnPostgres,
  fleet: benchFleet,
  queue: benchQueue,
  store: benchStore,
  blobs: benchBlobs,
};
const ON_PLATFORM = {
  apps: benchApps,
  memory: benchMemory,
  pushes: benchPushes,
  repush: benchRepush,
  logs: benchLogs,
  screen: benchScreen,
  staging: benchStaging,
};

const rounds = Number(process.argv[2] ?? 5);
const named = process.argv.slice(3);
const unknown = named.filter(name => !(name in ALONE) && !(name in ON_PLATFORM));
if (unknown.length > 0) throw new Error(`There is no group ${unknown.join(', ')}.`);
const isWanted = ([name]: [string, unknown]): boolean => named.length === 0 || named.includes(name);

const rows: Row[] = [];
for (const [, measure] of Object.entries(ALONE).filter(isWanted)) rows.push(...(await measure(rounds)));
const onPlatform = Object.entries(ON_PLATFORM).filter(isWanted);
if (onPlatform.length > 0) {
  await using platform: Platform = await startPlatform();
  await platform.login();
  for (const [, measure] of onPlatform) rows.push(...(await measure(platform, rounds)));
}
print(rows);
mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
const file = join(ROOT, 'bench/results', `${new Date().toISOString().replaceAll(':', '-')}.json`);
writeFileSync(file, JSON.stringify({ node: process.version, rounds, rows }, null, 2));
