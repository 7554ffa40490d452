/** Row 23: what a list costs the control process as there is more of everything, for an admin, a manager of the organization of all, and a developer of half. */
import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { PostgresServer } from '../packages/store/src/postgres-server.ts';
import type { Platform } from '../test/platform.ts';
import { get, right, saturate, type Target } from './load.ts';
import { cpuMs } from './proxies.ts';
import { median, micros, type Row } from './table.ts';

const ROUNDS = 4;
const ROUND_MS = 300;
/** Apps are spread over so many spaces. */
const SPACES = 20;
const PASSWORD = 'bench bench bench';

type Who = 'admin' | 'manager' | 'developer';
const ALL = {
  'apps, first page': '/v3/apps?per_page=50',
  'apps by name, first page': '/v3/apps?per_page=50&order_by=name',
  'apps of a space, 5 on a page': '/v3/apps?per_page=5&space_guids=SPACE',
  'apps of an organization': '/v3/apps?per_page=50&organization_guids=ORGANIZATION',
  'one app by name': '/v3/apps?names=seeded-50',
  'processes, first page': '/v3/processes?per_page=50',
  'routes, first page': '/v3/routes?per_page=50',
  'packages, first page': '/v3/packages?per_page=50',
  'apps, last page by number': '/v3/apps?per_page=50&page=LAST',
} as const;
const LISTS: Record<Who, Readonly<Record<string, string>>> = {
  admin: { ...ALL, 'apps with spaces and organizations': '/v3/apps?per_page=50&include=space.organization' },
  manager: { ...ALL, 'service instances, first page': '/v3/service_instances?per_page=50' },
  developer: { ...ALL, 'audit events, first page': '/v3/audit_events?per_page=50' },
};
const ASKED = (Object.keys(LISTS) as Who[]).flatMap(who =>
  Object.entries(LISTS[who]).map(([name, path]) => ({ who, name: `${who}: ${name}`, path })),
);

/** What the others are copies of, and where they lie. */
export interface First {
  app: string;
  route: string;
  organization: string;
  spaces: string[];
}

type Listed = { resources: Array<{ guid: string }>; pagination: { total_pages: number } };

async function guidOf(platform: Platform, path: string): Promise<string> {
  const { body } = await platform.api('GET', path);
  return (body as Listed).resources[0]?.guid ?? '';
}

async function make(platform: Platform, path: string, body: unknown): Promise<string> {
  const made = await platform.api('POST', path, body);
  if (made.status !== 201) throw new Error(`POST ${path}: ${made.status} ${JSON.stringify(made.body)}`);
  const { guid, id } = made.body as { guid?: string; id?: string };
  return guid ?? id ?? '';
}

const to = (guid: string) => ({ data: { guid } });

async function makeUser(platform: Platform, username: Who): Promise<(type: string, place: object) => Promise<string>> {
  const guid = await make(platform, '/Users', {
    userName: username,
    password: PASSWORD,
    emails: [{ value: username }],
  });
  await make(platform, '/v3/users', { guid });
  return (type, place) => make(platform, '/v3/roles', { type, relationships: { user: to(guid), ...place } });
}

/** An app with a process, a route, a package, a service instance and an event, and who will ask for them. */
export async function makeFirst(platform: Platform): Promise<First> {
  const organization = await guidOf(platform, '/v3/organizations?names=cupola');
  const spaces = [await guidOf(platform, '/v3/spaces?names=dev')];
  for (let space = 1; space < SPACES; space++) {
    const relationships = { organization: to(organization) };
    spaces.push(await make(platform, '/v3/spaces', { name: `seeded-${space}`, relationships }));
  }
  const relationships = { space: to(spaces[0] ?? '') };
  const app = await make(platform, '/v3/apps', { name: 'seeded-0', relationships });
  await make(platform, '/v3/packages', { type: 'bits', relationships: { app: to(app) } });
  await make(platform, '/v3/service_instances', { type: 'user-provided', name: 'seeded-0', relationships });
  const domain = to(await guidOf(platform, '/v3/domains?names=localhost'));
  const route = await make(platform, '/v3/routes', { host: 'seeded-0', relationships: { ...relationships, domain } });
  await platform.api('POST', `/v3/routes/${route}/destinations`, { destinations: [{ app: { guid: app } }] });
  const manages = await makeUser(platform, 'manager');
  await manages('organization_manager', { organization: to(organization) });
  const develops = await makeUser(platform, 'developer');
  await develops('organization_user', { organization: to(organization) });
  for (const [number, space] of spaces.entries())
    if (number % 2 === 1) await develops('space_developer', { space: to(space) });
  return { app, route, organization, spaces };
}

type PostgresClient = Awaited<ReturnType<PostgresServer['client']>>;
type Cell = string | number | null;

/** The rows of a platform that is down. */
interface Rows {
  /** One row of `table`. */
  one(table: string, column: string, is: string): Promise<Record<string, Cell>>;
  count(table: string): Promise<number>;
  insert(table: string, rows: readonly Record<string, Cell>[]): Promise<void>;
}

export function rowsOfSqlite(db: DatabaseSync): Rows {
  return {
    one: async (table, column, is) =>
      (db.prepare(`select * from ${table} where ${column} = ? limit 1`).get(is) ?? {}) as Record<string, Cell>,
    count: async table => Number(db.prepare(`select count(*) as count from ${table}`).get()?.count),
    insert: async (table, rows) => {
      const columns = Object.keys(rows[0] ?? {});
      const insert = db.prepare(`insert into ${table} (${columns.join()}) values (${columns.map(() => '?').join()})`);
      for (const row of rows) insert.run(...columns.map(name => row[name] ?? null));
    },
  };
}

