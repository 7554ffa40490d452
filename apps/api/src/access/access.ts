/**
 * Who may see and change what, as Cloud Foundry's roles say (docs.cloudfoundry.org, "Roles and permissions"). Deny by default. Hidden objects answer 404
 * in their resource's own words, visible ones that one may not change 403, those named in a body 422: handlers ask here and nowhere else.
 */
import { ForbiddenError, NotFoundError } from '@cupola/model/errors';
import type { RoleType } from '@cupola/model/states';
import type { Actor } from './actor.ts';

/** Guids an actor may see; `all` for admins. */
export interface Visible {
  all: boolean;
  organizationGuids: readonly string[];
  /** Organizations all of whose spaces are visible (organization manager; auditors and billing managers see names of spaces only by their own roles). */
  wholeOrganizationGuids: readonly string[];
  spaceGuids: readonly string[];
}

const unique = (values: Array<string | null>): string[] => [...new Set(values.filter(value => value !== null))];

/**
 * What the actor may see. Organizations: those of any role in them or in one of their spaces (CF gives each space member `organization_user`).
 * Spaces and what is in them: space roles, and the spaces of organizations that the actor manages.
 */
export function visible(actor: Actor): Visible {
  return {
    all: actor.isAdmin,
    organizationGuids: unique(actor.roles.map(role => role.organizationGuid)),
    wholeOrganizationGuids: unique(
      actor.roles.map(role => (role.type === 'organization_manager' ? role.organizationGuid : null)),
    ),
    spaceGuids: unique(actor.roles.map(role => role.spaceGuid)),
  };
}

interface SpaceScope {
  spaceGuid: string;
  organizationGuid: string;
}

export function maySeeOrganization(actor: Actor, organizationGuid: string): boolean {
  return actor.isAdmin || actor.roles.some(role => role.organizationGuid === organizationGuid);
}
export function maySeeSpace(actor: Actor, { spaceGuid, organizationGuid }: SpaceScope): boolean {
  const seen = visible(actor);
  return seen.all || seen.spaceGuids.includes(spaceGuid) || seen.wholeOrganizationGuids.includes(organizationGuid);
}
/** Holds one of `types` in that space. Admins hold every role. */
export function holdsInSpace(actor: Actor, spaceGuid: string, types: readonly RoleType[]): boolean {
  return actor.isAdmin || actor.roles.some(role => role.spaceGuid === spaceGuid && types.includes(role.type));
}
/** Holds one of `types` in that organization. Admins hold every role. */
export function holdsInOrganization(actor: Actor, organizationGuid: string, types: readonly RoleType[]): boolean {
  return (
    actor.isAdmin || actor.roles.some(role => role.organizationGuid === organizationGuid && types.includes(role.type))
  );
}

/** Throws 404 in `resource`'s words when the space is hidden. */
function requireSeen(actor: Actor, scope: SpaceScope, resource: string): void {
  if (!maySeeSpace(actor, scope)) throw new NotFoundError(resource);
}
/** Throws 404 when hidden, 403 when the actor may not change what lies in this space (space developers may; supporters only where CF says so). */
export function requireDeveloper(
  actor: Actor,
  scope: SpaceScope,
  resource: string,
  also: readonly RoleType[] = [],
): void {
  requireSeen(actor, scope, resource);
  if (!holdsInSpace(actor, scope.spaceGuid, ['space_developer', ...also])) throw new ForbiddenError();
  requireActive(actor, scope.organizationGuid);
}
/** In a suspended organization only admins change anything (CF: `require_writable_org!`). */
export function requireActive(actor: Actor, organizationGuid: string): void {
  if (!actor.isAdmin && actor.suspendedOrganizationGuids.includes(organizationGuid))
    throw new ForbiddenError('The organization is suspended', 'OrgSuspended');
}
export function requireAdmin(actor: Actor): void {
  if (!actor.isAdmin) throw new ForbiddenError();
}
