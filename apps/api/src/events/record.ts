/** Audit events: written in the transaction of what they tell of, so that neither is there without the other. */
import { randomUUID } from 'node:crypto';
import type { AuditEventsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';

export interface AuditEvent {
  /** CF's: `audit.app.create`. */
  type: string;
  actor: Actor;
  target: { type: string; guid: string; name: string };
  /** Where it belongs: who may see that space or organization may see the event. */
  spaceGuid: string | null;
  organizationGuid: string | null;
  /** Without secrets: they are replaced before they come here. */
  data?: Record<string, unknown>;
}

export async function recordEvent(mutation: Mutation, event: AuditEvent): Promise<void> {
  const { actor, target } = event;
  await insertEvents(mutation, [
    {
      type: event.type,
      actor_guid: actor.guid,
      actor_type: actor.kind === 'client' ? 'service' : 'user',
      actor_name: actor.name,
      target_guid: target.guid,
      target_type: target.type,
      target_name: target.name,
      space_guid: event.spaceGuid,
      organization_guid: event.organizationGuid,
      data_json: JSON.stringify({ ...event.data, ...(actor.client === undefined ? {} : { client: actor.client }) }),
    },
  ]);
}

/** Rows as they are, of now. */
export async function insertEvents(
  { db, now, changed }: Pick<Mutation, 'db' | 'now' | 'changed'>,
  events: ReadonlyArray<Omit<Selectable<AuditEventsTable>, 'guid' | 'created_at'>>,
): Promise<void> {
  const rows = events.map(event => ({ ...event, guid: randomUUID(), created_at: now }));
  await db.insertInto('audit_events').values(rows).execute();
  for (const { guid, organization_guid: organizationGuid, space_guid: spaceGuid } of rows)
    changed('audit_event', guid, { organizationGuid, spaceGuid });
}
