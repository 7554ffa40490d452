import { type CreateRole, createRole as createBody, roleAnswer } from '@cupola/contract/v3/user';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { findOrganization, requireInOrganization } from '../organizations/find-organization.ts';
import { presentOrganization } from '../organizations/present-organization.ts';
import { among, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { includeList } from '../pages/include.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { findSpace, requireInSpace } from '../spaces/find-space.ts';
import { presentSpaces } from '../spaces/list-spaces.ts';
import { presentUsers } from '../users/endpoints.ts';
import { seenRoles } from '../users/find-user.ts';
import { addRole, type RolePlace, type RoleRow, removeRole } from './change-role.ts';
import { presentRole } from './present-role.ts';
import { userOfRole } from './role-user.ts';

const include = includeList('user', 'organization', 'space').exactOptional();
const { label_selector: _labels, ...unlabelled } = listQuery;
const listRoles = z.strictObject({
  ...unlabelled,
  organization_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  user_guids: commaList.exactOptional(),
  types: commaList.exactOptional(),
  include,
  order_by: orderBy(),
});

async function included(deps: ApiDeps, roles: readonly RoleRow[], asked: readonly string[] | undefined) {
  if (asked === undefined || asked.length === 0) return {};
  const { store, config } = deps;
  const parts: Record<string, unknown[]> = {};
  const guids = (column: 'user_guid' | 'organization_guid' | 'space_guid'): string[] => [
    ...new Set(roles.map(role => role[column]).filter(guid => guid !== null)),
  ];
  if (asked.includes('user')) {
    const users = store.read
      .selectFrom('users')
      .selectAll()
      .where(among('guid', guids('user_guid')));
    parts.users = await presentUsers(deps, await users.execute());
  }
  if (asked.includes('organization')) {
    const wanted = guids('organization_guid');
    const rows = await store.read.selectFrom('organizations').selectAll().where(among('guid', wanted)).execute();
    const metadata = await readMetadata(store.read, 'organization', wanted);
    parts.organizations = rows.map(row =>
      presentOrganization(row, metadata.get(row.guid) ?? NO_METADATA, config.publicUrl),
    );
  }
  if (asked.includes('space')) {
    const spaces = store.read
      .selectFrom('spaces')
      .selectAll()
      .where(among('guid', guids('space_guid')));
    parts.spaces = await presentSpaces(deps, await spaces.execute());
  }
  return { included: parts };
}

async function seenRole(db: Kysely<Database>, actor: Actor, guid: string): Promise<RoleRow> {
  const role = await db
    .selectFrom('roles')
    .selectAll()
    .where('guid', '=', guid)
    .where(seenRoles(actor))
    .executeTakeFirst();
  if (role === undefined) throw new NotFoundError('Role');
  return role;
}

/** Where a new role is to be, if the actor may give roles there. */
async function placeOfNew(db: Kysely<Database>, actor: Actor, asked: CreateRole['relationships']): Promise<RolePlace> {
  const spaceGuid = asked.space?.data?.guid;
  if (spaceGuid !== undefined) {
    const space = await findSpace(db, spaceGuid);
    if (space === undefined)
      throw new UnprocessableError('Invalid space. Ensure that the space exists and you have access to it.');
    requireInSpace(actor, space, ['space_manager']);
    return { kind: 'space', space };
  }
  const organization = await findOrganization(db, asked.organization?.data?.guid ?? '');
  if (organization === undefined)
    throw new UnprocessableError(
      'Invalid organization. Ensure that the organization exists and you have access to it.',
    );
  requireInOrganization(actor, organization.guid, ['organization_manager']);
  return { kind: 'organization', organization };
}

async function createRole(mutation: Mutation, actor: Actor, { type, relationships }: CreateRole): Promise<RoleRow> {
  const place = await placeOfNew(mutation.db, actor, relationships);
  const user = await userOfRole(mutation, actor, relationships.user.data, { ofSpace: place.kind === 'space' });
  return addRole(mutation, { actor, type, user, place });
}

async function deleteRole(mutation: Mutation, actor: Actor, guid: string): Promise<string> {
  const { db } = mutation;
  const role = await seenRole(db, actor, guid);
  const place = await placeOfNew(db, actor, {
    user: { data: { guid: role.user_guid } },
    ...(role.space_guid === null ? {} : { space: { data: { guid: role.space_guid } } }),
    ...(role.organization_guid === null ? {} : { organization: { data: { guid: role.organization_guid } } }),
  });
  const user = await db.selectFrom('users').select('username').where('guid', '=', role.user_guid).executeTakeFirst();
  await removeRole(mutation, {
    actor,
    role,
    user: { guid: role.user_guid, username: user?.username ?? role.user_guid },
    place,
  });
  return finishedJob(mutation, { operation: 'role.delete', resourceGuid: role.guid, actor });
}

export const roleEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/roles',
    summary: 'Roles in what the asker may see',
    query: listRoles,
    responseSchema: roleAnswer,
    handle: async (deps, request) => {
      const { query, actor } = request;
      const filter = (column: string, values: readonly string[] | undefined) =>
        values === undefined ? [] : [among(`roles.${column}`, values)];
      const conditions = [
        seenRoles(actor),
        ...commonConditions('roles', query),
        ...filter('organization_guid', query.organization_guids),
        ...filter('space_guid', query.space_guids),
        ...filter('user_guid', query.user_guids),
        ...filter('type', query.types),
      ];
      const { ask, total, rows, after } = await listRows(deps.store.read, 'roles', query, { conditions });
      const resources = rows.map(role => presentRole(role, deps.config.publicUrl));
      const more = await included(deps, rows, query.include);
      return { status: 200, body: pageBody(request, ask, { total, resources, after, ...more }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/roles',
    summary: 'Give a user a role',
    bodySchema: createBody,
    responseSchema: roleAnswer,
    handle: async ({ store, config }, { actor, body }) => {
      const role = await store.mutate(mutation => createRole(mutation, actor, body));
      return { status: 201, body: presentRole(role, config.publicUrl) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/roles/:guid',
    summary: 'One role',
    query: z.strictObject({ include }),
    responseSchema: roleAnswer,
    handle: async (deps, { actor, params, query }) => {
      const role = await seenRole(deps.store.read, actor, params.guid ?? '');
      const more = await included(deps, [role], query.include);
      return { status: 200, body: { ...presentRole(role, deps.config.publicUrl), ...more } };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/roles/:guid',
    summary: 'Take a role away',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(mutation => deleteRole(mutation, actor, params.guid ?? ''));
      return accepted(deps, job);
    },
  }),
];
