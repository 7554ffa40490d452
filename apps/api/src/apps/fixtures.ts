/** Apps for tests, made by the API itself: with a staged droplet, started, with copies on a cell. */
import { randomUUID } from 'node:crypto';
import { aCopy, aDroplet, aPlacement } from '@cupola/store/fixtures';
import type { CopiesTable, DropletsTable } from '@cupola/store/schema';
import type { Json, TestAnswer, TestApi } from '../fixtures.ts';

/** As the cf CLI sends them: one trace for each command. */
export function cliHeaders(trace: string = randomUUID()): Record<string, string> {
  return { 'user-agent': 'cf/8.18.4+abc (go1.26; amd64 linux)', 'x-b3-traceid': trace };
}

/** `POST /v3/apps` in the space `dev`, or another. @returns the app's JSON. */
export async function makeApp(test: TestApi, given: Record<string, unknown> = {}): Promise<Json> {
  const { space = test.home.spaceGuid, ...body } = { name: `app-${randomUUID().slice(0, 8)}`, ...given };
  const answer = await test.api('POST', '/v3/apps', {
    token: test.admin,
    body: { relationships: { space: { data: { guid: space } } }, ...body },
  });
  if (answer.status !== 201) throw new Error(`making an app: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** An app whose current droplet is staged. */
export async function makeStagedApp(
  test: TestApi,
  given: { app?: Record<string, unknown>; droplet?: Partial<DropletsTable> } = {},
): Promise<Json> {
  const app = await makeApp(test, given.app);
  const droplet = await aDroplet(test.deps.store, { app_guid: app.guid, ...given.droplet });
  const path = `/v3/apps/${app.guid}/relationships/current_droplet`;
  const answer = await test.api('PATCH', path, { token: test.admin, body: { data: { guid: droplet.guid } } });
  if (answer.status !== 200) throw new Error(`assigning a droplet: ${JSON.stringify(answer.body)}`);
  return app;
}

export async function makeStartedApp(test: TestApi, given: Parameters<typeof makeStagedApp>[1] = {}): Promise<Json> {
  const app = await makeStagedApp(test, given);
  const answer = await test.api('POST', `/v3/apps/${app.guid}/actions/start`, { token: test.admin });
  if (answer.status !== 200) throw new Error(`starting an app: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Where the scheduler would put this index of what was fixed last, with its copy as the cell would report it. */
export async function placeCopy(
  { deps: { store } }: TestApi,
  processGuid: string,
  given: Partial<CopiesTable> = {},
): Promise<CopiesTable> {
  const process = await store.read
    .selectFrom('processes')
    .selectAll()
    .where('guid', '=', processGuid)
    .executeTakeFirstOrThrow();
  const common = {
    app_guid: process.app_guid,
    process_guid: process.guid,
    index_number: given.index_number ?? 0,
    run_spec_guid: given.run_spec_guid ?? process.run_spec_guid ?? '',
  };
  const placement = await aPlacement(store, common);
  return aCopy(store, { ...common, guid: placement.guid, cell_id: placement.cell_id, ...given });
}

/** Types of the audit events about one thing, oldest first. */
export async function eventTypes({ deps: { store } }: TestApi, guid: string): Promise<string[]> {
  const rows = await store.read
    .selectFrom('audit_events')
    .select('type')
    .where('target_guid', '=', guid)
    .orderBy('created_at')
    .execute();
  return rows.map(row => row.type.replace('audit.', '')).sort();
}

/** What the app's own log says of requests. */
export async function apiLines({ deps: { logs } }: TestApi, appGuid: string): Promise<string[]> {
  const lines = await logs.read({ appGuid, limit: 1_000, descending: false, sourceTypes: ['API'] });
  return lines.map(({ line }) => line);
}

/** The sentences of a failure. */
export function details(answer: TestAnswer): string[] {
  return answer.body.errors.map((error: Json) => error.detail);
}
