import {
  createDomain as createBody,
  domainAnswer,
  shareDomain as shareBody,
  updateDomain as updateBody,
} from '@cupola/contract/v3/domain';
import { routeReservation } from '@cupola/contract/v3/route';
import { ForbiddenError, NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { holdsInOrganization, maySeeOrganization, requireActive, requireAdmin } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted, NO_CONTENT } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { findOrganization, seenOrganization } from '../organizations/find-organization.ts';
import { type Condition, commonConditions, listQuery, named } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { defaultDomain } from '../routes/map-routes.ts';
import { createDomain, deleteDomain, shareDomain, unshareDomain } from './change-domain.ts';
import { type DomainRow, domainsOfOrganization, seenDomain, seenDomains, sharesOf, usableIn } from './find-domain.ts';
import { presentDomain } from './present-domain.ts';

const MANAGERS = ['organization_manager'] as const;
const listDomains = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
  order_by: z
    .enum(['created_at', '-created_at', '+created_at', 'updated_at', '-updated_at', '+updated_at'], {
      error: "Order by can only be: 'created_at', 'updated_at'",
    })
    .exactOptional(),
});

async function present({ store, config }: ApiDeps, actor: Actor, domains: readonly DomainRow[]) {
  const guids = domains.map(domain => domain.guid);
  const metadata = await readMetadata(store.read, 'domain', guids);
  const shares = await sharesOf(store.read, actor, guids);
  return domains.map(domain =>
    presentDomain(domain, metadata.get(domain.guid) ?? NO_METADATA, {
      shares: shares.get(domain.guid) ?? [],
      baseUrl: config.publicUrl,
    }),
  );
}

async function show(deps: ApiDeps, actor: Actor, domain: DomainRow) {
  return (await present(deps, actor, [domain]))[0];
}

