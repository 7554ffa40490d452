/**
 * Who a part of a cluster is: one or more roles, each under the member's id, as SPIFFE URIs in its certificate (`spiffe://cupola/agent/ID`). Host names say
 * nothing here: a part may be reached under any address.
 */

export const ROLES = ['api', 'agent', 'stager', 'router'] as const;
export type Role = (typeof ROLES)[number];

export interface Member {
  role: Role;
  /** Of the machine; of an agent, its cell's. */
  id: string;
}

/** How long a certificate holds: enough for a machine that is off for some weeks; who is removed is refused at once, by the list of members. */
export const MEMBER_DAYS = 30;

const PREFIX = 'spiffe://cupola/';
/** What may stand in a URI and in a list of names as Node.js prints it, without any quoting. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

const isMemberId = (id: string): boolean => ID.test(id);

export const memberUri = ({ role, id }: Member): string => `${PREFIX}${role}/${id}`;

/** Of a certificate's `subjectaltname` as Node.js gives it: `URI:..., URI:...`. Anything else in it is passed over. */
export function membersIn(subjectAltName: string | undefined): Member[] {
  return (subjectAltName ?? '').split(', ').flatMap(name => {
    if (!name.startsWith(`URI:${PREFIX}`)) return [];
    const [role, id, ...more] = name.slice(`URI:${PREFIX}`.length).split('/');
    const known = ROLES.find(one => one === role);
    return known === undefined || id === undefined || !isMemberId(id) || more.length > 0 ? [] : [{ role: known, id }];
  });
}
