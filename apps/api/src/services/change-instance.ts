/** Making, changing and deleting a user-provided service instance inside a mutation (CF: service_instance_create_user_provided.rb and its neighbours). */
import { randomUUID } from 'node:crypto';
import type { CreateServiceInstance, UpdateServiceInstance } from '@cupola/contract/v3/service';
import { UnprocessableError } from '@cupola/model/errors';
import type { Sealer } from '@cupola/store/seal';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { appScope } from '../apps/find-app.ts';
import { HIDDEN } from '../apps/log-line.ts';
import { recordEvent } from '../events/record.ts';
import { deleteMetadata, writeMetadata } from '../metadata/metadata.ts';
import { recordServiceUsage } from '../usage-events/record-usage.ts';
import { deleteBindings } from './change-binding.ts';
import type { ScopedInstance } from './find-instance.ts';
import { changedSecrets, openSecrets, sealSecrets } from './secrets.ts';

interface Context {
  mutation: Mutation;
  sealer: Sealer;
  actor: Actor;
}

const NO_SECRETS = { credentials: {}, syslogDrainUrl: null, routeServiceUrl: null };

/** @throws UnprocessableError when the name is taken in the space. */
export async function createInstance(
  { mutation, sealer, actor }: Context,
  space: { guid: string; organization_guid: string },
  asked: CreateServiceInstance,
): Promise<ScopedInstance> {
  const { db, now } = mutation;
  await requireFreeName(mutation, space.guid, asked.name);
  const row = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    space_guid: space.guid,
    tags_json: JSON.stringify(asked.tags ?? []),
    secrets_sealed: sealSecrets(sealer, changedSecrets(NO_SECRETS, asked)),
    operation: 'create',
    operation_at: now,
  } as const;
  await db.insertInto('service_instances').values(row).execute();
  const instance: ScopedInstance = { ...row, organization_guid: space.organization_guid };
  mutation.changed('service_instance', row.guid, appScope(instance));
  await writeMetadata(mutation, 'service_instance', row.guid, asked.metadata);
  await recordServiceUsage(mutation, instance, 'CREATED');
  await recordInstance(mutation, actor, instance, { verb: 'create', request: audited(asked) });
  return instance;
}

/** Apps find what has changed at their next start. @throws UnprocessableError when the name is taken in the space. */
export async function updateInstance(
  { mutation, sealer, actor }: Context,
  instance: ScopedInstance,
  asked: UpdateServiceInstance,
): Promise<ScopedInstance> {
  const { db, now } = mutation;
  if (asked.name !== undefined) await requireFreeName(mutation, instance.space_guid, asked.name, instance.guid);
  const row = {
    updated_at: now,
    name: asked.name ?? instance.name,
    ...(asked.tags === undefined ? {} : { tags_json: JSON.stringify(asked.tags ?? []) }),
    secrets_sealed: sealSecrets(sealer, changedSecrets(openSecrets(sealer, instance.secrets_sealed), asked)),
    operation: 'update',
    operation_at: now,
  } as const;
  await db.updateTable('service_instances').set(row).where('guid', '=', instance.guid).execute();
  mutation.changed('service_instance', instance.guid, appScope(instance));
  await writeMetadata(mutation, 'service_instance', instance.guid, asked.metadata);
  if (row.name !== instance.name) await recordServiceUsage(mutation, { ...instance, name: row.name }, 'UPDATED');
  await recordInstance(mutation, actor, instance, { verb: 'update', request: audited(asked) });
  return { ...instance, ...row };
}

/** With its bindings, as CF does with what nobody else provides. */
export async function deleteInstance(mutation: Mutation, actor: Actor, instance: ScopedInstance): Promise<void> {
  const { db, changed } = mutation;
  const bindings = await db
    .selectFrom('service_bindings')
    .selectAll()
    .where('service_instance_guid', '=', instance.guid)
    .execute();
  await deleteBindings(mutation, actor, { bindings, scope: appScope(instance) });
  await deleteMetadata(mutation, 'service_instance', [instance.guid]);
  await db.deleteFrom('service_instances').where('guid', '=', instance.guid).execute();
  changed('service_instance', instance.guid, appScope(instance));
  await recordServiceUsage(mutation, instance, 'DELETED');
  await recordInstance(mutation, actor, instance, { verb: 'delete', request: {} });
}

async function requireFreeName({ db }: Mutation, spaceGuid: string, name: string, exceptGuid = ''): Promise<void> {
  const other = await db
    .selectFrom('service_instances')
    .select('guid')
    .where('space_guid', '=', spaceGuid)
    .where('name', '=', name)
    .executeTakeFirst();
  if (other !== undefined && other.guid !== exceptGuid)
    throw new UnprocessableError(`The service instance name is taken: ${name}.`);
}

/** Auditors read events: what is sealed in the store is not told there. */
function audited(asked: UpdateServiceInstance): Record<string, unknown> {
  const hidden = ['credentials', 'syslog_drain_url', 'route_service_url'] as const;
  const secret = hidden.filter(key => asked[key] !== undefined).map(key => [key, HIDDEN]);
  return { ...asked, ...Object.fromEntries(secret) };
}

export function recordInstance(
  mutation: Mutation,
  actor: Actor,
  instance: ScopedInstance,
  { verb, request }: { verb: 'create' | 'update' | 'delete' | 'show'; request: Record<string, unknown> },
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.user_provided_service_instance.${verb}`,
    actor,
    target: { type: 'user_provided_service_instance', guid: instance.guid, name: instance.name },
    ...appScope(instance),
    data: { request },
  });
}