async function page(deps: ApiDeps, request: ApiRequest<z.infer<typeof listDomains>>, seen: Condition) {
  const { query, actor } = request;
  const conditions = [
    seen,
    ...commonConditions('domains', query),
    ...(query.names === undefined ? [] : [named('domains.name', query.names)]),
    ...(query.organization_guids === undefined ? [] : [usableIn(query.organization_guids)]),
    ...(query.label_selector === undefined
      ? []
      : [labelSelectorCondition('domain', 'domains.guid', query.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'domains', query, { conditions });
  const resources = await present(deps, actor, rows);
  return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
}

/** A shared domain is the admins', a private one its organization's managers'. */
function requireOwner(actor: Actor, domain: DomainRow): void {
  const owner = domain.organization_guid;
  if (owner === null ? !actor.isAdmin : !holdsInOrganization(actor, owner, MANAGERS)) throw new ForbiddenError();
  if (owner !== null) requireActive(actor, owner);
}

function notThere(guid: string): UnprocessableError {
  return new UnprocessableError(`Organization with guid '${guid}' does not exist or you do not have access to it.`);
}

async function ownerOfNew(db: Kysely<Database>, actor: Actor, guid: string): Promise<string> {
  const organization = await findOrganization(db, guid);
  if (organization === undefined || !maySeeOrganization(actor, guid)) throw notThere(guid);
  if (!holdsInOrganization(actor, guid, MANAGERS)) throw new ForbiddenError();
  requireActive(actor, guid);
  await requireFlag(db, actor, 'private_domain_creation');
  return guid;
}

/** Organizations to share with: seen, managed and active ones, and not the owner. @throws UnprocessableError */
async function checkShares(
  db: Kysely<Database>,
  actor: Actor,
  guids: readonly string[],
  ownerGuid: string | null,
): Promise<void> {
  for (const guid of guids) {
    const organization = await findOrganization(db, guid);
    if (organization === undefined || !maySeeOrganization(actor, guid))
      throw new UnprocessableError(`Organization with guid '${guid}' does not exist, or you do not have access to it.`);
    if (!holdsInOrganization(actor, guid, MANAGERS))
      throw new UnprocessableError(
        `You do not have sufficient permissions for organization '${organization.name}' to share domain.`,
      );
    if (organization.suspended === 1 && !actor.isAdmin)
      throw new UnprocessableError(`Organization '${organization.name}' is suspended.`);
    if (guid === ownerGuid) throw new UnprocessableError('Domain cannot be shared with owning organization.');
  }
}

async function unshare(mutation: Mutation, actor: Actor, domainGuid: string, organizationGuid: string): Promise<void> {
  const domain = await seenDomain(mutation.db, actor, domainGuid);
  const organization = await findOrganization(mutation.db, organizationGuid);
  if (organization === undefined) throw notThere(organizationGuid);
  const isManager = [domain.organization_guid, organizationGuid].some(
    guid => guid !== null && holdsInOrganization(actor, guid, MANAGERS),
  );
  if (!isManager) throw new ForbiddenError();
  if (!maySeeOrganization(actor, organizationGuid)) throw notThere(organizationGuid);
  await unshareDomain(mutation, domain, organization);
}

export const domainEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/domains',
    summary: 'Domains that the asker may see',
    query: listDomains,
    responseSchema: domainAnswer,
    handle: (deps, request) => page(deps, request, seenDomains(request.actor)),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/organizations/:guid/domains',
    summary: 'Domains that an organization may use',
    query: listDomains,
    responseSchema: domainAnswer,
    handle: async (deps, request) => {
      const { guid } = await seenOrganization(deps.store.read, request.actor, request.params.guid ?? '');
      return page(deps, request, domainsOfOrganization(request.actor, guid));
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/organizations/:guid/domains/default',
    summary: 'The domain of routes that name none',
    responseSchema: domainAnswer,
    handle: async (deps, { actor, params }) => {
      const { guid } = await seenOrganization(deps.store.read, actor, params.guid ?? '');
      const domain = await defaultDomain(deps.store.read, guid);
      if (domain === undefined) throw new NotFoundError('Domain');
      await seenDomain(deps.store.read, actor, domain.guid);
      return { status: 200, body: await show(deps, actor, domain) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/domains',
    summary: 'Make a domain: shared, or of one organization',
    bodySchema: createBody,
    responseSchema: domainAnswer,
    handle: async (deps, { actor, body }) => {
      const made = await deps.store.mutate(async mutation => {
        const owner = body.relationships?.organization?.data.guid ?? null;
        if (owner === null) requireAdmin(actor);
        else await ownerOfNew(mutation.db, actor, owner);
        const shares = body.relationships?.shared_organizations?.data.map(({ guid }) => guid) ?? [];
        await checkShares(mutation.db, actor, shares, owner);
        const domain = await createDomain(mutation, body, {
          organizationGuid: owner,
          systemDomain: deps.config.appsDomain,
        });
        if (shares.length > 0) await shareDomain(mutation, domain, shares);
        return domain;
      });
      return { status: 201, body: await show(deps, actor, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/domains/:guid',
    summary: 'One domain',
    responseSchema: domainAnswer,
    handle: async (deps, { actor, params }) => {
      const domain = await seenDomain(deps.store.read, actor, params.guid ?? '');
      return { status: 200, body: await show(deps, actor, domain) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/domains/:guid',
    summary: 'Label a domain',
    bodySchema: updateBody,
    responseSchema: domainAnswer,
    handle: async (deps, { actor, params, body }) => {
      const domain = await deps.store.mutate(async mutation => {
        const found = await seenDomain(mutation.db, actor, params.guid ?? '');
        requireOwner(actor, found);
        await writeMetadata(mutation, 'domain', found.guid, body.metadata);
        mutation.changed('domain', found.guid, { organizationGuid: found.organization_guid });
        return found;
      });
      return { status: 200, body: await show(deps, actor, domain) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/domains/:guid',
    summary: 'Delete a domain with its routes',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const domain = await seenDomain(mutation.db, actor, params.guid ?? '');
        requireOwner(actor, domain);
        if (domain.name === deps.config.appsDomain)
          throw new UnprocessableError(
            `The domain '${domain.name}' is the platform's own. Start with another --domain before deleting it.`,
          );
        if (await isShared(mutation.db, domain.guid))
          throw new UnprocessableError('This domain is shared with other organizations. Unshare before deleting.');
        await deleteDomain(mutation, domain);
        return finishedJob(mutation, { operation: 'domain.delete', resourceGuid: domain.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/domains/:guid/route_reservations',
    summary: 'Whether a host and path of a domain are taken, by anyone',
    query: z.strictObject({
      host: z.string().exactOptional(),
      path: z.string().exactOptional(),
      port: z.string().exactOptional(),
    }),
    responseSchema: routeReservation,
    handle: async ({ store }, { actor, params, query }) => {
      const domain = await seenDomain(store.read, actor, params.guid ?? '');
      const route = await store.read
        .selectFrom('routes')
        .select('guid')
        .where('domain_guid', '=', domain.guid)
        .where('host', '=', (query.host ?? '').toLowerCase())
        .where(eb => eb(eb.fn<string>('lower', ['path']), '=', (query.path ?? '').toLowerCase()))
        .executeTakeFirst();
      return { status: 200, body: { matching_route: route !== undefined && (query.port ?? '0') === '0' } };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/domains/:guid/relationships/shared_organizations',
    summary: 'Share a private domain',
    bodySchema: shareBody,
    handle: async (deps, { actor, params, body }) => {
      const guids = body.data.map(({ guid }) => guid);
      const domain = await deps.store.mutate(async mutation => {
        const found = await seenDomain(mutation.db, actor, params.guid ?? '');
        requireOwner(actor, found);
        await checkShares(mutation.db, actor, guids, found.organization_guid);
        if (found.organization_guid === null)
          throw new UnprocessableError(
            'Domains cannot be shared with other organizations unless they are scoped to an organization.',
          );
        await shareDomain(mutation, found, guids);
        return found;
      });
      const shares = (await sharesOf(deps.store.read, actor, [domain.guid])).get(domain.guid) ?? [];
      return { status: 200, body: { data: shares.map(guid => ({ guid })) } };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/domains/:guid/relationships/shared_organizations/:organization',
    summary: 'Share a private domain no longer',
    handle: async ({ store }, { actor, params }) => {
      await store.mutate(mutation => unshare(mutation, actor, params.guid ?? '', params.organization ?? ''));
      return NO_CONTENT;
    },
  }),
];

async function isShared(db: Kysely<Database>, domainGuid: string): Promise<boolean> {
  const share = await db
    .selectFrom('domain_shares')
    .select('organization_guid')
    .where('domain_guid', '=', domainGuid)
    .executeTakeFirst();
  return share !== undefined;
}
