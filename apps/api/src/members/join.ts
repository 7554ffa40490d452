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
  const { roles, lifeMs } = await readJson(call, tokenRequest);
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
        used_by: null,
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
    const granted = token === undefined ? asked : await useToken(mutation, { token, id });
    if (granted.length === 0) throw new InvalidRequestError("the roles are missing: give 'roles'");
    await remember(mutation, { id, hostName, roles: granted, isNew: token !== undefined });
    return granted;
  });
  return certify(call, request, membersFor(id, roles));
}

/** As whom it is known already. @throws ForbiddenError for who was removed. */
export async function renew(call: InternalCall): Promise<InternalReply> {
  const { request } = await readJson(call, renewRequest);
  const { caller, deps } = call;
  if (caller === 'local' || caller === null || caller[0] === undefined) throw new ForbiddenError();
  const { id } = caller[0];
  await deps.store.note(({ db, now }) =>
    db.updateTable('members').set({ renewed_at: now }).where('id', '=', id).execute(),
  );
  return certify(call, request, caller);
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
): Promise<MemberRole[]> {
  const token_hash = hashOf(token);
  const row = await db.selectFrom('join_tokens').selectAll().where('token_hash', '=', token_hash).executeTakeFirst();
  if (row === undefined || row.expires_at <= now || (row.used_by !== null && row.used_by !== id))
    throw new ForbiddenError(
      'This token is not known, has been used, or is too old. Make a new one with ./cupola cluster token',
    );
  await db.updateTable('join_tokens').set({ used_by: id }).where('token_hash', '=', token_hash).execute();
  return JSON.parse(row.roles_json) as MemberRole[];
}

async function remember(
  { db, now }: Pick<Mutation, 'db' | 'now'>,
  { id, hostName, roles, isNew }: { id: string; hostName: string; roles: readonly MemberRole[]; isNew: boolean },
): Promise<void> {
  const known = await db.selectFrom('members').select('removed_at').where('id', '=', id).executeTakeFirst();
  if (isNew && known !== undefined && known.removed_at !== null)
    throw new UnprocessableError(
      'This machine was removed from the cluster. To let it join again, move its data folder away, or use another one with --data',
    );
  const row = { host_name: hostName, roles_json: JSON.stringify(roles), renewed_at: now };
  await db
    .insertInto('members')
    .values({ id, joined_at: now, removed_at: null, ...row })
    .onConflict(conflict => conflict.column('id').doUpdateSet(row))
    .execute();
}
