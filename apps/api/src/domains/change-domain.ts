/** Making, sharing and deleting a domain inside a mutation (CF: domain_create.rb, models/runtime/domain.rb). */
import { randomUUID } from 'node:crypto';
import type { CreateDomain } from '@cupola/contract/v3/domain';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { deleteMetadata, writeMetadata } from '../metadata/metadata.ts';
import { deleteRouteRows } from '../spaces/delete-routes.ts';
import type { DomainRow } from './find-domain.ts';

/**
 * @param systemDomain of apps and of the platform itself: nobody's own domain lies inside it, or it would catch the platform's hosts.
 * @throws UnprocessableError for a name that is taken, reserved, or too near to another's.
 */
export async function createDomain(
  mutation: Mutation,
  asked: CreateDomain,
  { organizationGuid, systemDomain }: { organizationGuid: string | null; systemDomain: string },
): Promise<DomainRow> {
  const { db, now, changed } = mutation;
  const name = asked.name.toLowerCase();
  if ((asked.router_group ?? null) !== null)
    throw new UnprocessableError('TCP routing is not supported yet. Make a domain without a router group.');
  await checkName(mutation, name, organizationGuid, systemDomain);
  if (organizationGuid !== null) await checkQuota(mutation, organizationGuid);
  const domain: DomainRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name,
    internal: asked.internal === true ? 1 : 0,
    organization_guid: organizationGuid,
  };
  await db.insertInto('domains').values(domain).execute();
  changed('domain', domain.guid, { organizationGuid });
  await writeMetadata(mutation, 'domain', domain.guid, asked.metadata);
  return domain;
}

async function checkName(
  { db }: Mutation,
  name: string,
  organizationGuid: string | null,
  systemDomain: string,
): Promise<void> {
  const taken = await db.selectFrom('domains').select('guid').where('name', '=', name).executeTakeFirst();
  if (taken !== undefined) throw new UnprocessableError(`The domain name "${name}" is already in use`);
  if (organizationGuid !== null && name.endsWith(`.${systemDomain}`))
    throw new UnprocessableError(`The "${name}" domain is reserved and cannot be used for org-scoped domains.`);
  const [host, ...rest] = name.split('.');
  const route = await db
    .selectFrom('routes')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .select('routes.guid')
    .where('routes.host', '=', host ?? '')
    .where('domains.name', '=', rest.join('.'))
    .executeTakeFirst();
  if (route !== undefined)
    throw new UnprocessableError(
      `The domain name "${name}" cannot be created because it is already reserved by a route`,
    );
  const domains = await db.selectFrom('domains').select(['name', 'organization_guid']).execute();
  const near = domains.find(
    other =>
      (name.endsWith(`.${other.name}`) || other.name.endsWith(`.${name}`)) &&
      other.organization_guid !== null &&
      other.organization_guid !== organizationGuid,
  );
  if (near !== undefined)
    throw new UnprocessableError(
      `The domain name "${name}" cannot be created because "${near.name}" is already reserved by another domain`,
    );
}

async function checkQuota({ db }: Mutation, organizationGuid: string): Promise<void> {
  const { name, total_domains } = await db
    .selectFrom('organizations')
    .innerJoin('organization_quotas', 'organization_quotas.guid', 'organizations.quota_guid')
    .where('organizations.guid', '=', organizationGuid)
    .select(['organizations.name', 'organization_quotas.total_domains'])
    .executeTakeFirstOrThrow();
  if (total_domains === null) return;
  const { count } = await db
    .selectFrom('domains')
    .where('organization_guid', '=', organizationGuid)
    .select(eb => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  if (count >= total_domains)
    throw new UnprocessableError(`The number of private domains exceeds the quota for organization "${name}"`);
}

/** Sharing again does no harm. */
export async function shareDomain(
  { db, now, changed }: Mutation,
  domain: DomainRow,
  organizationGuids: readonly string[],
): Promise<void> {
  for (const organization_guid of organizationGuids)
    await db
      .insertInto('domain_shares')
      .values({ domain_guid: domain.guid, organization_guid, created_at: now })
      .onConflict(conflict => conflict.columns(['domain_guid', 'organization_guid']).doNothing())
      .execute();
  changed('domain', domain.guid, { organizationGuid: domain.organization_guid });
}

/** @throws UnprocessableError when it is not shared with it, or routes of it use the domain. */
export async function unshareDomain(
  { db, changed }: Mutation,
  domain: DomainRow,
  organization: { guid: string; name: string },
): Promise<void> {
  const route = await db
    .selectFrom('routes')
    .innerJoin('spaces', 'spaces.guid', 'routes.space_guid')
    .where('routes.domain_guid', '=', domain.guid)
    .where('spaces.organization_guid', '=', organization.guid)
    .select('routes.guid')
    .executeTakeFirst();
  const gone = await db
    .deleteFrom('domain_shares')
    .where('domain_guid', '=', domain.guid)
    .where('organization_guid', '=', organization.guid)
    .returning('domain_guid')
    .executeTakeFirst();
  if (gone === undefined)
    throw new UnprocessableError(
      `Unable to unshare domain from organization with name '${organization.name}'. Ensure the domain is shared to this organization.`,
    );
  if (route !== undefined)
    throw new UnprocessableError(
      'This domain has associated routes in this organization. Delete the routes before unsharing.',
    );
  changed('domain', domain.guid, { organizationGuid: domain.organization_guid });
}

/** With its routes, as CF. */
export async function deleteDomain(mutation: Mutation, domain: DomainRow): Promise<void> {
  const { db, changed } = mutation;
  const scope = { organizationGuid: domain.organization_guid };
  const routes = await db.selectFrom('routes').selectAll().where('domain_guid', '=', domain.guid).execute();
  await deleteRouteRows(mutation, routes, scope);
  await db.deleteFrom('domain_shares').where('domain_guid', '=', domain.guid).execute();
  await deleteMetadata(mutation, 'domain', [domain.guid]);
  await db.deleteFrom('domains').where('guid', '=', domain.guid).execute();
  changed('domain', domain.guid, scope);
}
