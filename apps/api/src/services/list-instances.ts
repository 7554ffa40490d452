/** Service instances as lists and answers show them, and the list (CF: service_instances_list_message.rb, service_instance_list_fetcher.rb). */
import { pageOf } from '@cupola/contract/v3/parts';
import { serviceInstanceAnswer } from '@cupola/contract/v3/service';
import { sql } from 'kysely';
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { endpoint } from '../http/endpoint.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { fieldList, includedSpaceFields, spaceFields } from '../pages/fields.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { scopeOf } from '../pages/scope.ts';
import type { InstanceRow } from './find-instance.ts';
import { presentInstance } from './present.ts';
import { openSecrets } from './secrets.ts';

/** What `cf services` asks for of plans and brokers, which nothing here has. */
const planFields = {
  'fields[service_plan]': fieldList('service_plan', ['guid', 'name', 'relationships.service_offering']),
  'fields[service_plan.service_offering]': fieldList('service_plan.service_offering', [
    'name',
    'guid',
    'description',
    'documentation_url',
    'tags',
    'relationships.service_broker',
  ]),
  'fields[service_plan.service_offering.service_broker]': fieldList('service_plan.service_offering.service_broker', [
    'name',
    'guid',
  ]),
};
const PLURALS: Record<keyof typeof planFields, string> = {
  'fields[service_plan]': 'service_plans',
  'fields[service_plan.service_offering]': 'service_offerings',
  'fields[service_plan.service_offering.service_broker]': 'service_brokers',
};
export const instanceFields = { ...spaceFields, ...planFields };
type FieldQuery = z.infer<z.ZodObject<typeof instanceFields>>;

const query = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
  service_plan_guids: commaList.exactOptional(),
  service_plan_names: commaList.exactOptional(),
  type: z
    .enum(['managed', 'user-provided'], { error: "Type must be one of 'managed', 'user-provided'" })
    .exactOptional(),
  ...instanceFields,
  order_by: orderBy('name'),
});

/** `included` for these instances, when something was asked for. */
export async function includedOfInstances({ store }: ApiDeps, rows: readonly InstanceRow[], asked: FieldQuery) {
  const included = await includedSpaceFields(store.read, rows, asked);
  for (const [key, plural] of Object.entries(PLURALS))
    if (asked[key as keyof typeof planFields] !== undefined) included[plural] = [];
  return Object.keys(included).length === 0 ? {} : { included };
}

export async function presentInstances({ store, sealer, config }: ApiDeps, rows: readonly InstanceRow[]) {
  const guids = rows.map(({ guid }) => guid);
  const metadata = await readMetadata(store.read, 'service_instance', guids);
  return rows.map(row =>
    presentInstance(row, openSecrets(sealer, row.secrets_sealed), {
      metadata: metadata.get(row.guid) ?? NO_METADATA,
      baseUrl: config.publicUrl,
    }),
  );
}

function filters(asked: z.infer<typeof query>): Condition[] {
  const conditions = commonConditions('service_instances', asked);
  if (asked.names !== undefined) conditions.push(among('service_instances.name', asked.names));
  // Only managed ones have plans, and there is none.
  if (asked.type === 'managed' || asked.service_plan_guids !== undefined || asked.service_plan_names !== undefined)
    conditions.push(sql`1 = 0`);
  if (asked.label_selector !== undefined)
    conditions.push(labelSelectorCondition('service_instance', 'service_instances.guid', asked.label_selector));
  return conditions;
}

export const listInstances = endpoint({
  method: 'GET',
  path: '/v3/service_instances',
  summary: 'Service instances that the asker may see',
  query,
  responseSchema: pageOf(serviceInstanceAnswer),
  handle: async (deps, request) => {
    const { query: asked, actor } = request;
    const { ask, total, rows, after } = await listRows(deps.store.read, 'service_instances', asked, {
      conditions: filters(asked),
      scope: await scopeOf(deps.store.read, actor, { asked }),
    });
    const resources = await presentInstances(deps, rows);
    const included = await includedOfInstances(deps, rows, asked);
    return { status: 200, body: pageBody(request, ask, { total, resources, after, ...included }) };
  },
});
