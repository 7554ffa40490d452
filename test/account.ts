/** What a platform can tell of an app that does not do what a test waits for: printed with the failure, since the platform is gone after it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Platform, traces } from './platform.ts';

/** Of each log, as much as a reader may want of the moments before. */
const LOG_TAIL_BYTES = 12_000;

/** Never rejects: what cannot be had is told as its error. */
export async function account(platform: Platform, appGuid: string): Promise<string> {
  const { data } = platform;
  const api = async (path: string): Promise<string> => JSON.stringify((await platform.api('GET', path)).body);
  const chapters: Array<[title: string, tell: () => string | Promise<string>]> = [
    ['status', async () => JSON.stringify(await platform.status())],
    ['instances', () => api(`/v3/apps/${appGuid}/processes/web/stats`)],
    ['events', () => events(platform, appGuid)],
    ['processes', () => traces(data).processes.join('\n')],
    ...platform.machines.flatMap(folder => [
      ...filesOf(join(folder, 'cell', 'instances', 'copies'), '.json').map(
        file => [file, () => withoutEnvironment(readFileSync(file, 'utf8'))] as (typeof chapters)[number],
      ),
      ...filesOf(join(folder, 'log'), '').map(
        file => [file, () => readFileSync(file, 'utf8').slice(-LOG_TAIL_BYTES)] as (typeof chapters)[number],
      ),
    ]),
  ];
  const told: string[] = [];
  for (const [title, tell] of chapters) told.push(`--- ${title}\n${await Promise.resolve().then(tell).catch(String)}`);
  return told.join('\n');
}

async function events(platform: Platform, appGuid: string): Promise<string> {
  const { body } = await platform.api('GET', `/v3/audit_events?target_guids=${appGuid}&per_page=100`);
  const { resources } = body as { resources: Array<{ type: string; created_at: string; data: unknown }> };
  return resources.map(({ created_at, type, data }) => `${created_at} ${type} ${JSON.stringify(data)}`).join('\n');
}

function filesOf(folder: string, ending: string): string[] {
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith(ending))
      .map(name => join(folder, name));
  } catch {
    return []; // This platform has none yet.
  }
}

function withoutEnvironment(record: string): string {
  return JSON.stringify(JSON.parse(record), (key, value: unknown) => (key === 'environment' ? undefined : value));
}
