/**
 * `npm run bench [-- ROUNDS]`: the figures of the main line on this machine, each beside something measured in the same run. Read the ratios: wall-clock
 * figures of a shared machine move by a factor of three. With CF=/path/to/cf the real cf CLI is measured too. Full results go to bench/results/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Platform, ROOT, startPlatform } from '../test/platform.ts';
import { benchApps } from './apps.ts';
import { benchArchive } from './archive.ts';
import { benchColdStart, benchMemory } from './platform-cost.ts';
import { benchPushes } from './pushes.ts';
import { benchRepush } from './repush.ts';
import { benchSandbox } from './sandbox.ts';
import { print, type Row } from './table.ts';

const rounds = Number(process.argv[2] ?? 5);
const rows: Row[] = [
  ...(await benchSandbox(rounds * 4)),
  ...(await benchColdStart(rounds)),
  ...(await benchArchive(rounds)),
];
await using platform: Platform = await startPlatform();
await platform.login();
for (const measure of [benchApps, benchMemory, benchPushes, benchRepush]) {
  rows.push(...(await measure(platform, rounds)));
}
print(rows);
mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
const file = join(ROOT, 'bench/results', `${new Date().toISOString().replaceAll(':', '-')}.json`);
writeFileSync(file, JSON.stringify({ node: process.version, rounds, rows }, null, 2));
