/** Bindings of apps to service instances (CF: service_credential_bindings_controller.rb). */
import {
  type CreateServiceBinding,
  createServiceBinding,
  serviceBindingAnswer,
  serviceBindingDetails,
  updateServiceBinding,
} from '@cupola/contract/v3/service';
import { InvalidRequestError, NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { holdsInSpace, maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { APP_MANAGERS, appScope, findApp, type ScopedApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import { type BindingRow, bindApp, deleteBindings, recordBinding } from './change-binding.ts';
import { findInstance, type ScopedInstance } from './find-instance.ts';
import { includedOfBindings, includeOfBindings, listBindings, presentBindings } from './list-bindings.ts';
import { openSecrets } from './secrets.ts';

interface Found {
  binding: BindingRow;
  app: ScopedApp;
}

/** @throws NotFoundError for one that is not there or that the actor may not see. */
async function seenBinding(db: Kysely<Database>, actor: Actor, guid: string): Promise<Found> {
  const binding = await db.selectFrom('service_bindings').selectAll().where('guid', '=', guid).executeTakeFirst();
  const app = binding === undefined ? undefined : await findApp(db, binding.app_guid);
  if (binding === undefined || app === undefined || !maySeeSpace(actor, appScope(app)))
    throw new NotFoundError('Service credential binding');
  return { binding, app };
}

async function instanceToBind(db: Kysely<Database>, actor: Actor, guid: string): Promise<ScopedInstance> {
  const instance = await findInstance(db, guid);
  if (instance === undefined || !maySeeSpace(actor, appScope(instance)))
    throw new UnprocessableError(`The service instance could not be found: '${guid}'`);
  return instance;
}

async function bind(mutation: Mutation, actor: Actor, asked: CreateServiceBinding): Promise<BindingRow> {
  const { db } = mutation;
  const { app: toApp, service_instance: toInstance } = asked.relationships;
  const instance = await instanceToBind(db, actor, toInstance.data.guid);
  if (asked.parameters !== undefined)
    throw new UnprocessableError('Binding parameters are not supported for user-provided service instances');
  if (asked.type === 'key') {
    requireDeveloper(actor, appScope(instance), 'Service instance');
    throw new UnprocessableError(
      "Service credential bindings of type 'key' are not supported for user-provided service instances.",
    );
  }
  const guid = toApp?.data.guid ?? '';
  if (toApp === undefined) throw new UnprocessableError('Relationships App is missing. Name the app to bind.');
  const app = await findApp(db, guid);
  if (app === undefined || !maySeeSpace(actor, appScope(app)))
    throw new UnprocessableError(`The app could not be found: '${guid}'`);
  requireDeveloper(actor, appScope(app), 'App', APP_MANAGERS);
  const binding = await bindApp(mutation, actor, { app, instance, name: asked.name ?? null });
  await writeMetadata(mutation, 'service_binding', binding.guid, asked.metadata);
  return binding;
}

async function readDetails(deps: ApiDeps, actor: Actor, guid: string) {
  const secrets = await deps.store.mutate(async mutation => {
    const { binding, app } = await seenBinding(mutation.db, actor, guid);
    if (!holdsInSpace(actor, app.space_guid, ['space_developer']))
      throw new NotFoundError('Service credential binding');
    await recordBinding(mutation, actor, binding, { verb: 'show', scope: appScope(app) });
    const instance = await findInstance(mutation.db, binding.service_instance_guid);
    if (instance === undefined) throw new NotFoundError('Service credential binding');
    return openSecrets(deps.sealer, instance.secrets_sealed);
  });
  return {
    credentials: secrets.credentials,
    ...(secrets.syslogDrainUrl === null ? {} : { syslog_drain_url: secrets.syslogDrainUrl }),
    volume_mounts: [],
  };
}

async function show(deps: ApiDeps, binding: BindingRow) {
  return (await presentBindings(deps, [binding]))[0];
}

const ONE = '/v3/service_credential_bindings/:guid';

export const bindingEndpoints: Endpoint[] = [
  listBindings,
  endpoint({
    method: 'POST',
    path: '/v3/service_credential_bindings',
    summary: 'Bind an app to a service instance; the app finds it at its next start',
    bodySchema: createServiceBinding,
    responseSchema: serviceBindingAnswer,
    handle: async (deps, { actor, body }) => {
      const binding = await deps.store.mutate(mutation => bind(mutation, actor, body));
      return { status: 201, body: await show(deps, binding) };
    },
  }),
  endpoint({
    method: 'GET',
    path: ONE,
    summary: 'One service credential binding',
    query: z.strictObject({ include: includeOfBindings }),
    responseSchema: serviceBindingAnswer,
    handle: async (deps, { actor, params, query }) => {
      const { binding } = await seenBinding(deps.store.read, actor, params.guid ?? '');
      const included = await includedOfBindings(deps, [binding], query.include);
      return { status: 200, body: { ...(await show(deps, binding)), ...included } };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: ONE,
    summary: 'Label a service credential binding',
    bodySchema: updateServiceBinding,
    responseSchema: serviceBindingAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation => {
        const { binding, app } = await seenBinding(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(app), 'Service credential binding');
        await writeMetadata(mutation, 'service_binding', binding.guid, body.metadata);
        const row = { updated_at: mutation.now };
        await mutation.db.updateTable('service_bindings').set(row).where('guid', '=', binding.guid).execute();
        const data = { request: body };
        await recordBinding(mutation, actor, binding, { verb: 'update', scope: appScope(app), data });
        return { ...binding, ...row };
      });
      return { status: 200, body: await show(deps, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: ONE,
    summary: 'Take a binding away; the app loses it at its next start',
    handle: async (deps, { actor, params }) => {
      await deps.store.mutate(async mutation => {
        const { binding, app } = await seenBinding(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(app), 'Service credential binding', APP_MANAGERS);
        await deleteBindings(mutation, actor, { bindings: [binding], scope: appScope(app) });
      });
      return NO_CONTENT;
    },
  }),
  endpoint({
    method: 'GET',
    path: `${ONE}/details`,
    summary: 'What the app finds by a binding, for space developers',
    responseSchema: serviceBindingDetails,
    handle: async (deps, { actor, params }) => ({
      status: 200,
      body: await readDetails(deps, actor, params.guid ?? ''),
    }),
  }),
  endpoint({
    method: 'GET',
    path: `${ONE}/parameters`,
    summary: 'Parameters of a binding: only brokers know any',
    handle: async ({ store }, { actor, params }) => {
      await seenBinding(store.read, actor, params.guid ?? '');
      throw new InvalidRequestError(
        'This service does not support fetching service binding parameters.',
        'ServiceFetchBindingParametersNotSupported',
      );
    },
  }),
];
