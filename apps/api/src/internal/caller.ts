/**
 * Who calls the internal listener: whoever reaches the machine's own socket, or a member of the cluster by its certificate. What each may ask for stands
 * with the routes; what it may ask for of whom, here.
 */
import type { TLSSocket } from 'node:tls';
import { callerOf } from '@cupola/certificates/members/dial';
import type { Member, Role } from '@cupola/certificates/members/names';
import { ForbiddenError } from '@cupola/model/errors';
import type { ApiDeps } from '../deps.ts';
import { inChunks } from './views/in-chunks.ts';

/** Null: a stranger, who may only join. */
export type Caller = 'local' | readonly Member[] | null;

/** A member that was removed is noticed within this on a connection that it holds (ours). */
const LOOK_AGAIN_MS = 10_000;

/** @throws ForbiddenError unless the caller has one of these roles, or is on this machine. */
export function requireRole(caller: Caller, roles: readonly Role[] | 'everybody'): void {
  if (caller === 'local' || roles === 'everybody') return;
  if (caller === null)
    throw new ForbiddenError(
      'No certificate of this cluster that is valid now was shown. A machine whose own has run out joins again with a token for it (./cupola cluster token --id ID), once its clock is right',
    );
  if (caller.some(({ role }) => roles.includes(role)) !== true)
    throw new ForbiddenError('This member of the cluster may not do that');
}

/** @throws ForbiddenError unless the caller is that very member, or is on this machine. */
export function requireSelf(caller: Caller, member: Member): void {
  if (caller === 'local') return;
  if (caller?.some(({ role, id }) => role === member.role && id === member.id) !== true)
    throw new ForbiddenError(`Only the ${member.role} ${member.id} may do that`);
}

export interface Callers extends Disposable {
  /** By the certificate; null: a stranger. @throws ForbiddenError for a member that was removed. */
  whoIs(socket: TLSSocket): Promise<Caller>;
}

/** What a connection's certificate says is read once; whether its member still counts is looked at again and again, of connections that only listen too. */
export function createCallers({ store, log }: Pick<ApiDeps, 'store' | 'log'>, lookMs = LOOK_AGAIN_MS): Callers {
  const known = new Map<TLSSocket, readonly Member[]>();
  const membersAmong = async (ids: readonly string[]): Promise<ReadonlySet<string>> => {
    const rows = await inChunks(ids, some =>
      store.read.selectFrom('members').select('id').where('id', 'in', some).where('removed_at', 'is', null).execute(),
    );
    return new Set(rows.map(({ id }) => id));
  };
  const look = async (): Promise<void> => {
    const ids = [...known.values()].flatMap(members => members.map(({ id }) => id));
    const still = await membersAmong([...new Set(ids)]);
    for (const [socket, members] of known) if (members.some(({ id }) => !still.has(id))) socket.destroy();
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.warn({ err: error }, 'who is still a member could not be looked at'));
  }, lookMs).unref();
  return {
    whoIs: async socket => {
      const before = known.get(socket);
      if (before !== undefined) return before;
      const members = callerOf(socket);
      const [first] = members ?? [];
      if (members === null || first === undefined) return null;
      if (!(await membersAmong([first.id])).has(first.id))
        throw new ForbiddenError('This machine was removed from the cluster');
      if (socket.destroyed) return members; // Its end would not be told any more.
      known.set(socket, members);
      socket.once('close', () => known.delete(socket));
      return members;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
