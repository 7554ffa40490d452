/**
 * Rows 22, 23 and 26 and what grows with the number of apps: lists, the time to start, memory. The apps are copies of one that the API has made, with a
 * process and a route each, written into the store while the platform is down; most have nothing running, as in a large installation.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Platform, startPlatform } from '../test/platform.ts';
import { benchApi } from './api.ts';
import { get, right, saturate, type Target } from './load.ts';
import { firstAnswerMs } from './platform-cost.ts';
import { pssKib } from './processes.ts';
import { cpuMs } from './proxies.ts';
import { median, megabytes, micros, ms, type Row } from './table.ts';

const SIZES = [100, 10_000, 100_000];
const LIST_ROUNDS = 4;
const LIST_MS = 500;
/** Apps are spread over so many spaces. */
const SPACES = 20;

/** How each list is asked for; `deep` follows our own links' key to the page before the last. */
const LISTS = {
  'apps, first page': '/v3/apps?per_page=50',
  'apps by name, first page': '/v3/apps?per_page=50&order_by=name',
  'apps of a space': '/v3/apps?per_page=50&space_guids=SPACE',
  'apps with spaces and organizations': '/v3/apps?per_page=50&include=space.organization',
  'one app by name': '/v3/apps?names=seeded-50',
  'processes, first page': '/v3/processes?per_page=50',
  'routes, first page': '/v3/routes?per_page=50',
  'apps, last page by number': '/v3/apps?per_page=50&page=LAST',
} as const;
type ListName = keyof typeof LISTS;

interface Seen {
  apps: number;
  lists: Record<ListName, number>;
  startMs: number;
  controlKib: number;
  routerKib: number;
}

type Resources = { resources: Array<{ guid: string }> };

async function guidOf(platform: Platform, path: string): Promise<string> {
  const { body } = await platform.api('GET', path);
  return (body as Resources).resources[0]?.guid ?? '';
}

async function make(platform: Platform, path: string, body: unknown): Promise<string> {
  const made = await platform.api('POST', path, body);
  if (made.status !== 201) throw new Error(`POST ${path}: ${made.status} ${JSON.stringify(made.body)}`);
  return (made.body as { guid: string }).guid;
}

const to = (guid: string) => ({ data: { guid } });

/** The app that the others are copies of, and the spaces that they lie in. */
async function makeFirst(platform: Platform): Promise<{ app: string; spaces: string[] }> {
  const organization = await guidOf(platform, '/v3/organizations?names=cupola');
  const home = await guidOf(platform, '/v3/spaces?names=dev');
  const spaces = [home];
  for (let space = 1; space < SPACES; space++)
    spaces.push(
      await make(platform, '/v3/spaces', {
        name: `seeded-${space}`,
        relationships: { organization: to(organization) },
      }),
    );
  const app = await make(platform, '/v3/apps', { name: 'seeded-0', relationships: { space: to(home) } });
  const domain = await guidOf(platform, '/v3/domains?names=localhost');
  const route = await make(platform, '/v3/routes', {
    host: 'seeded-0',
    relationships: { space: to(home), domain: to(domain) },
  });
  await platform.api('POST', `/v3/routes/${route}/destinations`, { destinations: [{ app: { guid: app } }] });
  return { app, spaces };
}

/** Copies rows of `table`, with what `changed` says of each copy. */
function copyRows(
  db: DatabaseSync,
  table: string,
  from: { column: string; guid: string },
  copies: Iterable<Record<string, string | number>>,
): void {
  const columns = db
    .prepare(`select name from pragma_table_info('${table}')`)
    .all()
    .map(({ name }) => String(name));
  const row = db.prepare(`select * from ${table} where ${from.column} = ?`).get(from.guid);
  if (row === undefined) throw new Error(`there is no ${table} to copy`);
  const insert = db.prepare(`insert into ${table} (${columns.join()}) values (${columns.map(() => '?').join()})`);
  for (const changed of copies) insert.run(...columns.map(name => changed[name] ?? row[name] ?? null));
}

