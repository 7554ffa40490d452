/** Lists of builds: of all that one may see, and of one app. What nobody has asked for is not there. */
import { buildAnswer } from '@cupola/contract/v3/build';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { z } from 'zod';
import { seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, endpoint, type Reply } from '../http/endpoint.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { type Scope, scopeOf } from '../pages/scope.ts';
import type { BuildRow } from './create-build.ts';
import { presentBuild } from './present-build.ts';

const filters = {
  ...listQuery,
  states: commaList.exactOptional(),
  package_guids: commaList.exactOptional(),
  order_by: orderBy(),
};
const query = z.strictObject({ ...filters, app_guids: commaList.exactOptional() });
type ListQuery = z.output<typeof query>;

export async function presentBuilds({ store, config }: ApiDeps, rows: readonly BuildRow[]) {
  const metadata = await readMetadata(
    store.read,
    'build',
    rows.map(({ guid }) => guid),
  );
  const images = await ofImages(store.read, rows);
  return rows.map(row =>
    presentBuild(row, {
      metadata: metadata.get(row.guid) ?? NO_METADATA,
      isDocker: images.has(row.app_guid),
      baseUrl: config.publicUrl,
    }),
  );
}

/** Of the apps of these builds, those that are images: an app stays what it was made as. */
async function ofImages(db: Kysely<Database>, rows: readonly BuildRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const found = await db
    .selectFrom('apps')
    .select('guid')
    .where('guid', 'in', [...new Set(rows.map(row => row.app_guid))])
    .where('lifecycle_type', '=', 'docker')
    .execute();
  return new Set(found.map(({ guid }) => guid));
}

async function list(
  deps: ApiDeps,
  request: ApiRequest<ListQuery, undefined>,
  { within = [], scope }: { within?: Condition[]; scope?: Scope },
): Promise<Reply> {
  const asked = request.query;
  const conditions = [
    ...within,
    ...commonConditions('builds', asked),
    ...(asked.states === undefined ? [] : [among('builds.state', asked.states)]),
    ...(asked.app_guids === undefined ? [] : [among('builds.app_guid', asked.app_guids)]),
    ...(asked.package_guids === undefined ? [] : [among('builds.package_guid', asked.package_guids)]),
    ...(asked.label_selector === undefined
      ? []
      : [labelSelectorCondition('build', 'builds.guid', asked.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'builds', asked, {
    conditions,
    shown: sql`builds.adopted = 1`,
    ...(scope === undefined ? {} : { scope }),
  });
  return { status: 200, body: pageBody(request, ask, { total, resources: await presentBuilds(deps, rows), after }) };
}

export const listBuilds = endpoint({
  method: 'GET',
  path: '/v3/builds',
  summary: 'Builds that the asker may see',
  query,
  responseSchema: buildAnswer,
  handle: async (deps, request) => list(deps, request, { scope: await scopeOf(deps.store.read, request.actor) }),
});

export const listBuildsOfApp = endpoint({
  method: 'GET',
  path: '/v3/apps/:guid/builds',
  summary: 'Builds of an app',
  query: z.strictObject(filters),
  responseSchema: buildAnswer,
  handle: async (deps, request) => {
    const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
    return list(deps, request, { within: [among('builds.app_guid', [app.guid])] });
  },
});
