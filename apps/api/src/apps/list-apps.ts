/** Apps as lists and answers show them, and the list itself (CF: apps_list_message.rb, app_list_fetcher.rb). */
import { app as appAnswer } from '@cupola/contract/v3/app';
import { pageOf } from '@cupola/contract/v3/parts';
import type { AppsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { endpoint } from '../http/endpoint.ts';
import { JsonTexts } from '../http/json-text.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, named, orderBy } from '../pages/filters.ts';
import { includeList } from '../pages/include.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { scopeOf } from '../pages/scope.ts';
import { includedSpaces } from './include-spaces.ts';
import { presentApp, SHOWN_COLUMNS, type ShownApp } from './present-app.ts';

export const includeOfApps = includeList('space', 'org', 'space.organization').exactOptional();

export async function presentApps({ store, config }: ApiDeps, apps: ReadonlyArray<Selectable<AppsTable>>) {
  const metadata = await readMetadata(
    store.read,
    'app',
    apps.map(app => app.guid),
  );
  return apps.map(app => presentApp(app, metadata.get(app.guid) ?? NO_METADATA, config.publicUrl));
}

/** As `presentApps`, as JSON: for lists, where most apps are what they were when they were last shown. */
async function appTexts({ store, config, shownApps }: ApiDeps, apps: readonly ShownApp[]) {
  const guids = apps.map(app => app.guid);
  const found = await readMetadata(store.read, 'app', guids);
  const baseUrl = config.publicUrl;
  const texts = apps.map(app => {
    // One and the same for all that have none: those with labels are shown anew.
    const metadata = found.get(app.guid) ?? NO_METADATA;
    return shownApps.textOf(app.guid, { of: app, beside: [metadata, baseUrl] }, () =>
      presentApp(app, metadata, baseUrl),
    );
  });
  return new JsonTexts(texts);
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
    const { ask, total, rows, after } = await listRows(deps.store.read, 'apps', asked, {
      conditions,
      scope,
      only: SHOWN_COLUMNS,
    });
    const resources = await appTexts(deps, rows);
    const { include } = asked;
    const included = include === undefined ? {} : { included: await includedSpaces(deps, rows, { actor, include }) };
    return { status: 200, body: pageBody(request, ask, { total, resources, after, ...included }) };
  },
});
