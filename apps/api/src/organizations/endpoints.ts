import {
  createOrganization as createBody,
  organizationAnswer,
  updateOrganization as updateBody,
} from '@cupola/contract/v3/organization';
import { ForbiddenError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { isFlagOn } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { metadataOf, readMetadata } from '../metadata/metadata.ts';
import { commonConditions, inSeenOrganization, listQuery, named, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { createOrganization, deleteOrganization, updateOrganization } from './change-organization.ts';
import { managedOrganization, type OrganizationRow, seenOrganization } from './find-organization.ts';
import { presentOrganization } from './present-organization.ts';

const listOrganizations = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  order_by: orderBy('name'),
});

async function show({ store, config }: ApiDeps, organization: OrganizationRow) {
  const metadata = await metadataOf(store.read, 'organization', organization.guid);
  return presentOrganization(organization, metadata, config.publicUrl);
}

/** Only admins suspend. */
function checkSuspended(actor: Actor, suspended: boolean | null | undefined): void {
  if (suspended === true && !actor.isAdmin) throw new ForbiddenError();
}

const NO_SEGMENTS =
  'Isolation segments are not supported yet. Every app runs on cells of this platform; leave the setting empty.';
const segmentBody = z.strictObject({ data: z.object({ guid: z.string() }).nullable() });

export const organizationEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/organizations',
    summary: 'Organizations that the asker may see',
    query: listOrganizations,
    responseSchema: organizationAnswer,
    handle: async (deps, request) => {
      const { query, actor } = request;
      const conditions = [
        inSeenOrganization(actor, 'organizations.guid'),
        ...commonConditions('organizations', query),
        ...(query.names === undefined ? [] : [named('organizations.name', query.names)]),
        ...(query.label_selector === undefined
          ? []
          : [labelSelectorCondition('organization', 'organizations.guid', query.label_selector)]),
      ];
      const { ask, total, rows, after } = await listRows(deps.store.read, 'organizations', query, { conditions });
      const metadata = await readMetadata(
        deps.store.read,
        'organization',
        rows.map(row => row.guid),
      );
      const resources = rows.map(row =>
        presentOrganization(row, metadata.get(row.guid) ?? { labels: {}, annotations: {} }, deps.config.publicUrl),
      );
      return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/organizations',
    summary: 'Make an organization',
    bodySchema: createBody,
    responseSchema: organizationAnswer,
    handle: async (deps, { actor, body }) => {
      if (!actor.isAdmin && !(await isFlagOn(deps.store.read, 'user_org_creation'))) throw new ForbiddenError();
      checkSuspended(actor, body.suspended);
      const made = await deps.store.mutate(mutation => createOrganization(mutation, actor, body));
      return { status: 201, body: await show(deps, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/organizations/:guid',
    summary: 'One organization',
    responseSchema: organizationAnswer,
    handle: async (deps, { actor, params }) => {
      const organization = await seenOrganization(deps.store.read, actor, params.guid ?? '');
      return { status: 200, body: await show(deps, organization) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/organizations/:guid',
    summary: 'Rename, suspend or label an organization',
    bodySchema: updateBody,
    responseSchema: organizationAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation => {
        const organization = await managedOrganization(mutation.db, actor, params.guid ?? '');
        checkSuspended(actor, body.suspended);
        return updateOrganization(mutation, actor, organization, body);
      });
      return { status: 200, body: await show(deps, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/organizations/:guid',
    summary: 'Delete an organization with all that is in it',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const organization = await seenOrganization(mutation.db, actor, params.guid ?? '');
        requireAdmin(actor);
        await deleteOrganization(mutation, actor, organization);
        return finishedJob(mutation, { operation: 'organization.delete', resourceGuid: organization.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/organizations/:guid/relationships/default_isolation_segment',
    summary: 'Isolation segment of new spaces: none',
    handle: async ({ store, config }, { actor, params }) => {
      const { guid } = await seenOrganization(store.read, actor, params.guid ?? '');
      const self = `${config.publicUrl}/v3/organizations/${guid}/relationships/default_isolation_segment`;
      return { status: 200, body: { data: null, links: { self: { href: self } } } };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/organizations/:guid/relationships/default_isolation_segment',
    summary: 'Isolation segment of new spaces: only none can be chosen',
    bodySchema: segmentBody,
    handle: async ({ store, config }, { actor, params, body }) => {
      const { guid } = await managedOrganization(store.read, actor, params.guid ?? '');
      if (body.data !== null) throw new UnprocessableError(NO_SEGMENTS);
      const self = `${config.publicUrl}/v3/organizations/${guid}/relationships/default_isolation_segment`;
      return { status: 200, body: { data: null, links: { self: { href: self } } } };
    },
  }),
];
