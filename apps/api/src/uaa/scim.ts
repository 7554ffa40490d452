/** Accounts, as `cf create-user`, `delete-user` and `passwd` make, find and change them (SCIM 1.1, UAA's dialect). For admins; one's own password oneself. */
import { ForbiddenError, NotFoundError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accountsNamed, deleteAccount, insertAccount } from '../users/change-user.ts';
import type { UserRow } from '../users/find-user.ts';
import { hashPassword, isPassword } from './passwords.ts';
import { storePassword } from './store-password.ts';
import { UaaError } from './uaa-error.ts';

const SCHEMAS = ['urn:scim:schemas:core:1.0'];
/** Longer ones only cost time. */
const PASSWORD_MAX = 255;
const LOCAL = 'uaa';

function requireScim(actor: Actor): void {
  if (!actor.isAdmin) throw new ForbiddenError();
}

function present(user: UserRow) {
  const iso = (ms: number): string => new Date(ms).toISOString();
  return {
    id: user.guid,
    meta: { version: 0, created: iso(user.created_at), lastModified: iso(user.updated_at) },
    userName: user.username,
    name: { familyName: user.family_name ?? '', givenName: user.given_name ?? '' },
    emails: [{ value: user.email ?? user.username, primary: true }],
    groups: [],
    active: true,
    verified: true,
    origin: user.origin,
    zoneId: 'uaa',
    schemas: SCHEMAS,
  };
}

/** `attribute eq "value"`, several joined by `and`: all that CF's clients send. @throws UaaError for anything else. */
function parseFilter(text: string): Map<string, string> {
  const wanted = new Map<string, string>();
  for (const part of text.split(/\s+and\s+/i)) {
    const match = /^\s*(userName|origin|id)\s+eq\s+("(?:[^"\\]|\\.)*")\s*$/i.exec(part);
    if (match?.[1] === undefined || match[2] === undefined)
      throw new UaaError(400, 'scim', `Invalid filter expression: [${text.slice(0, 200)}]`);
    wanted.set(match[1].toLowerCase(), JSON.parse(match[2]) as string);
  }
  return wanted;
}

async function filtered(db: Kysely<Database>, filter: string): Promise<UserRow[]> {
  const wanted = parseFilter(filter);
  const username = wanted.get('username');
  const id = wanted.get('id') ?? '';
  const found =
    username === undefined
      ? await db.selectFrom('users').selectAll().where('guid', '=', id).execute()
      : await accountsNamed(db, username);
  return found.filter(
    user => (wanted.get('origin') ?? user.origin) === user.origin && (wanted.get('id') ?? user.guid) === user.guid,
  );
}

const createAccount = z.object({
  userName: z
    .string({ error: 'A username must be provided.' })
    .trim()
    .min(1, { error: 'A username must be provided.' })
    .max(255),
  password: z.string().max(PASSWORD_MAX).nullish(),
  origin: z.string().max(100).nullish(),
  name: z.object({ familyName: z.string().nullish(), givenName: z.string().nullish() }).nullish(),
  emails: z.array(z.object({ value: z.string().nullish() })).nullish(),
});
const changePassword = z.object({ oldPassword: z.string().nullish(), password: z.string().max(PASSWORD_MAX) });

async function foundAccount(db: Kysely<Database>, guid: string): Promise<UserRow> {
  const user = await db.selectFrom('users').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (user === undefined) throw new NotFoundError('User');
  return user;
}

function checkPassword(password: string): void {
  if (password === '') throw new UaaError(422, 'invalid_password', 'Password must not be empty.');
}

export const scimEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/Users',
    failures: 'uaa',
    summary: 'Accounts by a filter: userName, origin, id',
    query: z.object({ filter: z.string().exactOptional() }),
    handle: async ({ store }, { actor, query }) => {
      requireScim(actor);
      const users =
        query.filter === undefined
          ? await store.read.selectFrom('users').selectAll().orderBy('created_at').limit(100).execute()
          : await filtered(store.read, query.filter);
      const resources = users.map(present);
      return {
        status: 200,
        body: { resources, startIndex: 1, itemsPerPage: 100, totalResults: resources.length, schemas: SCHEMAS },
      };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/Users',
    failures: 'uaa',
    summary: 'Make an account',
    bodySchema: createAccount,
    handle: async ({ store }, { actor, body }) => {
      requireScim(actor);
      const origin = (body.origin ?? '') === '' ? LOCAL : (body.origin ?? LOCAL);
      const password = body.password ?? '';
      if (origin === LOCAL) checkPassword(password);
      const passwordHash = origin === LOCAL ? await hashPassword(password) : null;
      const user = await store.mutate(async mutation => {
        const others = await accountsNamed(mutation.db, body.userName);
        if (others.some(other => other.origin === origin))
          throw new UaaError(409, 'scim_resource_already_exists', `Username already in use: ${body.userName}`);
        return insertAccount(mutation, {
          username: body.userName,
          origin,
          passwordHash,
          givenName: body.name?.givenName ?? null,
          familyName: body.name?.familyName ?? null,
          email: body.emails?.[0]?.value ?? null,
          listed: false,
        });
      });
      return { status: 201, body: present(user) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/Users/:guid',
    failures: 'uaa',
    summary: 'One account',
    handle: async ({ store }, { actor, params }) => {
      if (actor.guid !== params.guid) requireScim(actor);
      return { status: 200, body: present(await foundAccount(store.read, params.guid ?? '')) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/Users/:guid',
    failures: 'uaa',
    summary: 'Delete an account, its roles and logins',
    handle: async ({ store }, { actor, params }) => {
      requireScim(actor);
      const user = await store.mutate(async mutation => {
        const found = await foundAccount(mutation.db, params.guid ?? '');
        await deleteAccount(mutation, found);
        return found;
      });
      return { status: 200, body: present(user) };
    },
  }),
  endpoint({
    method: 'PUT',
    path: '/Users/:guid/password',
    failures: 'uaa',
    summary: 'Change a password: every login but this one ends',
    bodySchema: changePassword,
    handle: async ({ store }, { actor, params, body }) => {
      const isOwn = actor.guid === params.guid;
      if (!isOwn) requireScim(actor);
      const user = await foundAccount(store.read, params.guid ?? '');
      checkPassword(body.password);
      if (isOwn && !(await isPassword(body.oldPassword ?? '', user.password_hash)))
        throw new UaaError(401, 'unauthorized', 'Old password is incorrect');
      if (isOwn && body.oldPassword === body.password)
        throw new UaaError(422, 'invalid_password', 'Your new password cannot be the same as the old password.');
      const hash = await hashPassword(body.password);
      await store.mutate(mutation => storePassword(mutation, user.guid, hash));
      return { status: 200, body: { status: 'ok', message: 'password updated' } };
    },
  }),
];
