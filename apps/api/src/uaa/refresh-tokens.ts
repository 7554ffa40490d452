/**
 * Refresh tokens rotate: each is used once and replaced. One that comes again was stolen, from its owner or by them: the whole family ends. But two commands
 * of one user at the same moment hold the same token, and an answer may get lost on its way: within a short grace a token may come again.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { Mutation } from '@cupola/store/store';

type Write = Pick<Mutation, 'db' | 'now'>;

/** By which a token is known in the store. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Random bytes for a token; made outside of the mutation that keeps it, which may run twice. */
export function newRefreshToken(): string {
  return `${randomBytes(32).toString('base64url')}-r`;
}

/** Keeps a new token; in a family of its own unless it replaces another. */
export async function keepRefreshToken(
  { db, now }: Write,
  token: string,
  owner: { userGuid: string; clientId: string; family?: string },
): Promise<void> {
  await db
    .insertInto('refresh_tokens')
    .values({
      token_hash: tokenHash(token),
      family: owner.family ?? randomUUID(),
      user_guid: owner.userGuid,
      client_id: owner.clientId,
      used_at: null,
      revoked: 0,
      expires_at: now + TOKEN_LIMITS.refreshSeconds * 1_000,
      created_at: now,
    })
    .execute();
}

/** Uses a token up, for `next`. Null when it does not count: unknown, ended, revoked, another client's, or come again, which ends its family. */
export async function rotateRefreshToken(
  write: Write,
  { token, next, clientId }: { token: string; next: string; clientId: string },
): Promise<{ userGuid: string } | null> {
  const { db, now } = write;
  const row = await db
    .selectFrom('refresh_tokens')
    .selectAll()
    .where('token_hash', '=', tokenHash(token))
    .executeTakeFirst();
  if (row === undefined || row.revoked === 1 || row.expires_at <= now || row.client_id !== clientId) return null;
  if (row.used_at !== null && now - row.used_at > TOKEN_LIMITS.refreshReuseGraceMs) {
    await db.updateTable('refresh_tokens').set({ revoked: 1 }).where('family', '=', row.family).execute();
    return null;
  }
  await db
    .updateTable('refresh_tokens')
    .set({ used_at: row.used_at ?? now })
    .where('token_hash', '=', row.token_hash)
    .execute();
  await keepRefreshToken(write, next, { userGuid: row.user_guid, clientId, family: row.family });
  return { userGuid: row.user_guid };
}

/** All of a user's logins end: a new password, a deleted user. */
export async function revokeRefreshTokens({ db }: Pick<Write, 'db'>, userGuid: string): Promise<void> {
  await db.updateTable('refresh_tokens').set({ revoked: 1 }).where('user_guid', '=', userGuid).execute();
}
