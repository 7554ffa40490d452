/** Usage events of apps and of services, for admins; to others there are none (CF: app_usage_events_controller.rb). */
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database, UsageEventsTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { among, type Condition, commonConditions, listQuery } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { reseed } from './record-usage.ts';

type Kind = UsageEventsTable['kind'];

function present(event: Selectable<UsageEventsTable>, baseUrl: string) {
  const at = isoTime(event.created_at);
  return {
    guid: event.guid,
    created_at: at,
    updated_at: at,
    ...(JSON.parse(event.data_json) as Record<string, unknown>),
    links: { self: { href: `${baseUrl}/v3/${event.kind}_usage_events/${event.guid}` } },
  };
}

/** Behind the one that a reader knows. @throws UnprocessableError when that is not there any more. */
async function behind(db: Kysely<Database>, kind: Kind, guids: readonly string[]): Promise<Condition> {
  const [guid, ...more] = guids;
  if (more.length > 0) throw new UnprocessableError('After guid filter accepts only one guid');
  const event = await db
    .selectFrom('usage_events')
    .select(['created_at', 'guid'])
    .where('kind', '=', kind)
    .where('guid', '=', guid ?? '')
    .executeTakeFirst();
  if (event === undefined) throw new UnprocessableError('After guid filter must be a valid event guid.');
  return sql<SqlBool>`(usage_events.created_at, usage_events.guid) > (${event.created_at}, ${event.guid})`;
}

const { label_selector: _labels, ...unlabelled } = listQuery;
const query = z.strictObject({
  ...unlabelled,
  after_guid: commaList.exactOptional(),
  order_by: z
    .enum(['created_at', '+created_at', '-created_at'], { error: "Order by can only be: 'created_at'" })
    .exactOptional(),
});
const serviceQuery = query.extend({
  service_instance_types: commaList.exactOptional(),
  service_offering_guids: commaList.exactOptional(),
});

function endpointsOf(kind: Kind): Endpoint[] {
  const path = `/v3/${kind}_usage_events`;
  const name = kind === 'app' ? 'App usage event' : 'Service usage event';
  return [
    endpoint({
      method: 'GET',
      path,
      summary: `${name}s, oldest first`,
      query: kind === 'app' ? query : serviceQuery,
      handle: async ({ store, config }, request) => {
        const asked: z.infer<typeof serviceQuery> = request.query;
        const conditions: Condition[] = [
          request.actor.isAdmin ? among('usage_events.kind', [kind]) : sql<SqlBool>`1 = 0`,
          ...commonConditions('usage_events', asked),
        ];
        if (asked.after_guid !== undefined && request.actor.isAdmin)
          conditions.push(await behind(store.read, kind, asked.after_guid));
        const types = asked.service_instance_types;
        if (types !== undefined && !types.includes('user_provided_service_instance'))
          conditions.push(sql<SqlBool>`1 = 0`);
        if (asked.service_offering_guids !== undefined) conditions.push(sql<SqlBool>`1 = 0`);
        const { ask, total, rows, after } = await listRows(store.read, 'usage_events', asked, { conditions });
        const resources = rows.map(event => present(event, config.publicUrl));
        return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
      },
    }),
    endpoint({
      method: 'GET',
      path: `${path}/:guid`,
      summary: `One ${name.toLowerCase()}`,
      handle: async ({ store, config }, { actor, params }) => {
        const event = await store.read
          .selectFrom('usage_events')
          .selectAll()
          .where('kind', '=', kind)
          .where('guid', '=', params.guid ?? '')
          .executeTakeFirst();
        if (event === undefined || !actor.isAdmin) throw new NotFoundError(name);
        return { status: 200, body: present(event, config.publicUrl) };
      },
    }),
    endpoint({
      method: 'POST',
      path: `${path}/actions/destructively_purge_all_and_reseed`,
      summary: `Forget all ${name.toLowerCase()}s and begin with what is`,
      handle: async ({ store }, { actor }) => {
        requireAdmin(actor);
        await store.mutate(mutation => reseed(mutation, kind));
        return { status: 200, body: {} };
      },
    }),
  ];
}

export const usageEventEndpoints: Endpoint[] = [...endpointsOf('app'), ...endpointsOf('service')];
