/**
 * Codes of the authorization code flow with PKCE (RFC 6749, 7636). There is one client, the platform's own dashboard, whose redirect is a path of this API:
 * nowhere else can a code be sent.
 */
import { createHash, randomBytes } from 'node:crypto';
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { Mutation } from '@cupola/store/store';

type Write = Pick<Mutation, 'db' | 'now'>;

export const DASHBOARD_CLIENT = 'dashboard';
export const DASHBOARD_CALLBACK = '/dashboard/callback';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Random text for a code, a state, a verifier. Made outside of the mutation that keeps it, which may run twice. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

export function challengeOf(verifier: string): string {
  return sha256(verifier);
}

export async function keepCode(
  { db, now }: Write,
  { code, userGuid, challenge }: { code: string; userGuid: string; challenge: string },
): Promise<void> {
  await db.deleteFrom('authorization_codes').where('expires_at', '<', now).execute();
  await db
    .insertInto('authorization_codes')
    .values({
      code_hash: sha256(code),
      user_guid: userGuid,
      client_id: DASHBOARD_CLIENT,
      challenge,
      expires_at: now + TOKEN_LIMITS.authorizationCodeMs,
    })
    .execute();
}

/** Takes the code: it counts no longer, whoever brought it. @returns whose it is, or null. */
export async function takeCode(
  { db, now }: Write,
  { code, verifier }: { code: string; verifier: string },
): Promise<string | null> {
  const taken = await db
    .deleteFrom('authorization_codes')
    .where('code_hash', '=', sha256(code))
    .returning(['user_guid', 'client_id', 'challenge', 'expires_at'])
    .executeTakeFirst();
  if (taken === undefined || taken.expires_at < now || taken.client_id !== DASHBOARD_CLIENT) return null;
  return taken.challenge === challengeOf(verifier) ? taken.user_guid : null;
}
