/** One-time codes instead of a password: who has logged in on the platform's own page gets one, and hands it to `cf login --sso`. */
import { createHash, randomInt } from 'node:crypto';
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';

/** Without letters and digits that look alike: people type it. 32 of them: 50 bits in ten. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const LENGTH = 10;

interface Write {
  db: Kysely<Database>;
  now: number;
}

const hashOf = (code: string): string => createHash('sha256').update(code.trim()).digest('hex');

/** @returns the code, which counts once, for some minutes. */
export async function givePasscode({ db, now }: Write, userGuid: string): Promise<string> {
  const code = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  const expires_at = now + TOKEN_LIMITS.passcodeMs;
  await db.deleteFrom('passcodes').where('expires_at', '<', now).execute();
  await db
    .insertInto('passcodes')
    .values({ code_hash: hashOf(code), user_guid: userGuid, expires_at })
    .execute();
  return code;
}

/** Takes the code: it counts no longer. @returns whose it is, or null. */
export async function takePasscode({ db, now }: Write, code: string): Promise<string | null> {
  const taken = await db
    .deleteFrom('passcodes')
    .where('code_hash', '=', hashOf(code))
    .returning(['user_guid', 'expires_at'])
    .executeTakeFirst();
  return taken === undefined || taken.expires_at < now ? null : taken.user_guid;
}
