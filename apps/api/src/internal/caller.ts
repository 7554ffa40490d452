/**
 * Who calls the internal listener: whoever reaches the machine's own socket, or a member of the cluster by its certificate. What each may ask for stands
 * with the routes; what it may ask for of whom, here.
 */
import type { TLSSocket } from 'node:tls';
import { callerOf } from '@cupola/certificates/members/dial';
import type { Member, Role } from '@cupola/certificates/members/names';
import { ForbiddenError } from '@cupola/model/errors';
import type { ApiDeps } from '../deps.ts';

/** Null: a stranger, who may only join. */
export type Caller = 'local' | readonly Member[] | null;

/** A member that was removed is noticed within this on a connection that it holds (ours). */
const LOOK_AGAIN_MS = 10_000;

/** @throws ForbiddenError unless the caller has one of these roles, or is on this machine. */
export function requireRole(caller: Caller, roles: readonly Role[] | 'everybody'): void {
  if (caller === 'local' || roles === 'everybody') return;
  if (caller?.some(({ role }) => roles.includes(role)) !== true)
    throw new ForbiddenError('This member of the cluster may not do that');
}

/** @throws ForbiddenError unless the caller is that very member, or is on this machine. */
export function requireSelf(caller: Caller, member: Member): void {
  if (caller === 'local') return;
  if (caller?.some(({ role, id }) => role === member.role && id === member.id) !== true)
    throw new ForbiddenError(`Only the ${member.role} ${member.id} may do that`);
}

/** Tells who calls over TLS; what a connection's certificate says is looked at once, whether it still counts again and again. */
export function createCallers({ store }: Pick<ApiDeps, 'store'>): (socket: TLSSocket) => Promise<Caller> {
  const known = new WeakMap<TLSSocket, { members: Member[]; untilMs: number }>();
  return async socket => {
    const before = known.get(socket);
    if (before !== undefined && performance.now() < before.untilMs) return before.members;
    const members = before?.members ?? callerOf(socket);
    const [first] = members ?? [];
    if (members === null || first === undefined) return null;
    const row = await store.read
      .selectFrom('members')
      .select('removed_at')
      .where('id', '=', first.id)
      .executeTakeFirst();
    if (row === undefined || row.removed_at !== null) {
      known.delete(socket);
      throw new ForbiddenError('This machine was removed from the cluster');
    }
    known.set(socket, { members, untilMs: performance.now() + LOOK_AGAIN_MS });
    return members;
  };
}
