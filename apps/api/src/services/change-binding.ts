/** Binding apps to service instances, and taking bindings away, inside a mutation (CF: service_credential_binding_app_create.rb). */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { ServiceBindingsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { appScope, type ScopedApp } from '../apps/find-app.ts';
import { recordEvent } from '../events/record.ts';
import { deleteMetadata } from '../metadata/metadata.ts';
import type { InstanceRow } from './find-instance.ts';

export type BindingRow = Selectable<ServiceBindingsTable>;
interface Scope {
  spaceGuid: string;
  organizationGuid: string;
}

/** The app finds it at its next start. @throws UnprocessableError */
export async function bindApp(
  mutation: Mutation,
  actor: Actor,
  asked: { app: ScopedApp; instance: InstanceRow; name: string | null; manifestTriggered?: boolean },
): Promise<BindingRow> {
  const { db, now, changed } = mutation;
  const { app, instance, name } = asked;
  if (app.space_guid !== instance.space_guid)
    throw new UnprocessableError('The service instance and the app are in different spaces');
  const present = await db.selectFrom('service_bindings').selectAll().where('app_guid', '=', app.guid).execute();
  if (present.some(binding => binding.service_instance_guid === instance.guid))
    throw new UnprocessableError('The app is already bound to the service instance');
  if (name !== null && present.some(binding => binding.name === name))
    throw new UnprocessableError(
      'The binding name is invalid. Binding names must be unique for a given service instance and app.' +
        (name === '' ? '' : ` The app already has a binding with name '${name}'.`),
    );
  const row: BindingRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name,
    app_guid: app.guid,
    service_instance_guid: instance.guid,
  };
  await db.insertInto('service_bindings').values(row).execute();
  changed('service_binding', row.guid, appScope(app));
  const relationships = {
    app: { data: { guid: app.guid } },
    service_instance: { data: { guid: instance.guid } },
  };
  const request = { type: 'app', ...(name === null ? {} : { name }), relationships };
  const triggered = asked.manifestTriggered === true ? { manifest_triggered: true } : {};
  await recordBinding(mutation, actor, row, { verb: 'create', scope: appScope(app), data: { request, ...triggered } });
  return row;
}

export async function deleteBindings(
  mutation: Mutation,
  actor: Actor,
  { bindings, scope }: { bindings: readonly BindingRow[]; scope: Scope },
): Promise<void> {
  const { db, changed } = mutation;
  await deleteMetadata(
    mutation,
    'service_binding',
    bindings.map(({ guid }) => guid),
  );
  for (const binding of bindings) {
    await db.deleteFrom('service_bindings').where('guid', '=', binding.guid).execute();
    changed('service_binding', binding.guid, scope);
    const { app_guid, service_instance_guid } = binding;
    const data = { request: { app_guid, service_instance_guid } };
    await recordBinding(mutation, actor, binding, { verb: 'delete', scope, data });
  }
}

export function recordBinding(
  mutation: Mutation,
  actor: Actor,
  { guid, name }: BindingRow,
  event: { verb: 'create' | 'update' | 'delete' | 'show'; scope: Scope; data?: Record<string, unknown> },
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.service_binding.${event.verb}`,
    actor,
    target: { type: 'service_binding', guid, name: name ?? '' },
    ...event.scope,
    ...(event.data === undefined ? {} : { data: event.data }),
  });
}
