/**
 * Rows 22, 23 and 26 and what grows with the number of apps: lists, the time to start, memory. The apps are copies of one that the API has made, with a
 * process, a route, a package, a service instance and an event each, written into the store while the platform is down; most have nothing running, as in a
 * large installation.
 */
import { join } from 'node:path';
import { startPlatform } from '../test/platform.ts';
import { benchApi } from './api.ts';
import { costOfLists, listRows, makeFirst, seed } from './lists.ts';
import { firstAnswerMs } from './platform-cost.ts';
import { pssKib } from './processes.ts';
import { median, megabytes, ms, type Row } from './table.ts';

const SIZES = [100, 10_000, 100_000];

interface Seen {
  apps: number;
  lists: Map<string, number>;
  startMs: number;
  controlKib: number;
  routerKib: number;
}

export async function benchGrowth(rounds: number): Promise<Row[]> {
  await using platform = await startPlatform();
  const first = await makeFirst(platform);
  const seen: Seen[] = [];
  const rows: Row[] = [];
  for (const apps of SIZES) {
    await platform.down();
    seed(join(platform.data, 'state', 'store.db'), first, apps);
    await platform.up();
    const starts: number[] = [];
    for (let round = 0; round < Math.min(rounds, 3); round++) starts.push(await firstAnswerMs(platform));
    if (apps === SIZES[0]) rows.push(...(await benchApi(platform, rounds)));
    seen.push({
      apps,
      lists: await costOfLists(platform, first),
      startMs: median(starts),
      controlKib: pssKib(await platform.pidOf('control')),
      routerKib: pssKib(await platform.pidOf('router')),
    });
  }
  return [...rows, ...listRows(seen), ...growthRows(seen)];
}

function growthRows(seen: readonly Seen[]): Row[] {
  const [few, many] = [seen[0], seen.at(-1)];
  if (few === undefined || many === undefined) return [];
  const sizes = seen.map(({ apps }) => apps.toLocaleString('en')).join(' / ');
  const curve = (show: (one: Seen) => string): string => seen.map(show).join(' / ');
  const eachMicros = ((many.startMs - few.startMs) / (many.apps - few.apps)) * 1_000;
  return [
    {
      row: '26',
      what: `\`cupola up\` to the first answer of the API, with ${sizes} apps`,
      ours: curve(({ startMs }) => ms(startMs)),
      beside: `${eachMicros.toFixed(1)} us an app`,
      ratio: null,
      aim: '<= 10 us an app, < 1 s with 10,000',
      met: eachMicros <= 10 && (seen[1]?.startMs ?? 0) < 1_000,
    },
    {
      row: '26',
      what: `control / router memory with ${sizes} apps and routes (PSS)`,
      ours: curve(({ controlKib, routerKib }) => `${megabytes(controlKib)} + ${megabytes(routerKib)}`),
      beside: '',
      ratio: null,
      aim: 'shown',
      met: true,
    },
  ];
}
