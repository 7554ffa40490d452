/** Codes of the sign-in by browser (authorization code with PKCE): each counts once, for a minute, for who began that sign-in. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    authorization_codes: {
      code_hash: 'key',
      user_guid: 'text',
      client_id: 'text',
      challenge: 'text',
      expires_at: 'int',
    },
  });
  await makeIndexes(db, 'index', [['authorization_codes', 'expires_at']]);
}
