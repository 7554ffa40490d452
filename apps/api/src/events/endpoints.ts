/** Audit events, as far as the asker may see them (CF: event.rb): developers and auditors those of their spaces, an organization's auditors all of its. */
import { auditEventAnswer } from '@cupola/contract/v3/platform';
import { NotFoundError } from '@cupola/model/errors';
import type { AuditEventsTable } from '@cupola/store/schema';
import { type Selectable, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';

const READERS = ['space_developer', 'space_auditor', 'space_supporter'];

function seenEvents(actor: Actor): Condition {
  if (actor.isAdmin) return sql<SqlBool>`1 = 1`;
  const guids = (types: readonly string[], key: 'spaceGuid' | 'organizationGuid'): string[] =>
    actor.roles.filter(role => types.includes(role.type)).flatMap(role => role[key] ?? []);
  const spaces = among('audit_events.space_guid', guids(READERS, 'spaceGuid'));
  const organizations = among('audit_events.organization_guid', guids(['organization_auditor'], 'organizationGuid'));
  return sql<SqlBool>`(${spaces} or ${organizations})`;
}

function presentEvent(event: Selectable<AuditEventsTable>, baseUrl: string) {
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
        conditions: [
          seenEvents(actor),
          ...commonConditions('audit_events', query),
          ...filter('type', query.types),
          ...filter('target_guid', query.target_guids),
          ...filter('space_guid', query.space_guids),
          ...filter('organization_guid', query.organization_guids),
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
      const event = await store.read
        .selectFrom('audit_events')
        .selectAll()
        .where('guid', '=', params.guid ?? '')
        .where(seenEvents(actor))
        .executeTakeFirst();
      if (event === undefined) throw new NotFoundError('Event');
      return { status: 200, body: presentEvent(event, config.publicUrl) };
    },
  }),
];
