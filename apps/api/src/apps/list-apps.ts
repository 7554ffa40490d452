/** Apps as lists and answers show them, and the list itself (CF: apps_list_message.rb, app_list_fetcher.rb). */
import { app as appAnswer } from '@cupola/contract/v3/app';
import { pageOf } from '@cupola/contract/v3/parts';
import type { AppsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { endpoint } from '../http/endpoint.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, named, orderBy } from '../pages/filters.ts';
import { includeList } from '../pages/include.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { scopeOf } from '../pages/scope.ts';
import { includedSpaces } from './include-spaces.ts';
import { presentApp } from './present-app.ts';

export const includeOfApps = includeList('space', 'org', 'space.organization').exactOptional();

export async function presentApps({ store, config }: ApiDeps, apps: ReadonlyArray<Selectable<AppsTable>>) {
  const metadata = await readMetadata(
    store.read,
    'app',
    apps.map(app => app.guid),
  );
  return apps.map(app => presentApp(app, metadata.get(app.guid) ?? NO_METADATA, config.publicUrl));
}

const query = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
  stacks: commaList.exactOptional(),
  lifecycle_type: z
    .enum(['buildpack', 'docker', 'cnb'], { error: 'Lifecycle type must be one of: buildpack, docker, cnb' })
    .exactOptional(),
  include: includeOfApps,
  order_by: orderBy('name', 'state'),
});

function filters(asked: z.infer<typeof query>): Condition[] {
  const conditions = commonConditions('apps', asked);
  if (asked.names !== undefined) conditions.push(named('apps.name', asked.names));
  if (asked.stacks !== undefined) conditions.push(among('apps.stack', asked.stacks));
  if (asked.lifecycle_type !== undefined) conditions.push(among('apps.lifecycle_type', [asked.lifecycle_type]));
  if (asked.label_selector !== undefined)
    conditions.push(labelSelectorCondition('app', 'apps.guid', asked.label_selector));
  return conditions;
}

export const listApps = endpoint({
  method: 'GET',
  path: '/v3/apps',
  summary: 'Apps that the asker may see',
  query,
  responseSchema: pageOf(appAnswer),
  handle: async (deps, request) => {
    const { query: asked, actor } = request;
    const scope = await scopeOf(deps.store.read, actor, { asked });
    const conditions = filters(asked);
    const { ask, total, rows, after } = await listRows(deps.store.read, 'apps', asked, { conditions, scope });
    const resources = await presentApps(deps, rows);
    const { include } = asked;
    const included = include === undefined ? {} : { included: await includedSpaces(deps, rows, { actor, include }) };
    return { status: 200, body: pageBody(request, ask, { total, resources, after, ...included }) };
  },
});
