/** A new password by the operator on the machine, who need not know the old one. Every login of that user ends. */
import { userPassword } from '@cupola/contract/internal';
import { NotFoundError } from '@cupola/model/errors';
import { hashPassword } from '../uaa/passwords.ts';
import { storePassword } from '../uaa/store-password.ts';
import { accountsNamed } from '../users/change-user.ts';
import { type InternalCall, type InternalReply, readJson } from './call.ts';

const LOCAL = 'uaa';

export async function resetPassword(call: InternalCall): Promise<InternalReply> {
  const { username, password } = await readJson(call, userPassword);
  const hash = await hashPassword(password);
  await call.deps.store.mutate(async mutation => {
    const user = (await accountsNamed(mutation.db, username)).find(({ origin }) => origin === LOCAL);
    if (user === undefined) throw new NotFoundError('User');
    await storePassword(mutation, user.guid, hash);
  });
  return { status: 204 };
}
