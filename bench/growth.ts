/**
 * Rows 22, 23 and 26 and what grows with the number of apps: lists, the time to start, memory. The apps are copies of one that the API has made, with a
 * process, a route, a package, a service instance and an event each, written into the store while the platform is down; most have nothing running, as in a
 * large installation.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startPostgres } from '../packages/store/src/postgres-server.ts';
import { type Platform, startPlatform } from '../test/platform.ts';
import { benchApi } from './api.ts';
import { costOfLists, type First, listRows, makeFirst, rowsOfPostgres, rowsOfSqlite, seed } from './lists.ts';
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

/** Where the platform has its rows. */
interface Engine extends AsyncDisposable {
  name: string;
  /** With the platform down. */
  seed(first: First, apps: number): Promise<void>;
  /** Of the control process, and of the engine where that is another one. */
  pids(): Promise<readonly number[]>;
}

function sqliteOf(platform: Platform): Engine {
  return {
    name: 'SQLite',
    seed: async (first, apps) => {
      using db = new DatabaseSync(join(platform.data, 'state', 'store.db'));
      db.exec('begin');
      await seed(rowsOfSqlite(db), first, apps);
      db.exec('commit');
    },
    pids: async () => [await platform.pidOf('control')],
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function postgresOf(platform: Platform): Promise<Engine> {
  const server = await startPostgres({ durable: true });
  const database = await server.database();
  await platform.cupola(['migrate', '--to', server.url(database), '--data', platform.data]);
  return {
    name: 'PostgreSQL',
    seed: async (first, apps) => {
      const client = await server.client(database);
      await client.query('begin');
      await seed(rowsOfPostgres({ query: client.query.bind(client) }), first, apps);
      await client.query('commit');
      // As its autovacuum does within a minute.
      await client.query('vacuum analyze');
      await client.end();
    },
    pids: async () => [await platform.pidOf('control'), server.pid()],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export async function benchGrowth(rounds: number): Promise<Row[]> {
  await using platform = await startPlatform();
  return await grow(platform, sqliteOf(platform), rounds);
}

export async function benchGrowthOnPostgres(rounds: number): Promise<Row[]> {
  await using platform = await startPlatform();
  await using engine = await postgresOf(platform);
  return await grow(platform, engine, rounds);
}

async function grow(platform: Platform, engine: Engine, rounds: number): Promise<Row[]> {
  const first = await makeFirst(platform);
  const seen: Seen[] = [];
  const rows: Row[] = [];
  for (const apps of SIZES) {
    await platform.down();
    await engine.seed(first, apps);
    await platform.up();
    const starts: number[] = [];
    for (let round = 0; round < Math.min(rounds, 3); round++) starts.push(await firstAnswerMs(platform));
    if (apps === SIZES[0]) rows.push(...(await benchApi(platform, { rounds, engine: engine.name })));
    seen.push({
      apps,
      lists: await costOfLists(platform, first, engine.pids),
      startMs: median(starts),
      controlKib: pssKib(await platform.pidOf('control')),
      routerKib: pssKib(await platform.pidOf('router')),
    });
  }
  return [...rows, ...listRows(engine.name, seen), ...growthRows(seen)];
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
