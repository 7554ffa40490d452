/** Whom a new role is for: named by guid, or by name and perhaps origin (CF: roles_controller.rb). */
import type { CreateRole } from '@cupola/contract/v3/user';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { requireFlag } from '../flags/flags.ts';
import { accountsNamed, insertAccount, listUser } from '../users/change-user.ts';
import type { UserRow } from '../users/find-user.ts';
import { NOT_IN_ORGANIZATION } from './change-role.ts';

/**
 * @param ofSpace for a role in a space a user that is not there is one who is no member of the organization.
 * @throws UnprocessableError
 */
export async function userOfRole(
  mutation: Mutation,
  actor: Actor,
  asked: CreateRole['relationships']['user']['data'],
  { ofSpace }: { ofSpace: boolean },
): Promise<UserRow> {
  const user =
    asked.guid === undefined
      ? await byName(mutation, actor, { username: asked.username ?? '', origin: asked.origin ?? null, ofSpace })
      : await byGuid(mutation, asked.guid, ofSpace);
  return listUser(mutation, user);
}

async function byGuid(mutation: Mutation, guid: string, ofSpace: boolean): Promise<UserRow> {
  const { db } = mutation;
  const user = await db.selectFrom('users').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (user !== undefined) return user;
  if (ofSpace) throw new UnprocessableError(NOT_IN_ORGANIZATION);
  // As CF: whoever will log in by that guid, an OAuth client say, has the role then.
  return insertAccount(mutation, { guid, username: guid, origin: '', passwordHash: null, listed: true });
}

async function byName(
  { db }: Mutation,
  actor: Actor,
  { username, origin, ofSpace }: { username: string; origin: string | null; ofSpace: boolean },
): Promise<UserRow> {
  await requireFlag(db, actor, 'set_roles_by_username');
  const found = (await accountsNamed(db, username)).filter(user => origin === null || user.origin === origin);
  if (found.length > 1)
    throw new UnprocessableError(
      `Ambiguous user. User with username '${username}' exists in the following origins: ${found
        .map(user => user.origin)
        .join(', ')}. Specify an origin to disambiguate.`,
    );
  const [user] = found;
  if (user !== undefined) return user;
  if (ofSpace) throw new UnprocessableError(NOT_IN_ORGANIZATION);
  throw new UnprocessableError(
    `No user exists with the username '${username}'${origin === null ? '' : ` and origin '${origin}'`}.`,
  );
}
