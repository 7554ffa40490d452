import {
  applyOrganizationQuota as applyBody,
  createOrganizationQuota as createBody,
  organizationQuotaAnswer,
  updateOrganizationQuota as updateBody,
} from '@cupola/contract/v3/organization-quota';
import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { all, among, commonConditions, inSeenOrganization, listQuery, named, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { applyQuota, createQuota, deleteQuota, foundQuota, updateQuota } from './change-quota.ts';
import { presentQuota, type QuotaRow } from './quota-limits.ts';

const { label_selector: _labels, ...unlabelled } = listQuery;
const listQuotas = z.strictObject({
  ...unlabelled,
  names: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
  order_by: orderBy('name'),
});

async function present({ store, config }: ApiDeps, actor: Actor, quotas: readonly QuotaRow[]) {
  const applied = await store.read
    .selectFrom('organizations')
    .select(['guid', 'quota_guid'])
    .where(
      all([
        among(
          'quota_guid',
          quotas.map(quota => quota.guid),
        ),
        inSeenOrganization(actor, 'guid'),
      ]),
    )
    .orderBy('created_at')
    .orderBy('guid')
    .execute();
  return quotas.map(quota =>
    presentQuota(
      quota,
      applied.filter(row => row.quota_guid === quota.guid).map(row => row.guid),
      config.publicUrl,
    ),
  );
}

async function show(deps: ApiDeps, actor: Actor, quota: QuotaRow) {
  return (await present(deps, actor, [quota]))[0];
}

export const organizationQuotaEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/organization_quotas',
    summary: 'Quotas of the organizations that the asker may see',
    query: listQuotas,
    responseSchema: organizationQuotaAnswer,
    handle: async (deps, request) => {
      const { query, actor } = request;
      const having = (condition: ReturnType<typeof among>) =>
        sql<SqlBool>`organization_quotas.guid in (select quota_guid from organizations where ${condition})`;
      const conditions = [
        ...(actor.isAdmin ? [] : [having(inSeenOrganization(actor, 'organizations.guid'))]),
        ...commonConditions('organization_quotas', query),
        ...(query.names === undefined ? [] : [named('organization_quotas.name', query.names)]),
        ...(query.organization_guids === undefined
          ? []
          : [
              having(
                all([
                  among('organizations.guid', query.organization_guids),
                  inSeenOrganization(actor, 'organizations.guid'),
                ]),
              ),
            ]),
      ];
      const { ask, total, rows, after } = await listRows(deps.store.read, 'organization_quotas', query, { conditions });
      const resources = await present(deps, actor, rows);
      return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/organization_quotas',
    summary: 'Make a quota',
    bodySchema: createBody,
    responseSchema: organizationQuotaAnswer,
    handle: async (deps, { actor, body }) => {
      requireAdmin(actor);
      const made = await deps.store.mutate(mutation => createQuota(mutation, actor, body));
      return { status: 201, body: await show(deps, actor, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/organization_quotas/:guid',
    summary: 'One quota',
    responseSchema: organizationQuotaAnswer,
    handle: async (deps, { actor, params }) => ({
      status: 200,
      body: await show(deps, actor, await foundQuota(deps.store.read, params.guid ?? '')),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/organization_quotas/:guid',
    summary: 'Change a quota; what runs already keeps running',
    bodySchema: updateBody,
    responseSchema: organizationQuotaAnswer,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      const updated = await deps.store.mutate(async mutation =>
        updateQuota(mutation, actor, await foundQuota(mutation.db, params.guid ?? ''), body),
      );
      return { status: 200, body: await show(deps, actor, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/organization_quotas/:guid',
    summary: 'Delete a quota that no organization has',
    handle: async (deps, { actor, params }) => {
      requireAdmin(actor);
      const job = await deps.store.mutate(async mutation => {
        const quota = await foundQuota(mutation.db, params.guid ?? '');
        await deleteQuota(mutation, actor, quota);
        return finishedJob(mutation, { operation: 'organization_quota.delete', resourceGuid: quota.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/organization_quotas/:guid/relationships/organizations',
    summary: 'Give organizations this quota',
    bodySchema: applyBody,
    handle: async ({ store, config }, { actor, params, body }) => {
      requireAdmin(actor);
      const { quota, guids } = await store.mutate(async mutation => {
        const found = await foundQuota(mutation.db, params.guid ?? '');
        await applyQuota(
          mutation,
          actor,
          found,
          body.data.map(({ guid }) => guid),
        );
        const rows = await mutation.db
          .selectFrom('organizations')
          .select('guid')
          .where('quota_guid', '=', found.guid)
          .orderBy('created_at')
          .orderBy('guid')
          .execute();
        return { quota: found, guids: rows };
      });
      const self = `${config.publicUrl}/v3/organization_quotas/${quota.guid}/relationships/organizations`;
      return { status: 200, body: { data: guids, links: { self: { href: self } } } };
    },
  }),
];
