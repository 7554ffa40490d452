/** Finding an organization for an actor: hidden ones are not there. */
import { ForbiddenError, NotFoundError } from '@cupola/model/errors';
import type { RoleType } from '@cupola/model/states';
import type { Database, OrganizationsTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { holdsInOrganization, maySeeOrganization, requireActive } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';

export type OrganizationRow = Selectable<OrganizationsTable>;

export async function findOrganization(db: Kysely<Database>, guid: string): Promise<OrganizationRow | undefined> {
  return db.selectFrom('organizations').selectAll().where('guid', '=', guid).executeTakeFirst();
}

/** @throws NotFoundError */
export async function seenOrganization(db: Kysely<Database>, actor: Actor, guid: string): Promise<OrganizationRow> {
  const organization = await findOrganization(db, guid);
  if (organization === undefined || !maySeeOrganization(actor, guid)) throw new NotFoundError('Organization');
  return organization;
}

/** For managers and admins. @throws NotFoundError, ForbiddenError */
export async function managedOrganization(db: Kysely<Database>, actor: Actor, guid: string): Promise<OrganizationRow> {
  const organization = await seenOrganization(db, actor, guid);
  requireInOrganization(actor, guid, ['organization_manager']);
  return organization;
}

/** The actor holds one of these roles there, and the organization is not suspended. @throws ForbiddenError */
export function requireInOrganization(actor: Actor, guid: string, types: readonly RoleType[]): void {
  if (!holdsInOrganization(actor, guid, types)) throw new ForbiddenError();
  requireActive(actor, guid);
}
