import {
  createSpace as createBody,
  spaceAnswer,
  spaceFeatureAnswer,
  updateSpace as updateBody,
  updateSpaceFeature,
} from '@cupola/contract/v3/space';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import { maySeeOrganization, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { findOrganization, requireInOrganization } from '../organizations/find-organization.ts';
import { allowSsh, createSpace, deleteSpace, updateSpace } from './change-space.ts';
import { deleteUnmappedRoutes } from './delete-routes.ts';
import { requireInSpace, type SpaceRow, seenSpace } from './find-space.ts';
import { includedOrganizations, includeOrganization, listSpaces, presentSpaces } from './list-spaces.ts';

async function show(deps: ApiDeps, space: SpaceRow) {
  return (await presentSpaces(deps, [space]))[0];
}

async function organizationOfNew(db: Parameters<typeof findOrganization>[0], actor: Actor, guid: string) {
  const organization = await findOrganization(db, guid);
  if (organization === undefined || !maySeeOrganization(actor, guid))
    throw new UnprocessableError('Invalid organization. Ensure the organization exists and you have access to it.');
  requireInOrganization(actor, guid, ['organization_manager']);
  return organization;
}

function presentSsh({ allow_ssh }: Pick<SpaceRow, 'allow_ssh'>) {
  return { name: 'ssh', description: 'Enable SSHing into apps in the space.', enabled: allow_ssh === 1 };
}

function requireSsh(name: string | undefined): void {
  if (name !== 'ssh') throw new NotFoundError('Feature');
}

export const spaceEndpoints: Endpoint[] = [
  listSpaces,
  endpoint({
    method: 'POST',
    path: '/v3/spaces',
    summary: 'Make a space',
    bodySchema: createBody,
    responseSchema: spaceAnswer,
    handle: async (deps, { actor, body }) => {
      const made = await deps.store.mutate(async mutation => {
        const guid = body.relationships.organization.data.guid;
        const organization = await organizationOfNew(mutation.db, actor, guid);
        return createSpace(mutation, actor, organization, body);
      });
      return { status: 201, body: await show(deps, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/spaces/:guid',
    summary: 'One space',
    query: z.strictObject({ include: includeOrganization }),
    responseSchema: spaceAnswer,
    handle: async (deps, { actor, params, query }) => {
      const space = await seenSpace(deps.store.read, actor, params.guid ?? '');
      const included = await includedOrganizations(deps, [space], query.include);
      return { status: 200, body: { ...(await show(deps, space)), ...included } };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/spaces/:guid',
    summary: 'Rename or label a space',
    bodySchema: updateBody,
    responseSchema: spaceAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation => {
        const space = await seenSpace(mutation.db, actor, params.guid ?? '');
        requireInSpace(actor, space, ['space_manager']);
        return updateSpace(mutation, actor, space, body);
      });
      return { status: 200, body: await show(deps, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/spaces/:guid',
    summary: 'Delete a space with its apps and routes',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const space = await seenSpace(mutation.db, actor, params.guid ?? '');
        requireInSpace(actor, space, []);
        await deleteSpace(mutation, actor, space, { recursive: true });
        return finishedJob(mutation, { operation: 'space.delete', resourceGuid: space.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/spaces/:guid/routes',
    summary: 'Delete the routes of a space that lead nowhere',
    query: z.strictObject({
      unmapped: z.literal('true', {
        error:
          "Mass delete not supported for mapped routes. Use 'unmapped=true' parameter to delete all unmapped routes.",
      }),
    }),
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const space = await seenSpace(mutation.db, actor, params.guid ?? '');
        const scope = { spaceGuid: space.guid, organizationGuid: space.organization_guid };
        requireDeveloper(actor, scope, 'Space', ['space_supporter']);
        await deleteUnmappedRoutes(mutation, actor, space);
        return finishedJob(mutation, { operation: 'space.delete_unmapped_routes', resourceGuid: space.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/spaces/:guid/features',
    summary: 'Features of a space',
    handle: async ({ store }, { actor, params }) => {
      const space = await seenSpace(store.read, actor, params.guid ?? '');
      return { status: 200, body: { resources: [presentSsh(space)] } };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/spaces/:guid/features/:name',
    summary: 'One feature of a space: ssh',
    responseSchema: spaceFeatureAnswer,
    handle: async ({ store }, { actor, params }) => {
      const space = await seenSpace(store.read, actor, params.guid ?? '');
      requireSsh(params.name);
      return { status: 200, body: presentSsh(space) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/spaces/:guid/features/:name',
    summary: 'Allow or forbid ssh in a space',
    bodySchema: updateSpaceFeature,
    responseSchema: spaceFeatureAnswer,
    handle: async ({ store }, { actor, params, body }) => {
      await store.mutate(async mutation => {
        const space = await seenSpace(mutation.db, actor, params.guid ?? '');
        requireInSpace(actor, space, ['space_manager']);
        requireSsh(params.name);
        await allowSsh(mutation, space, body.enabled);
      });
      return { status: 200, body: presentSsh({ allow_ssh: body.enabled ? 1 : 0 }) };
    },
  }),
];
