/** Users inside a mutation: accounts that log in (UAA's), and what the v3 API keeps of them. One row is both; `listed` says whether it is a user of v3. */
import { randomUUID } from 'node:crypto';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { deleteMetadata } from '../metadata/metadata.ts';
import { revokeRefreshTokens } from '../uaa/refresh-tokens.ts';
import type { UserRow } from './find-user.ts';

export interface NewAccount {
  guid?: string;
  username: string;
  origin: string;
  passwordHash: string | null;
  givenName?: string | null;
  familyName?: string | null;
  email?: string | null;
  listed: boolean;
}

export async function insertAccount({ db, now, changed }: Mutation, account: NewAccount): Promise<UserRow> {
  const row: UserRow = {
    guid: account.guid ?? randomUUID(),
    created_at: now,
    updated_at: now,
    username: account.username,
    origin: account.origin,
    password_hash: account.passwordHash,
    is_admin: 0,
    given_name: account.givenName ?? null,
    family_name: account.familyName ?? null,
    email: account.email ?? null,
    listed: account.listed ? 1 : 0,
  };
  await db.insertInto('users').values(row).execute();
  changed('user', row.guid);
  return row;
}

export async function accountsNamed(db: Kysely<Database>, username: string): Promise<UserRow[]> {
  return db
    .selectFrom('users')
    .selectAll()
    .where(eb => eb(eb.fn<string>('lower', ['username']), '=', eb.fn<string>('lower', [eb.val(username)])))
    .orderBy('origin')
    .execute();
}

/** The account becomes a user of the v3 API, if it is none yet. */
export async function listUser({ db, changed }: Mutation, user: UserRow): Promise<UserRow> {
  if (user.listed === 1) return user;
  await db.updateTable('users').set({ listed: 1 }).where('guid', '=', user.guid).execute();
  changed('user', user.guid);
  return { ...user, listed: 1 };
}

/** Roles and metadata go. The account stays and may log in: `cf delete-user` deletes that next, and expects it there. */
export async function unlistUser(mutation: Mutation, user: UserRow): Promise<void> {
  const { db, now, changed } = mutation;
  const roles = await db
    .deleteFrom('roles')
    .where('user_guid', '=', user.guid)
    .returning(['guid', 'organization_guid', 'space_guid'])
    .execute();
  for (const role of roles)
    changed('role', role.guid, { organizationGuid: role.organization_guid, spaceGuid: role.space_guid });
  await deleteMetadata(mutation, 'user', [user.guid]);
  await db.updateTable('users').set({ listed: 0, updated_at: now }).where('guid', '=', user.guid).execute();
  changed('user', user.guid);
}

/** The account itself: no login is left of it. */
export async function deleteAccount(mutation: Mutation, user: UserRow): Promise<void> {
  await unlistUser(mutation, user);
  await revokeRefreshTokens(mutation, user.guid);
  await mutation.db.deleteFrom('git_webhooks').where('user_guid', '=', user.guid).execute();
  const keys = mutation.db.selectFrom('ssh_keys').select('guid').where('user_guid', '=', user.guid);
  await mutation.db.deleteFrom('ssh_logins').where('key_guid', 'in', keys).execute();
  await mutation.db.deleteFrom('ssh_keys').where('user_guid', '=', user.guid).execute();
  await mutation.db.deleteFrom('users').where('guid', '=', user.guid).execute();
}
