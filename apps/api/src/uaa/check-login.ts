/** A name and a password, with the guard against guessing: one place for tokens and for the page of one-time codes. */
import type { UsersTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { isPassword } from './passwords.ts';
import { UaaError } from './uaa-error.ts';

const LOCKED = 'Your account has been locked because of too many failed attempts to login.';
export const badCredentials = (): UaaError => new UaaError(401, 'unauthorized', 'Bad credentials');

/** @throws UaaError in UAA's words, the same for a name that is not there. */
export async function checkLogin(
  { store, loginGuard }: Pick<ApiDeps, 'store' | 'loginGuard'>,
  { username, password, address }: { username: string; password: string; address: string },
): Promise<Selectable<UsersTable>> {
  const user = await store.read
    .selectFrom('users')
    .selectAll()
    .where('origin', '=', 'uaa')
    .where(eb => eb(eb.fn<string>('lower', ['username']), '=', username.toLowerCase()))
    .executeTakeFirst();
  const verdict = await loginGuard.attempt(username, address, () => isPassword(password, user?.password_hash ?? null));
  if (verdict === 'locked') throw new UaaError(401, 'unauthorized', LOCKED);
  if (verdict === 'wrong' || user === undefined) throw badCredentials();
  return user;
}