/** Of one statement: JSON of a few megabytes. */
const ROWS_AT_ONCE = 5_000;

export function rowsOfPostgres({ query }: { query: PostgresClient['query'] }): Rows {
  return {
    one: async (table, column, is) =>
      (await query(`select * from ${table} where ${column} = $1 limit 1`, [is])).rows[0] as Record<string, Cell>,
    count: async table => Number((await query(`select count(*) as count from ${table}`)).rows[0]?.count),
    insert: async (table, rows) => {
      for (let at = 0; at < rows.length; at += ROWS_AT_ONCE)
        await query(`insert into ${table} select * from jsonb_populate_recordset(null::${table}, $1)`, [
          JSON.stringify(rows.slice(at, at + ROWS_AT_ONCE)),
        ]);
    },
  };
}

/** Adds apps, and what lies beside each, until there are `apps`. The platform is down meanwhile. */
export async function seed(rows: Rows, { app, route, spaces }: First, apps: number): Promise<void> {
  const begin = await rows.count('apps');
  const at = Number((await rows.one('apps', 'guid', app)).created_at);
  const made = Array.from({ length: apps - begin }, (_, index) => ({
    name: `seeded-${begin + index}`,
    host: `seeded-${begin + index}`,
    space_guid: spaces[(begin + index) % SPACES] ?? '',
    app_guid: randomUUID(),
    route_guid: randomUUID(),
    created_at: at + begin + index,
    updated_at: at + begin + index,
  }));
  const copy = async (table: string, where: string, is: string, guid: (one: (typeof made)[number]) => string) => {
    const first = await rows.one(table, where, is);
    const known = (one: object) => Object.entries(one).filter(([name]) => name in first);
    await rows.insert(
      table,
      made.map(one => ({ ...first, ...Object.fromEntries(known({ ...one, guid: guid(one) })) })),
    );
  };
  await copy('apps', 'guid', app, ({ app_guid }) => app_guid);
  await copy('routes', 'guid', route, ({ route_guid }) => route_guid);
  for (const [table, where, is] of [
    ['processes', 'app_guid', app],
    ['packages', 'app_guid', app],
    ['service_instances', 'space_guid', spaces[0] ?? ''],
    ['audit_events', 'target_guid', app],
    ['route_destinations', 'route_guid', route],
  ] as const)
    await copy(table, where, is, () => randomUUID());
}

/** CPU time of these processes for a request of each list, us: what other work on the machine blurs least. By turns. */
export async function costOfLists(
  platform: Platform,
  { organization, spaces }: First,
  pids: () => Promise<readonly number[]>,
): Promise<Map<string, number>> {
  const cpu = async (): Promise<number> => (await pids()).reduce((sum, pid) => sum + cpuMs(pid), 0);
  const tokens: Record<Who, string> = {
    admin: await platform.token(),
    manager: await platform.token({ username: 'manager', password: PASSWORD }),
    developer: await platform.token({ username: 'developer', password: PASSWORD }),
  };
  const read = async (who: Who, path: string): Promise<{ text: string; body: Listed }> => {
    const headers = { authorization: `bearer ${tokens[who]}`, host: 'localhost' };
    const answer = await fetch(`http://127.0.0.1:${platform.facts.apiPort}${path}`, { headers });
    const text = await answer.text();
    return { text, body: JSON.parse(text) as Listed };
  };
  const costs = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++)
    for (const { who, name, path: asked } of ASKED) {
      const all = asked.replace('SPACE', spaces[1] ?? '').replace('ORGANIZATION', organization);
      const first = await read(who, all.replace('LAST', '1'));
      const path = all.replace('LAST', String(first.body.pagination?.total_pages));
      const { body, text } = await read(who, path);
      // Who sees every other space does not see the one that is asked for by its name.
      const isEmpty = who === 'developer' && path.includes('names=');
      if ((body.resources?.length === 0) !== isEmpty) throw new Error(`${name}: ${text.slice(0, 500)}`);
      const target: Target = {
        port: platform.facts.apiPort,
        requests: [get('localhost', path, { Authorization: `bearer ${tokens[who]}` })],
        bodyBytes: Buffer.byteLength(text),
        connections: 1,
      };
      const before = await cpu();
      const { requests } = right(path, await saturate(target, ROUND_MS));
      // The first ones meet cold code.
      if (round > 0) costs.set(name, [...(costs.get(name) ?? []), (((await cpu()) - before) / requests) * 1_000]);
    }
  return new Map([...costs].map(([name, all]) => [name, median(all)]));
}

/** By how much each list grows from the first of these to the last. */
export function listRows(engine: string, seen: ReadonlyArray<{ apps: number; lists: Map<string, number> }>): Row[] {
  const [few, many] = [seen[0], seen.at(-1)];
  if (few === undefined || many === undefined) return [];
  const sizes = seen.map(({ apps }) => apps.toLocaleString('en')).join(' / ');
  return ASKED.map(({ name }): Row => {
    const cost = ({ lists }: { lists: Map<string, number> }): number => lists.get(name) ?? Number.NaN;
    const ratio = cost(many) / cost(few);
    return {
      row: '23',
      what: `CPU of a list on ${engine}, ${name}: with ${sizes} apps`,
      ours: seen.map(one => micros(cost(one))).join(' / '),
      beside: 'the first of them',
      ratio,
      aim: '<= 1.5x',
      met: ratio <= 1.5,
    };
  });
}
