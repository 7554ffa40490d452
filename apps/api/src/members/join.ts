/**
 * How a machine becomes a member: by a token that serves once, or without one on the machine's own socket. It makes its key itself; what it gets is a
 * certificate for its roles under its id. A call whose answer was lost may be said again.
 */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import type { Member, Role } from '@cupola/certificates/members/names';
import { joinRequest, renewRequest, tokenRequest } from '@cupola/contract/internal';
import { ForbiddenError, InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { type InternalCall, type InternalReply, readJson } from '../internal/call.ts';
import { openAuthority } from './authority.ts';

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

export async function makeToken(call: InternalCall): Promise<InternalReply> {
  const { roles, lifeMs, id = null } = await readJson(call, tokenRequest);
  const token = randomBytes(32).toString('base64url');
  await call.deps.store.note(async ({ db, now }) => {
    await db.deleteFrom('join_tokens').where('expires_at', '<', now).execute();
    await db
      .insertInto('join_tokens')
      .values({
        token_hash: hashOf(token),
        roles_json: JSON.stringify(roles),
        created_at: now,
        expires_at: now + lifeMs,
        used_by: id,
      })
      .execute();
  });
  const authority = await openAuthority(call.deps);
  const fingerprint = createHash('sha256').update(new X509Certificate(authority.cert).raw).digest('hex');
  return { status: 200, json: { token, authority: fingerprint } };
}

export async function join(call: InternalCall): Promise<InternalReply> {
  const { deps, caller } = call;
  const { token, id, hostName, request, roles: asked = [] } = await readJson(call, joinRequest);
  if (token === undefined && caller !== 'local') throw new ForbiddenError('A token is needed to join');
  const roles = await deps.store.note(async mutation => {
    const { granted, isForId } =
      token === undefined ? { granted: asked, isForId: true } : await useToken(mutation, { token, id });
    if (granted.length === 0) throw new InvalidRequestError("the roles are missing: give 'roles'");
    await remember(mutation, { id, hostName, roles: granted, isForId });
    return granted;
  });
  return certify(call, request, membersFor(id, roles));
}

/** As whom it shows itself, with what is left now of its roles, or with fewer of them. @throws ForbiddenError for who was removed, or has none left. */
export async function renew(call: InternalCall): Promise<InternalReply> {
  const { request, roles: asked } = await readJson(call, renewRequest);
  const { caller, deps } = call;
  if (caller === 'local' || caller === null || caller[0] === undefined) throw new ForbiddenError();
  const { id } = caller[0];
  const { roles_json } = await deps.store.note(({ db, now }) =>
    db
      .updateTable('members')
      .set({ renewed_at: now })
      .where('id', '=', id)
      .returning('roles_json')
      .executeTakeFirstOrThrow(),
  );
  const roles = (JSON.parse(roles_json) as MemberRole[]).filter(
    role => caller.some(member => member.role === role) && (asked === undefined || asked.includes(role)),
  );
  if (roles.length === 0)
    throw new ForbiddenError(
      'This member has none of those roles any more. It joins again with a token for it: ./cupola cluster token --id ID --role ROLES',
    );
  return certify(call, request, membersFor(id, roles));
}

async function certify({ deps }: InternalCall, request: string, members: readonly Member[]): Promise<InternalReply> {
  const { BadRequestError, signRequest } = await import('@cupola/certificates/members/authority');
  try {
    const chain = await signRequest(request, { authority: await openAuthority(deps), members, nowMs: deps.now() });
    return { status: 200, json: { chain } };
  } catch (error) {
    if (error instanceof BadRequestError) throw new InvalidRequestError(error.message);
    throw error;
  }
}

type MemberRole = Exclude<Role, 'api'>;

function membersFor(id: string, roles: readonly MemberRole[]): Member[] {
  return roles.map(role => ({ role, id }));
}

async function useToken(
  { db, now }: Pick<Mutation, 'db' | 'now'>,
  { token, id }: { token: string; id: string },
): Promise<{ granted: MemberRole[]; isForId: boolean }> {
  const token_hash = hashOf(token);
  const row = await db.selectFrom('join_tokens').selectAll().where('token_hash', '=', token_hash).executeTakeFirst();
  if (row === undefined || row.expires_at <= now || (row.used_by !== null && row.used_by !== id))
    throw new ForbiddenError(
      'This token is not known, has been used, or is too old. Make a new one with ./cupola cluster token',
    );
  await db.updateTable('join_tokens').set({ used_by: id }).where('token_hash', '=', token_hash).execute();
  return { granted: JSON.parse(row.roles_json) as MemberRole[], isForId: row.used_by === id };
}

interface Joining {
  id: string;
  hostName: string;
  roles: readonly MemberRole[];
  /** The token was made for that id, or has served it before: whoever holds another one could take a member's place. */
  isForId: boolean;
}

async function remember(
  { db, now }: Pick<Mutation, 'db' | 'now'>,
  { id, hostName, roles, isForId }: Joining,
): Promise<void> {
  const known = await db.selectFrom('members').select('removed_at').where('id', '=', id).executeTakeFirst();
  if (known !== undefined && known.removed_at !== null)
    throw new UnprocessableError(
      'This machine was removed from the cluster. To let it join again, move its data folder away, or use another one with --data',
    );
  if (known !== undefined && !isForId)
    throw new UnprocessableError(
      `There is a member ${id} already. If this is that machine, make a token for it: ./cupola cluster token --id ${id}`,
    );
  const row = { host_name: hostName, roles_json: JSON.stringify(roles), renewed_at: now };
  await db
    .insertInto('members')
    .values({ id, joined_at: now, removed_at: null, ...row })
    .onConflict(conflict => conflict.column('id').doUpdateSet(row))
    .execute();
}
