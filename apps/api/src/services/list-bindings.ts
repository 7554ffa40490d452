/** Service credential bindings as lists and answers show them, and the list (CF: service_credential_binding_list_message.rb). */
import { pageOf } from '@cupola/contract/v3/parts';
import { serviceBindingAnswer } from '@cupola/contract/v3/service';
import { sql } from 'kysely';
import { z } from 'zod';
import { presentApps } from '../apps/list-apps.ts';
import type { ApiDeps } from '../deps.ts';
import { endpoint } from '../http/endpoint.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { includeList } from '../pages/include.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { scopeOf } from '../pages/scope.ts';
import type { BindingRow } from './change-binding.ts';
import { presentInstances } from './list-instances.ts';
import { presentBinding } from './present.ts';

export const includeOfBindings = includeList('app', 'service_instance').exactOptional();

const query = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  service_instance_guids: commaList.exactOptional(),
  service_instance_names: commaList.exactOptional(),
  service_plan_guids: commaList.exactOptional(),
  service_plan_names: commaList.exactOptional(),
  service_offering_guids: commaList.exactOptional(),
  service_offering_names: commaList.exactOptional(),
  app_guids: commaList.exactOptional(),
  app_names: commaList.exactOptional(),
  type: z.enum(['app', 'key'], { error: "Type must be one of 'app', 'key'" }).exactOptional(),
  include: includeOfBindings,
  order_by: orderBy('name'),
});
type ListQuery = z.infer<typeof query>;

function filters(asked: ListQuery): Condition[] {
  const conditions = commonConditions('service_bindings', asked);
  const having = (column: string, values: readonly string[] | undefined): void => {
    if (values !== undefined) conditions.push(among(`service_bindings.${column}`, values));
  };
  having('name', asked.names);
  having('app_guid', asked.app_guids);
  having('service_instance_guid', asked.service_instance_guids);
  if (asked.app_names !== undefined)
    conditions.push(sql`service_bindings.app_guid in (select guid from apps where ${among('name', asked.app_names)})`);
  if (asked.service_instance_names !== undefined)
    conditions.push(
      sql`service_bindings.service_instance_guid in (select guid from service_instances where ${among('name', asked.service_instance_names)})`,
    );
  const { service_plan_guids, service_plan_names, service_offering_guids, service_offering_names } = asked;
  // Plans and offerings are managed services', of which there are none; so are keys.
  if ([service_plan_guids, service_plan_names, service_offering_guids, service_offering_names].some(Boolean))
    conditions.push(sql`1 = 0`);
  if (asked.type === 'key') conditions.push(sql`1 = 0`);
  if (asked.label_selector !== undefined)
    conditions.push(labelSelectorCondition('service_binding', 'service_bindings.guid', asked.label_selector));
  return conditions;
}

export async function presentBindings({ store, config }: ApiDeps, rows: readonly BindingRow[]) {
  const guids = rows.map(({ guid }) => guid);
  const metadata = await readMetadata(store.read, 'service_binding', guids);
  return rows.map(row =>
    presentBinding(row, { metadata: metadata.get(row.guid) ?? NO_METADATA, baseUrl: config.publicUrl }),
  );
}

/** `included` for these bindings, when something was asked for. */
export async function includedOfBindings(
  deps: ApiDeps,
  rows: readonly BindingRow[],
  include: readonly string[] | undefined,
): Promise<{ included?: Record<string, unknown[]> }> {
  if (include === undefined) return {};
  const db = deps.store.read;
  const included: Record<string, unknown[]> = {};
  if (include.includes('app')) {
    const guids = [...new Set(rows.map(row => row.app_guid))];
    const apps = await inChunks(guids, some =>
      db.selectFrom('apps').selectAll().where(among('guid', some)).orderBy('created_at').orderBy('guid').execute(),
    );
    included.apps = await presentApps(deps, apps);
  }
  if (include.includes('service_instance')) {
    const guids = [...new Set(rows.map(row => row.service_instance_guid))];
    const instances = await inChunks(guids, some =>
      db.selectFrom('service_instances').selectAll().where(among('guid', some)).orderBy('created_at').execute(),
    );
    included.service_instances = await presentInstances(deps, instances);
  }
  return { included };
}

export const listBindings = endpoint({
  method: 'GET',
  path: '/v3/service_credential_bindings',
  summary: 'Service credential bindings that the asker may see',
  query,
  responseSchema: pageOf(serviceBindingAnswer),
  handle: async (deps, request) => {
    const { ask, total, rows, after } = await listRows(deps.store.read, 'service_bindings', request.query, {
      conditions: filters(request.query),
      // Where its app is: both ends are in one space.
      scope: await scopeOf(deps.store.read, request.actor),
    });
    const resources = await presentBindings(deps, rows);
    const included = await includedOfBindings(deps, rows, request.query.include);
    return { status: 200, body: pageBody(request, ask, { total, resources, after, ...included }) };
  },
});
