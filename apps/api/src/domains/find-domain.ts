/** Finding domains for an actor. Shared ones are everyone's; a private one is seen by those who work in an organization that may use it. */
import { NotFoundError } from '@cupola/model/errors';
import type { Database, DomainsTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { among, type Condition } from '../pages/filters.ts';

export type DomainRow = Selectable<DomainsTable>;

/** Organizations whose private domains the actor sees: not those where they are a mere user or billing manager (CF: `readable_org_ids_for_domains`). */
function organizationsOfDomains(actor: Actor): string[] {
  const guids = actor.roles.flatMap(role =>
    role.type === 'organization_user' || role.type === 'organization_billing_manager' ? [] : [role.organizationGuid],
  );
  return [...new Set(guids.filter(guid => guid !== null))];
}

/** Private domains that one of these organizations owns or may use. */
export function usableIn(organizationGuids: readonly string[]): Condition {
  const owned = among('domains.organization_guid', organizationGuids);
  const shared = sql`domains.guid in (select domain_guid from domain_shares where ${among('organization_guid', organizationGuids)})`;
  return sql<SqlBool>`(${owned} or ${shared})`;
}

const SHARED: Condition = sql<SqlBool>`domains.organization_guid is null`;

export function seenDomains(actor: Actor): Condition {
  if (actor.isAdmin) return sql<SqlBool>`1 = 1`;
  return sql<SqlBool>`(${SHARED} or ${usableIn(organizationsOfDomains(actor))})`;
}

/** Those that an organization may use, as far as the actor may see them: its own page of domains. */
export function domainsOfOrganization(actor: Actor, organizationGuid: string): Condition {
  const isSeen = actor.isAdmin || organizationsOfDomains(actor).includes(organizationGuid);
  return sql<SqlBool>`(${SHARED} or ${usableIn(isSeen ? [organizationGuid] : [])})`;
}

/** @throws NotFoundError */
export async function seenDomain(db: Kysely<Database>, actor: Actor, guid: string): Promise<DomainRow> {
  const domain = await db
    .selectFrom('domains')
    .selectAll()
    .where('guid', '=', guid)
    .where(seenDomains(actor))
    .executeTakeFirst();
  if (domain === undefined) throw new NotFoundError('Domain');
  return domain;
}

/** Organizations that a private domain is shared with, as far as the actor may see them; by domain. */
export async function sharesOf(
  db: Kysely<Database>,
  actor: Actor,
  domainGuids: readonly string[],
): Promise<Map<string, string[]>> {
  const rows = await db
    .selectFrom('domain_shares')
    .select(['domain_guid', 'organization_guid'])
    .where(among('domain_guid', domainGuids))
    .orderBy('created_at')
    .orderBy('organization_guid')
    .execute();
  const seen = new Set(actor.roles.map(role => role.organizationGuid));
  const shares = new Map<string, string[]>();
  for (const { domain_guid, organization_guid } of rows)
    if (actor.isAdmin || seen.has(organization_guid))
      shares.set(domain_guid, [...(shares.get(domain_guid) ?? []), organization_guid]);
  return shares;
}