/** Adds apps until there are `apps`. */
function seed(path: string, first: { app: string; spaces: string[] }, apps: number): void {
  const db = new DatabaseSync(path);
  const route = String(db.prepare('select route_guid from route_destinations').get()?.route_guid);
  const begin = Number(db.prepare('select count(*) as count from apps').get()?.count);
  const at = Number(db.prepare('select created_at from apps where guid = ?').get(first.app)?.created_at);
  const made = Array.from({ length: apps - begin }, (_, index) => ({
    name: `seeded-${begin + index}`,
    space_guid: first.spaces[(begin + index) % SPACES] ?? '',
    app_guid: randomUUID(),
    process_guid: randomUUID(),
    route_guid: randomUUID(),
    created_at: at + begin + index,
  }));
  db.exec('begin');
  copyRows(
    db,
    'apps',
    { column: 'guid', guid: first.app },
    made.map(one => ({ ...one, guid: one.app_guid, updated_at: one.created_at })),
  );
  copyRows(
    db,
    'processes',
    { column: 'app_guid', guid: first.app },
    made.map(one => ({ ...one, guid: one.process_guid, updated_at: one.created_at })),
  );
  copyRows(
    db,
    'routes',
    { column: 'guid', guid: route },
    made.map(one => ({ ...one, guid: one.route_guid, host: one.name, updated_at: one.created_at })),
  );
  copyRows(
    db,
    'route_destinations',
    { column: 'route_guid', guid: route },
    made.map(one => ({ ...one, guid: randomUUID() })),
  );
  db.exec('commit');
  db.close();
}

/** CPU time of the platform's control process for a request of each list, us: what other work on the machine blurs least. By turns. */
async function costOfLists(platform: Platform, apps: number, space: string): Promise<Record<ListName, number>> {
  const control = await platform.pidOf('control');
  const token = await platform.token();
  const costs = new Map<ListName, number[]>();
  for (let round = 0; round < LIST_ROUNDS; round++)
    for (const name of Object.keys(LISTS) as ListName[]) {
      const path = LISTS[name].replace('LAST', String(Math.ceil(apps / 50))).replace('SPACE', space);
      const { status, body } = await platform.api('GET', path);
      if (status !== 200 || (body as Resources).resources.length === 0) throw new Error(`${path}: ${status}`);
      const target: Target = {
        port: platform.facts.apiPort,
        requests: [get('localhost', path, { Authorization: `bearer ${token}` })],
        bodyBytes: Buffer.byteLength(JSON.stringify(body)),
        connections: 1,
      };
      const before = cpuMs(control);
      const { requests } = right(path, await saturate(target, LIST_MS));
      // The first ones meet cold code.
      if (round > 0) costs.set(name, [...(costs.get(name) ?? []), ((cpuMs(control) - before) / requests) * 1_000]);
    }
  return Object.fromEntries([...costs].map(([name, all]) => [name, median(all)])) as Record<ListName, number>;
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
      lists: await costOfLists(platform, apps, first.spaces[1] ?? ''),
      startMs: median(starts),
      controlKib: pssKib(await platform.pidOf('control')),
      routerKib: pssKib(await platform.pidOf('router')),
    });
  }
  return [...rows, ...growthRows(seen)];
}

function growthRows(seen: readonly Seen[]): Row[] {
  const [few, many] = [seen[0], seen.at(-1)];
  if (few === undefined || many === undefined) return [];
  const sizes = seen.map(({ apps }) => apps.toLocaleString('en')).join(' / ');
  const curve = (show: (one: Seen) => string): string => seen.map(show).join(' / ');
  const lists = (Object.keys(LISTS) as ListName[]).map((name): Row => {
    const ratio = many.lists[name] / few.lists[name];
    return {
      row: '23',
      what: `CPU of a list, ${name}: with ${sizes} apps`,
      ours: curve(({ lists }) => micros(lists[name])),
      beside: 'the first of them',
      ratio,
      aim: '<= 1.5x',
      met: ratio <= 1.5,
    };
  });
  const eachMicros = ((many.startMs - few.startMs) / (many.apps - few.apps)) * 1_000;
  return [
    ...lists,
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
