import {
  createOrganization as createBody,
  organizationAnswer,
  updateOrganization as updateBody,
} from '@cupola/contract/v3/organization';
import { ForbiddenError } from '@cupola/model/errors';
import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { isFlagOn } from '../flags/flags.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { seenSegment } from '../isolation-segments/find-segment.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { metadataOf, readMetadata } from '../metadata/metadata.ts';
import { type Condition, commonConditions, inSeenOrganization, listQuery, named, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { createOrganization, deleteOrganization, updateOrganization } from './change-organization.ts';
import { managedOrganization, type OrganizationRow, seenOrganization } from './find-organization.ts';
import { presentOrganization } from './present-organization.ts';

const query = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  order_by: orderBy('name'),
});

async function show({ store, config }: ApiDeps, organization: OrganizationRow) {
  const metadata = await metadataOf(store.read, 'organization', organization.guid);
  return presentOrganization(organization, metadata, config.publicUrl);
}

/** @param more what only this list asks. */
async function list(
  deps: ApiDeps,
  request: ApiRequest<z.infer<typeof query>, unknown>,
  more: Condition[],
): Promise<Reply> {
  const asked = request.query;
  const conditions = [
    inSeenOrganization(request.actor, 'organizations.guid'),
    ...more,
    ...commonConditions('organizations', asked),
    ...(asked.names === undefined ? [] : [named('organizations.name', asked.names)]),
    ...(asked.label_selector === undefined
      ? []
      : [labelSelectorCondition('organization', 'organizations.guid', asked.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'organizations', asked, { conditions });
  const guids = rows.map(row => row.guid);
  const metadata = await readMetadata(deps.store.read, 'organization', guids);
  const resources = rows.map(row =>
    presentOrganization(row, metadata.get(row.guid) ?? { labels: {}, annotations: {} }, deps.config.publicUrl),
  );
  return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
}

const listOrganizations = endpoint({
  method: 'GET',
  path: '/v3/organizations',
  summary: 'Organizations that the asker may see',
  query,
  responseSchema: organizationAnswer,
  handle: (deps, request) => list(deps, request, []),
});

const listEntitled = endpoint({
  method: 'GET',
  path: '/v3/isolation_segments/:guid/organizations',
  summary: 'Organizations that are entitled to an isolation segment',
  query,
  responseSchema: organizationAnswer,
  handle: async (deps, request) => {
    const { guid } = await seenSegment(deps.store.read, request.actor, request.params.guid ?? '');
    const entitled = sql<SqlBool>`organizations.guid in (select organization_guid from isolation_segment_organizations
      where isolation_segment_guid = ${guid})`;
    return list(deps, request, [entitled]);
  },
});

/** Only admins suspend. */
function checkSuspended(actor: Actor, suspended: boolean | null | undefined): void {
  if (suspended === true && !actor.isAdmin) throw new ForbiddenError();
}

export const organizationEndpoints: Endpoint[] = [
  listOrganizations,
  listEntitled,
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
];
