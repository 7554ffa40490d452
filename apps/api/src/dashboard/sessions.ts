/**
 * A session is a login of the client `dashboard`: a row of `refresh_tokens`, found by the hash of what the cookie says. So it outlives a restart, any API of
 * a cluster knows it, and it ends as all logins of a user do: with a new password, with the user, after 30 days. No token reaches the browser, and what its
 * cookie holds is none: `/oauth/token` has no such client.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { actorOfUser } from '../uaa/authenticate.ts';
import { DASHBOARD_CLIENT, newSecret, takeCode } from '../uaa/authorization-codes.ts';
import { keepRefreshToken, tokenHash } from '../uaa/refresh-tokens.ts';

type Deps = Pick<ApiDeps, 'store' | 'now'>;

/** Changes a code into a session. Null: the code does not count. @returns what the cookie shall say. */
export async function beginSession(
  { store }: Deps,
  given: { code: string; verifier: string },
): Promise<{ secret: string } | null> {
  const secret = newSecret();
  const userGuid = await store.note(async write => {
    const owner = await takeCode(write, given);
    if (owner === null) return null;
    await keepRefreshToken(write, secret, { userGuid: owner, clientId: DASHBOARD_CLIENT });
    await write.db.updateTable('users').set({ listed: 1 }).where('guid', '=', owner).where('listed', '=', 0).execute();
    return owner;
  });
  return userGuid === null ? null : { secret };
}

/** Whose session it is, with the rights of this moment; null when it has ended. */
export async function actorOfSession({ store, now }: Deps, secret: string): Promise<Actor | null> {
  const hash = tokenHash(secret);
  const row = await store.read
    .selectFrom('refresh_tokens')
    .select(['user_guid', 'expires_at', 'revoked', 'used_at', 'client_id'])
    .where('token_hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined || row.revoked === 1 || row.used_at !== null || row.expires_at <= now()) return null;
  if (row.client_id !== DASHBOARD_CLIENT) return null;
  const actor = await actorOfUser(store.read, row.user_guid);
  return actor === null ? null : { ...actor, tokenId: hash.slice(0, 32), endsAtMs: row.expires_at };
}

export async function endSession({ store }: Deps, secret: string): Promise<void> {
  await store.note(({ db }) =>
    db
      .deleteFrom('refresh_tokens')
      .where('token_hash', '=', tokenHash(secret))
      .where('client_id', '=', DASHBOARD_CLIENT)
      .execute(),
  );
}

/** What our own page must say with each change: it can read it, a page of another origin cannot. */
export function csrfToken(secret: string): string {
  return createHash('sha256').update(`csrf:${secret}`).digest('base64url');
}

export function isCsrfToken(given: unknown, secret: string): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [Buffer.from(given), Buffer.from(csrfToken(secret))];
  return a.length === b.length && timingSafeEqual(a, b);
}
