/** Gives a user another password, whoever decided it: every login of that user ends in the same transaction. */
import type { Mutation } from '@cupola/store/store';
import { revokeRefreshTokens } from './refresh-tokens.ts';

/** @param hash made by `hashPassword`, outside the transaction: it takes a tenth of a second. */
export async function storePassword(mutation: Mutation, userGuid: string, hash: string): Promise<void> {
  await mutation.db
    .updateTable('users')
    .set({ password_hash: hash, updated_at: mutation.now })
    .where('guid', '=', userGuid)
    .execute();
  await revokeRefreshTokens(mutation, userGuid);
  mutation.changed('user', userGuid);
}
