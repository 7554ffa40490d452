/** Giving and taking roles inside a mutation (CF: role_create.rb, role_delete.rb, user_event_repository.rb). */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { RoleType } from '@cupola/model/states';
import type { RolesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordEvent } from '../events/record.ts';
import type { OrganizationRow } from '../organizations/find-organization.ts';
import type { SpaceRow } from '../spaces/find-space.ts';

export type RoleRow = Selectable<RolesTable>;
export type RolePlace =
  | { kind: 'organization'; organization: Pick<OrganizationRow, 'guid' | 'name'> }
  | { kind: 'space'; space: SpaceRow };
interface Holder {
  guid: string;
  username: string;
}

export const NOT_IN_ORGANIZATION =
  "Users cannot be assigned roles in a space if they do not have a role in that space's organization.";

/** @throws UnprocessableError in the words by which the cf CLI knows that the role is there already. */
export async function addRole(
  mutation: Mutation,
  { actor, type, user, place }: { actor: Actor; type: RoleType; user: Holder; place: RolePlace },
): Promise<RoleRow> {
  const { db, now, changed } = mutation;
  if (place.kind === 'space') await requireMember(mutation, user, place.space.organization_guid);
  const role: RoleRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    type,
    user_guid: user.guid,
    organization_guid: place.kind === 'organization' ? place.organization.guid : null,
    space_guid: place.kind === 'space' ? place.space.guid : null,
  };
  const present = await db
    .selectFrom('roles')
    .select('guid')
    .where('type', '=', type)
    .where('user_guid', '=', user.guid)
    .where(place.kind === 'space' ? 'space_guid' : 'organization_guid', '=', placeGuid(place))
    .executeTakeFirst();
  if (present !== undefined)
    throw new UnprocessableError(
      `User '${user.username}' already has '${type}' role in ${place.kind} '${placeName(place)}'.`,
    );
  await db.insertInto('roles').values(role).execute();
  changed('role', role.guid, scopeOf(place));
  await record(mutation, { actor, verb: 'add', type, user, place });
  return role;
}

async function requireMember({ db }: Mutation, user: Holder, organizationGuid: string): Promise<void> {
  const membership = await db
    .selectFrom('roles')
    .select('guid')
    .where('user_guid', '=', user.guid)
    .where('organization_guid', '=', organizationGuid)
    .executeTakeFirst();
  if (membership === undefined) throw new UnprocessableError(NOT_IN_ORGANIZATION);
}

/** @throws UnprocessableError for the membership of an organization whose spaces the user still has roles in. */
export async function removeRole(
  mutation: Mutation,
  { actor, role, user, place }: { actor: Actor; role: RoleRow; user: Holder; place: RolePlace },
): Promise<void> {
  const { db, changed } = mutation;
  if (place.kind === 'organization' && role.type === 'organization_user') {
    const inSpace = await db
      .selectFrom('roles')
      .innerJoin('spaces', 'spaces.guid', 'roles.space_guid')
      .select('roles.guid')
      .where('roles.user_guid', '=', user.guid)
      .where('spaces.organization_guid', '=', place.organization.guid)
      .executeTakeFirst();
    if (inSpace !== undefined)
      throw new UnprocessableError(
        'Cannot delete organization_user role while user has roles in spaces in that organization.',
      );
  }
  await db.deleteFrom('roles').where('guid', '=', role.guid).execute();
  changed('role', role.guid, scopeOf(place));
  await record(mutation, { actor, verb: 'remove', type: role.type, user, place });
}

function placeGuid(place: RolePlace): string {
  return place.kind === 'space' ? place.space.guid : place.organization.guid;
}
function placeName(place: RolePlace): string {
  return place.kind === 'space' ? place.space.name : place.organization.name;
}
function scopeOf(place: RolePlace): { organizationGuid: string; spaceGuid: string | null } {
  return place.kind === 'space'
    ? { organizationGuid: place.space.organization_guid, spaceGuid: place.space.guid }
    : { organizationGuid: place.organization.guid, spaceGuid: null };
}

/** `audit.user.space_developer_add`. */
function record(
  mutation: Mutation,
  {
    actor,
    verb,
    type,
    user,
    place,
  }: { actor: Actor; verb: 'add' | 'remove'; type: RoleType; user: Holder; place: RolePlace },
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.user.${type}_${verb}`,
    actor,
    target: { type: 'user', guid: user.guid, name: user.username },
    ...scopeOf(place),
    data: { username: user.username, role: type },
  });
}
