/** Who hears of what. Pure. */
import type { StreamKind } from '@cupola/contract/v3/stream';
import type { Actor } from '../access/actor.ts';
import { SEEING_EVENTS } from '../events/endpoints.ts';
import { SEEING, type Seeing } from '../pages/scope.ts';
import { SEEING_ROUTES } from '../routes/find-route.ts';

/** What frames are about, without what they say. */
export interface Subject {
  kind: StreamKind;
  guid: string;
  organizationGuid: string | null;
  spaceGuid: string | null;
  /** Null: belongs to no app, to several, or is gone. */
  appGuid: string | null;
}

/** What a client asked to hear of; null: all. */
export interface StreamFilter {
  kinds: readonly StreamKind[] | null;
  organizationGuids: readonly string[] | null;
  spaceGuids: readonly string[] | null;
  appGuids: readonly string[] | null;
}

export type Rights = Pick<Actor, 'isAdmin' | 'roles'>;

/** Equal for those who may see the same. */
export function rightsKey({ isAdmin, roles }: Rights): string {
  if (isAdmin) return 'admin';
  return roles
    .map(({ type, organizationGuid, spaceGuid }) => `${type} ${organizationGuid} ${spaceGuid}`)
    .sort()
    .join('\n');
}

/** What lists show to whoever has these rights, of what was asked for. */
export function createAudience(rights: Rights, filter: StreamFilter): (subject: Subject) => boolean {
  const asked = filterOf(filter);
  const seeing = {
    usual: placesOf(rights, SEEING),
    routes: placesOf(rights, SEEING_ROUTES),
    events: placesOf(rights, SEEING_EVENTS),
  };
  const organizations = new Set(rights.roles.map(({ organizationGuid }) => organizationGuid));
  const sees = (subject: Subject): boolean => {
    const { kind, organizationGuid } = subject;
    if (rights.isAdmin) return true;
    // Of any role in it or in one of its spaces.
    if (kind === 'organization') return organizationGuid !== null && organizations.has(organizationGuid);
    const places = kind === 'route' ? seeing.routes : kind === 'audit_event' ? seeing.events : seeing.usual;
    return places(subject);
  };
  return subject => asked(subject) && sees(subject);
}

function filterOf({ kinds, organizationGuids, spaceGuids, appGuids }: StreamFilter): (subject: Subject) => boolean {
  const among = (guids: readonly string[] | null) => {
    const set = guids === null ? null : new Set(guids);
    return (guid: string | null): boolean => set === null || (guid !== null && set.has(guid));
  };
  const [isKind, isOrganization, isSpace, isApp] = [kinds, organizationGuids, spaceGuids, appGuids].map(among) as [
    (guid: string | null) => boolean,
    (guid: string | null) => boolean,
    (guid: string | null) => boolean,
    (guid: string | null) => boolean,
  ];
  return subject =>
    isKind(subject.kind) &&
    isOrganization(subject.organizationGuid) &&
    // An organization is in no space: who asks for a space hears of the one around it.
    (subject.kind === 'organization' || isSpace(subject.spaceGuid)) &&
    // Of what is gone, and of routes, which lead to several, it is not known whose it is: who asks for an app hears of it.
    (subject.kind === 'app' ? isApp(subject.guid) : isOfOne(subject) ? isApp(subject.appGuid) : true);
}

const isOfOne = ({ kind, appGuid }: Subject): boolean => appGuid !== null || kind === 'audit_event';

function placesOf({ roles }: Rights, seeing: Seeing): (subject: Subject) => boolean {
  const organizations = new Set(
    roles.flatMap(role => (seeing.organization.includes(role.type) ? (role.organizationGuid ?? []) : [])),
  );
  const spaces = new Set(roles.flatMap(role => (seeing.space.includes(role.type) ? (role.spaceGuid ?? []) : [])));
  return ({ organizationGuid, spaceGuid }) =>
    (organizationGuid !== null && organizations.has(organizationGuid)) || (spaceGuid !== null && spaces.has(spaceGuid));
}
