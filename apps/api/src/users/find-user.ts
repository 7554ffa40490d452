/** Users as the v3 API knows them, for an actor: oneself, and whoever has a role where the actor may look. */
import { NotFoundError } from '@cupola/model/errors';
import type { Database, UsersTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { type Condition, EVERY_ROW, inSeenOrganization, inSeenSpace } from '../pages/filters.ts';

export type UserRow = Selectable<UsersTable>;

/** Roles in what the actor may see. `roles` is the table's name in the query. */
export function seenRoles(actor: Actor): Condition {
  if (actor.isAdmin) return EVERY_ROW;
  return sql<SqlBool>`(${inSeenOrganization(actor, 'roles.organization_guid')} or ${inSeenSpace(actor, 'roles.space_guid')})`;
}

export function seenUsers(actor: Actor): Condition {
  const listed = sql`users.listed = 1`;
  if (actor.isAdmin) return sql<SqlBool>`${listed}`;
  return sql<SqlBool>`(${listed} and (users.guid = ${actor.guid}
    or users.guid in (select roles.user_guid from roles where ${seenRoles(actor)})))`;
}

/** @throws NotFoundError */
export async function seenUser(db: Kysely<Database>, actor: Actor, guid: string): Promise<UserRow> {
  const user = await db
    .selectFrom('users')
    .selectAll()
    .where('guid', '=', guid)
    .where(seenUsers(actor))
    .executeTakeFirst();
  if (user === undefined) throw new NotFoundError('User');
  return user;
}
