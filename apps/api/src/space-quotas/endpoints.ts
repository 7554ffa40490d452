/** Space quotas (CF: space_quotas_controller.rb). */
import {
  applySpaceQuota as applyBody,
  createSpaceQuota as createBody,
  type SpaceQuotaAnswer,
  spaceQuotaAnswer,
  updateSpaceQuota as updateBody,
} from '@cupola/contract/v3/organization-quota';
import { pageOf } from '@cupola/contract/v3/parts';
import { UnprocessableError } from '@cupola/model/errors';
import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { maySeeOrganization, visible } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted, NO_CONTENT } from '../http/replies.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { requireInOrganization } from '../organizations/find-organization.ts';
import {
  all,
  among,
  type Condition,
  commonConditions,
  inSeenSpace,
  listQuery,
  named,
  orderBy,
} from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { presentLimits } from '../quotas/quota-limits.ts';
import {
  applySpaceQuota,
  createSpaceQuota,
  deleteSpaceQuota,
  managedSpaceQuota,
  removeSpaceQuota,
  type SpaceQuotaRow,
  seenSpaceQuota,
  updateSpaceQuota,
} from './change-space-quota.ts';

const { label_selector: _labels, ...unlabelled } = listQuery;
const listQuotas = z.strictObject({
  ...unlabelled,
  names: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  order_by: orderBy('name'),
});

/** Spaces that have one of these quotas, as far as the actor may see them. */
async function spacesOf({ store }: ApiDeps, actor: Actor, quotaGuids: readonly string[]) {
  return inChunks(quotaGuids, some =>
    store.read
      .selectFrom('spaces')
      .select(['guid', 'quota_guid'])
      .where(all([among('quota_guid', some), inSeenSpace(actor, 'guid')]))
      .orderBy('created_at')
      .orderBy('guid')
      .execute(),
  );
}

async function present(deps: ApiDeps, actor: Actor, quotas: readonly SpaceQuotaRow[]): Promise<SpaceQuotaAnswer[]> {
  const spaces = await spacesOf(
    deps,
    actor,
    quotas.map(({ guid }) => guid),
  );
  const byQuota = Map.groupBy(spaces, space => space.quota_guid);
  return quotas.map(quota => ({
    ...presentLimits(quota),
    relationships: {
      organization: { data: { guid: quota.organization_guid } },
      spaces: { data: (byQuota.get(quota.guid) ?? []).map(({ guid }) => ({ guid })) },
    },
    links: {
      self: { href: `${deps.config.publicUrl}/v3/space_quotas/${quota.guid}` },
      organization: { href: `${deps.config.publicUrl}/v3/organizations/${quota.organization_guid}` },
    },
  }));
}

async function show(deps: ApiDeps, actor: Actor, quota: SpaceQuotaRow) {
  return (await present(deps, actor, [quota]))[0];
}

function seenQuotas(actor: Actor): Condition[] {
  if (actor.isAdmin) return [];
  const { wholeOrganizationGuids, spaceGuids } = visible(actor);
  const own = sql<SqlBool>`space_quotas.guid in (select quota_guid from spaces where ${among('spaces.guid', spaceGuids)} and quota_guid is not null)`;
  return [sql<SqlBool>`(${among('space_quotas.organization_guid', wholeOrganizationGuids)} or ${own})`];
}

const ONE = '/v3/space_quotas/:guid';

export const spaceQuotaEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/space_quotas',
    summary: 'Space quotas that the asker may see',
    query: listQuotas,
    responseSchema: pageOf(spaceQuotaAnswer),
    handle: async (deps, request) => {
      const { query, actor } = request;
      const conditions = [...seenQuotas(actor), ...commonConditions('space_quotas', query)];
      if (query.names !== undefined) conditions.push(named('space_quotas.name', query.names));
      if (query.organization_guids !== undefined)
        conditions.push(among('space_quotas.organization_guid', query.organization_guids));
      if (query.space_guids !== undefined) {
        const asked = all([among('spaces.guid', query.space_guids), inSeenSpace(actor, 'spaces.guid')]);
        conditions.push(sql`space_quotas.guid in (select quota_guid from spaces where ${asked})`);
      }
      const { ask, total, rows, after } = await listRows(deps.store.read, 'space_quotas', query, { conditions });
      const resources = await present(deps, actor, rows);
      return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/space_quotas',
    summary: 'Make a quota for spaces of an organization',
    bodySchema: createBody,
    responseSchema: spaceQuotaAnswer,
    handle: async (deps, { actor, body }) => {
      const made = await deps.store.mutate(async mutation => {
        const { guid } = body.relationships.organization.data;
        const organization = await mutation.db
          .selectFrom('organizations')
          .select('guid')
          .where('guid', '=', guid)
          .executeTakeFirst();
        if (organization === undefined || !maySeeOrganization(actor, guid))
          throw new UnprocessableError(
            `Organization with guid '${guid}' does not exist, or you do not have access to it.`,
          );
        requireInOrganization(actor, guid, ['organization_manager']);
        return createSpaceQuota(mutation, actor, body);
      });
      return { status: 201, body: await show(deps, actor, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: ONE,
    summary: 'One space quota',
    responseSchema: spaceQuotaAnswer,
    handle: async (deps, { actor, params }) => ({
      status: 200,
      body: await show(deps, actor, await seenSpaceQuota(deps.store.read, actor, params.guid ?? '')),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: ONE,
    summary: 'Change a space quota; what runs already keeps running',
    bodySchema: updateBody,
    responseSchema: spaceQuotaAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation =>
        updateSpaceQuota(mutation, actor, await managedSpaceQuota(mutation.db, actor, params.guid ?? ''), body),
      );
      return { status: 200, body: await show(deps, actor, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: ONE,
    summary: 'Delete a space quota that no space has',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const quota = await managedSpaceQuota(mutation.db, actor, params.guid ?? '');
        await deleteSpaceQuota(mutation, actor, quota);
        return finishedJob(mutation, { operation: 'space_quota.delete', resourceGuid: quota.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'POST',
    path: `${ONE}/relationships/spaces`,
    summary: 'Give spaces this quota',
    bodySchema: applyBody,
    handle: async (deps, { actor, params, body }) => {
      const quota = await deps.store.mutate(async mutation => {
        const found = await managedSpaceQuota(mutation.db, actor, params.guid ?? '');
        await applySpaceQuota(
          mutation,
          actor,
          found,
          body.data.map(({ guid }) => guid),
        );
        return found;
      });
      const spaces = await spacesOf(deps, actor, [quota.guid]);
      const self = `${deps.config.publicUrl}/v3/space_quotas/${quota.guid}/relationships/spaces`;
      return {
        status: 200,
        body: { data: spaces.map(({ guid }) => ({ guid })), links: { self: { href: self } } },
      };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: `${ONE}/relationships/spaces/:space`,
    summary: 'Take this quota from a space',
    handle: async (deps, { actor, params }) => {
      await deps.store.mutate(async mutation => {
        const quota = await managedSpaceQuota(mutation.db, actor, params.guid ?? '');
        await removeSpaceQuota(mutation, actor, quota, params.space ?? '');
      });
      return NO_CONTENT;
    },
  }),
];
