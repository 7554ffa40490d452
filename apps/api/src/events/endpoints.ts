/** Audit events, as far as the asker may see them (CF: event.rb): developers and auditors those of their spaces, an organization's auditors all of its. */
import { auditEventAnswer } from '@cupola/contract/v3/platform';
import { NotFoundError } from '@cupola/model/errors';
import type { AuditEventsTable, Database } from '@cupola/store/schema';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { among, type Condition, commonConditions, EVERY_ROW, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { inPlaces, type Seeing, scopeOf } from '../pages/scope.ts';

export const SEEING_EVENTS: Seeing = {
  organization: ['organization_auditor'],
  space: ['space_developer', 'space_auditor', 'space_supporter'],
};

/** An event outlives its space: which organization that was in, only events know. */
async function homesOfEvents(db: Kysely<Database>, spaceGuids: readonly string[]) {
  const homes: Array<{ guid: string; organization_guid: string }> = [];
  for (const guid of spaceGuids) {
    const events = db.selectFrom('audit_events').select('organization_guid').where('space_guid', '=', guid);
    const one = await events.limit(1).executeTakeFirst();
    if (one !== undefined) homes.push({ guid, organization_guid: one.organization_guid ?? '' });
  }
  return homes;
}

export function presentEvent(event: Selectable<AuditEventsTable>, baseUrl: string) {
  const place = (guid: string | null): { guid: string } | null => (guid === null ? null : { guid });
  return {
    guid: event.guid,
    created_at: isoTime(event.created_at),
    updated_at: isoTime(event.created_at),
    type: event.type,
    actor: { guid: event.actor_guid, type: event.actor_type, name: event.actor_name },
    target: { guid: event.target_guid, type: event.target_type, name: event.target_name },
    data: JSON.parse(event.data_json) as Record<string, unknown>,
    space: place(event.space_guid),
    organization: place(event.organization_guid),
    links: { self: { href: `${baseUrl}/v3/audit_events/${event.guid}` } },
  };
}

/** An event is never changed and has no labels. */
const eventQuery = Object.fromEntries(
  Object.entries(listQuery).filter(([name]) => name !== 'label_selector' && !name.startsWith('updated_ats')),
) as Omit<typeof listQuery, 'label_selector' | `updated_ats${string}`>;

export const eventEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/audit_events',
    summary: 'What happened, by whom',
    query: z.strictObject({
      ...eventQuery,
      types: commaList.exactOptional(),
      target_guids: commaList.exactOptional(),
      'target_guids[not]': commaList.exactOptional(),
      space_guids: commaList.exactOptional(),
      organization_guids: commaList.exactOptional(),
      order_by: orderBy(),
    }),
    responseSchema: auditEventAnswer,
    handle: async ({ store, config }, request) => {
      const { query, actor } = request;
      const filter = (column: string, values: readonly string[] | undefined): Condition[] =>
        values === undefined ? [] : [among(`audit_events.${column}`, values)];
      const but = query['target_guids[not]'];
      const { rows, ask, total, after } = await listRows(store.read, 'audit_events', query, {
        scope: await scopeOf(store.read, actor, { asked: query, seeing: SEEING_EVENTS, homesOf: homesOfEvents }),
        conditions: [
          ...commonConditions('audit_events', query),
          ...filter('type', query.types),
          ...filter('target_guid', query.target_guids),
          ...(but === undefined ? [] : [sql<SqlBool>`not ${among('audit_events.target_guid', but)}`]),
        ],
        columns: { updated_at: 'created_at' },
      });
      const resources = rows.map(event => presentEvent(event, config.publicUrl));
      return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/audit_events/:guid',
    summary: 'One audit event',
    responseSchema: auditEventAnswer,
    handle: async ({ store, config }, { actor, params }) => {
      const scope = await scopeOf(store.read, actor, { seeing: SEEING_EVENTS });
      const event = await store.read
        .selectFrom('audit_events')
        .selectAll()
        .where('guid', '=', params.guid ?? '')
        .where(scope === 'all' ? EVERY_ROW : inPlaces('audit_events', scope, 'picked'))
        .executeTakeFirst();
      if (event === undefined) throw new NotFoundError('Event');
      return { status: 200, body: presentEvent(event, config.publicUrl) };
    },
  }),
];
