import { createUser as createBody, updateUser as updateBody, userAnswer } from '@cupola/contract/v3/user';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { seenOrganization } from '../organizations/find-organization.ts';
import { all, among, type Condition, commonConditions, listQuery, named, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { seenSpace } from '../spaces/find-space.ts';
import { accountsNamed, insertAccount, listUser, unlistUser } from './change-user.ts';
import { seenUser, seenUsers, type UserRow } from './find-user.ts';
import { presentUser } from './present-user.ts';

const listUsers = z
  .strictObject({
    ...listQuery,
    usernames: commaList.exactOptional(),
    partial_usernames: commaList.exactOptional(),
    origins: commaList.exactOptional(),
    order_by: orderBy(),
  })
  .superRefine(({ usernames, partial_usernames, origins }, context) => {
    const say = (message: string): void => context.addIssue({ code: 'custom', message });
    if (origins !== undefined && usernames === undefined && partial_usernames === undefined)
      say('Origins filter cannot be provided without usernames or partial_usernames filter.');
    if (usernames !== undefined && partial_usernames !== undefined)
      say('Usernames filter cannot be provided with both usernames and partial_usernames filter.');
  });
type ListUsers = z.infer<typeof listUsers>;

export async function presentUsers({ store, config }: ApiDeps, users: readonly UserRow[]) {
  const metadata = await readMetadata(
    store.read,
    'user',
    users.map(user => user.guid),
  );
  return users.map(user => presentUser(user, metadata.get(user.guid) ?? NO_METADATA, config.publicUrl));
}

async function show(deps: ApiDeps, user: UserRow) {
  return (await presentUsers(deps, [user]))[0];
}

function containing(text: string): Condition {
  const pattern = `%${text.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
  return sql<SqlBool>`lower(users.username) like ${pattern} escape '\\'`;
}

async function page(deps: ApiDeps, request: ApiRequest<ListUsers>, also: readonly Condition[]) {
  const { query } = request;
  const partial = query.partial_usernames?.map(containing);
  const conditions = [
    ...also,
    ...commonConditions('users', query),
    ...(query.usernames === undefined ? [] : [named('users.username', query.usernames)]),
    ...(partial === undefined ? [] : [sql<SqlBool>`(${sql.join(partial, sql` or `)})`]),
    ...(query.origins === undefined ? [] : [among('users.origin', query.origins)]),
    ...(query.label_selector === undefined ? [] : [labelSelectorCondition('user', 'users.guid', query.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'users', query, { conditions });
  const resources = await presentUsers(deps, rows);
  return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
}

/** Users with a role in it; in one of its spaces does not count, as in CF. */
function holdingIn(column: 'organization_guid' | 'space_guid', guid: string): Condition {
  return sql<SqlBool>`users.guid in (select user_guid from roles where ${all([among(column, [guid])])})`;
}

async function createUser(mutation: Mutation, asked: z.infer<typeof createBody>): Promise<UserRow> {
  const { db } = mutation;
  if ((asked.guid ?? null) !== null) {
    const guid = asked.guid ?? '';
    const account = await db.selectFrom('users').selectAll().where('guid', '=', guid).executeTakeFirst();
    if (account?.listed === 1) throw new UnprocessableError(`User with guid '${guid}' already exists.`);
    if (account !== undefined) return listUser(mutation, account);
    // A client with roles, or somebody who will log in by that id: known by it only.
    return insertAccount(mutation, { guid, username: guid, origin: '', passwordHash: null, listed: true });
  }
  const { username, origin } = { username: asked.username ?? '', origin: asked.origin ?? '' };
  const account = (await accountsNamed(db, username)).find(user => user.origin === origin);
  if (account?.listed === 1)
    throw new UnprocessableError(`User with username '${username}' and origin '${origin}' already exists.`);
  if (account !== undefined) return listUser(mutation, account);
  return insertAccount(mutation, { username, origin, passwordHash: null, listed: true });
}

export const userEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/users',
    summary: 'Users that the asker may see',
    query: listUsers,
    responseSchema: userAnswer,
    handle: (deps, request) => page(deps, request, [seenUsers(request.actor)]),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/organizations/:guid/users',
    summary: 'Users with a role in an organization',
    query: listUsers,
    responseSchema: userAnswer,
    handle: async (deps, request) => {
      const { guid } = await seenOrganization(deps.store.read, request.actor, request.params.guid ?? '');
      return page(deps, request, [holdingIn('organization_guid', guid)]);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/spaces/:guid/users',
    summary: 'Users with a role in a space',
    query: listUsers,
    responseSchema: userAnswer,
    handle: async (deps, request) => {
      const { guid } = await seenSpace(deps.store.read, request.actor, request.params.guid ?? '');
      return page(deps, request, [holdingIn('space_guid', guid)]);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/users',
    summary: 'Make an account a user of the platform',
    bodySchema: createBody,
    responseSchema: userAnswer,
    handle: async (deps, { actor, body }) => {
      requireAdmin(actor);
      const user = await deps.store.mutate(async mutation => {
        const made = await createUser(mutation, body);
        await writeMetadata(mutation, 'user', made.guid, body.metadata);
        return made;
      });
      return { status: 201, body: await show(deps, user) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/users/:guid',
    summary: 'One user',
    responseSchema: userAnswer,
    handle: async (deps, { actor, params }) => ({
      status: 200,
      body: await show(deps, await seenUser(deps.store.read, actor, params.guid ?? '')),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/users/:guid',
    summary: 'Label a user',
    bodySchema: updateBody,
    responseSchema: userAnswer,
    handle: async (deps, { actor, params, body }) => {
      const user = await deps.store.mutate(async mutation => {
        const found = await seenUser(mutation.db, actor, params.guid ?? '');
        requireAdmin(actor);
        await writeMetadata(mutation, 'user', found.guid, body.metadata);
        mutation.changed('user', found.guid);
        return found;
      });
      return { status: 200, body: await show(deps, user) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/users/:guid',
    summary: 'Delete a user with all its roles; the account that logs in stays',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const user = await seenUser(mutation.db, actor, params.guid ?? '');
        requireAdmin(actor);
        await unlistUser(mutation, user);
        return finishedJob(mutation, { operation: 'user.delete', resourceGuid: user.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
];
