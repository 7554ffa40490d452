/** Access tokens that were taken back before their end. Kept beside refresh tokens, and swept with them, once they would have ended anyway. */
import { createHash } from 'node:crypto';
import type { Mutation } from '@cupola/store/store';

/** Key of the row that says so; no refresh token hashes to it, since those have no colon. */
export function revocationKey(jti: string): string {
  return createHash('sha256').update(`jti:${jti}`).digest('hex');
}

export async function revokeAccess(
  { db, now }: Pick<Mutation, 'db' | 'now'>,
  token: { jti: string; clientId: string; userGuid: string },
  lifeMs: number,
): Promise<void> {
  await db
    .insertInto('refresh_tokens')
    .values({
      token_hash: revocationKey(token.jti),
      family: `jti:${token.jti}`,
      user_guid: token.userGuid,
      client_id: token.clientId,
      used_at: null,
      revoked: 1,
      expires_at: now + lifeMs,
      created_at: now,
    })
    .onConflict(conflict => conflict.column('token_hash').doNothing())
    .execute();
}
