/** Service instances (CF: service_instances_controller.rb). User-provided ones alone: without brokers nothing else can be asked for. */
import { createServiceInstance, serviceInstanceAnswer, updateServiceInstance } from '@cupola/contract/v3/service';
import { ForbiddenError, InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import { holdsInSpace, maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { findSpace } from '../spaces/find-space.ts';
import { createInstance, deleteInstance, recordInstance, updateInstance } from './change-instance.ts';
import { type ScopedInstance, seenInstance, writableInstance } from './find-instance.ts';
import { includedOfInstances, instanceFields, listInstances, presentInstances } from './list-instances.ts';
import { openSecrets } from './secrets.ts';

const ROUTE_SERVICES = 'Support for route services is disabled. This service instance cannot be bound to a route.';
const NO_PLAN =
  'Invalid service plan. Ensure that the service plan exists, is available, and you have access to it. There are no service brokers here, so only ' +
  'user-provided services can be made: use cf create-user-provided-service.';

async function show(deps: ApiDeps, instance: ScopedInstance) {
  return (await presentInstances(deps, [instance]))[0];
}

function warningsOf(asked: { route_service_url?: string | null }): string[] {
  return asked.route_service_url === undefined || asked.route_service_url === null || asked.route_service_url === ''
    ? []
    : [ROUTE_SERVICES];
}

export const instanceEndpoints: Endpoint[] = [
  listInstances,
  endpoint({
    method: 'POST',
    path: '/v3/service_instances',
    summary: 'Make a user-provided service instance',
    bodySchema: createServiceInstance,
    responseSchema: serviceInstanceAnswer,
    handle: async (deps, { actor, body }) => {
      const made = await deps.store.mutate(async mutation => {
        await requireFlag(mutation.db, actor, 'service_instance_creation');
        const spaceGuid = body.relationships.space.data.guid;
        const space = await findSpace(mutation.db, spaceGuid);
        const scope = { spaceGuid, organizationGuid: space?.organization_guid ?? '' };
        if (space === undefined || !maySeeSpace(actor, scope))
          throw new UnprocessableError('Invalid space. Ensure that the space exists and you have access to it.');
        requireDeveloper(actor, scope, 'Space');
        if (body.type === 'managed') throw new UnprocessableError(NO_PLAN);
        return createInstance({ mutation, sealer: deps.sealer, actor }, space, body);
      });
      return { status: 201, body: await show(deps, made), warnings: warningsOf(body) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/service_instances/:guid',
    summary: 'One service instance',
    query: z.strictObject(instanceFields),
    responseSchema: serviceInstanceAnswer,
    handle: async (deps, { actor, params, query }) => {
      const instance = await seenInstance(deps.store.read, actor, params.guid ?? '');
      const included = await includedOfInstances(deps, [instance], query);
      return { status: 200, body: { ...(await show(deps, instance)), ...included } };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/service_instances/:guid',
    summary: 'Change a user-provided service instance; apps find it at their next start',
    bodySchema: updateServiceInstance,
    responseSchema: serviceInstanceAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation => {
        const instance = await writableInstance(mutation.db, actor, params.guid ?? '');
        return updateInstance({ mutation, sealer: deps.sealer, actor }, instance, body);
      });
      return { status: 200, body: await show(deps, updated), warnings: warningsOf(body) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/service_instances/:guid',
    summary: 'Delete a service instance with its bindings',
    query: z.strictObject({ purge: z.string().exactOptional() }),
    handle: async (deps, { actor, params }) => {
      await deps.store.mutate(async mutation =>
        deleteInstance(mutation, actor, await writableInstance(mutation.db, actor, params.guid ?? '')),
      );
      return NO_CONTENT;
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/service_instances/:guid/credentials',
    summary: 'Credentials of a user-provided service instance, for space developers',
    handle: async (deps, { actor, params }) => {
      const instance = await deps.store.mutate(async mutation => {
        const found = await seenInstance(mutation.db, actor, params.guid ?? '');
        if (!holdsInSpace(actor, found.space_guid, ['space_developer'])) throw new ForbiddenError();
        await recordInstance(mutation, actor, found, { verb: 'show', request: {} });
        return found;
      });
      return { status: 200, body: openSecrets(deps.sealer, instance.secrets_sealed).credentials };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/service_instances/:guid/parameters',
    summary: 'Parameters of a service instance: only brokers know any',
    handle: async ({ store }, { actor, params }) => {
      await seenInstance(store.read, actor, params.guid ?? '');
      throw new InvalidRequestError(
        'This service does not support fetching service instance parameters.',
        'ServiceFetchInstanceParametersNotSupported',
      );
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/service_instances/:guid/permissions',
    summary: 'What the asker may do with a service instance',
    handle: async ({ store }, { actor, params }) => {
      const { space_guid, organization_guid } = await seenInstance(store.read, actor, params.guid ?? '');
      const isOpen = actor.isAdmin || !actor.suspendedOrganizationGuids.includes(organization_guid);
      const manage = isOpen && holdsInSpace(actor, space_guid, ['space_developer']);
      return { status: 200, body: { manage, read: true } };
    },
  }),
];
