/** Lists of droplets: of all that one may see, of an app, of a package. That of a build that nobody has asked for is not there. */
import { dropletAnswer } from '@cupola/contract/v3/build';
import type { DropletsTable } from '@cupola/store/schema';
import { type Selectable, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, endpoint, type Reply } from '../http/endpoint.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { seenPackage } from '../packages/find-package.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { type Scope, scopeOf } from '../pages/scope.ts';
import { presentDroplet } from './present-droplet.ts';

export type DropletRow = Selectable<DropletsTable>;

const filters = { ...listQuery, states: commaList.exactOptional(), order_by: orderBy() };
const query = z.strictObject({
  ...filters,
  app_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
});
type ListQuery = z.output<typeof query>;

export async function presentDroplets({ store, config }: ApiDeps, rows: readonly DropletRow[]) {
  const metadata = await readMetadata(
    store.read,
    'droplet',
    rows.map(({ guid }) => guid),
  );
  return rows.map(row => presentDroplet(row, metadata.get(row.guid) ?? NO_METADATA, config.publicUrl));
}

/** Asked for, or not made by a build at all. */
export const isVisibleDroplet = sql<SqlBool>`not exists (
  select 1 from builds where builds.guid = droplets.build_guid and builds.adopted = 0)`;

async function list(
  deps: ApiDeps,
  request: ApiRequest<ListQuery, undefined>,
  { within = [], scope }: { within?: Condition[]; scope?: Scope },
): Promise<Reply> {
  const asked = request.query;
  const conditions = [
    ...within,
    ...commonConditions('droplets', asked),
    ...(asked.states === undefined ? [] : [among('droplets.state', asked.states)]),
    ...(asked.app_guids === undefined ? [] : [among('droplets.app_guid', asked.app_guids)]),
    ...(asked.label_selector === undefined
      ? []
      : [labelSelectorCondition('droplet', 'droplets.guid', asked.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'droplets', asked, {
    conditions,
    shown: isVisibleDroplet,
    ...(scope === undefined ? {} : { scope }),
  });
  return { status: 200, body: pageBody(request, ask, { total, resources: await presentDroplets(deps, rows), after }) };
}

export const listDroplets = endpoint({
  method: 'GET',
  path: '/v3/droplets',
  summary: 'Droplets that the asker may see',
  query,
  responseSchema: dropletAnswer,
  handle: async (deps, request) => {
    const scope = await scopeOf(deps.store.read, request.actor, { asked: request.query });
    return list(deps, request, { scope });
  },
});

export const listDropletsOfApp = endpoint({
  method: 'GET',
  path: '/v3/apps/:guid/droplets',
  summary: 'Droplets of an app',
  query: z.strictObject({ ...filters, current: z.enum(['true', 'false']).exactOptional() }),
  responseSchema: dropletAnswer,
  handle: async (deps, request) => {
    const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
    const isCurrent = request.query.current === 'true';
    const current = isCurrent ? [among('droplets.guid', [app.current_droplet_guid ?? ''])] : [];
    return list(deps, request, { within: [among('droplets.app_guid', [app.guid]), ...current] });
  },
});

export const listDropletsOfPackage = endpoint({
  method: 'GET',
  path: '/v3/packages/:guid/droplets',
  summary: 'Droplets staged from a package',
  query: z.strictObject(filters),
  responseSchema: dropletAnswer,
  handle: async (deps, request) => {
    const { row } = await seenPackage(deps.store.read, request.actor, request.params.guid ?? '');
    return list(deps, request, { within: [among('droplets.package_guid', [row.guid])] });
  },
});
