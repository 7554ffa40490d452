/** Finding a space for an actor, with its organization's name, in one query. */
import { ForbiddenError, NotFoundError } from '@cupola/model/errors';
import type { RoleType } from '@cupola/model/states';
import type { Database, SpacesTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { holdsInOrganization, holdsInSpace, maySeeSpace, requireActive } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';

export interface SpaceRow extends Selectable<SpacesTable> {
  organization_name: string;
}

export async function findSpace(db: Kysely<Database>, guid: string): Promise<SpaceRow | undefined> {
  return db
    .selectFrom('spaces')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('spaces.guid', '=', guid)
    .selectAll('spaces')
    .select('organizations.name as organization_name')
    .executeTakeFirst();
}

/** @throws NotFoundError for a space that is not there or that the actor may not see. */
export async function seenSpace(db: Kysely<Database>, actor: Actor, guid: string): Promise<SpaceRow> {
  const space = await findSpace(db, guid);
  if (space === undefined || !maySeeSpace(actor, { spaceGuid: guid, organizationGuid: space.organization_guid }))
    throw new NotFoundError('Space');
  return space;
}

/** The actor holds one of `types` there, or manages its organization, which is not suspended. @throws ForbiddenError */
export function requireInSpace(actor: Actor, space: SpaceRow, types: readonly RoleType[]): void {
  const isManager = holdsInOrganization(actor, space.organization_guid, ['organization_manager']);
  if (!isManager && !holdsInSpace(actor, space.guid, types)) throw new ForbiddenError();
  requireActive(actor, space.organization_guid);
}
